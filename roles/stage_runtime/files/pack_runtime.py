"""Digest, and pack, the source files that go to the devices.

Runs on the control node, with any Python 3.11 and nothing but the standard library::

    pack_runtime.py digest --root CHECKOUT PATH...
    pack_runtime.py pack   --root CHECKOUT --cache FOLDER PATH...

Both print one JSON line.  ``digest`` gives ``{"digest"}``: a hash of names and contents, so it
says whether anything changed.  ``pack`` gives ``{"digest", "archive", "changed"}``: the archive
holds the same files, ``.sums`` (what ``sha256sum -c`` reads) and, last, ``.digest``; a device whose ``.digest`` is
there was given them all, and where ``.sums`` is right it still has them.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

SKIPPED_FOLDERS = {"__pycache__"}


def source_files(root: Path, paths: Iterable[str]) -> Iterator[Path]:
    """Yield the regular files under ``paths`` (folders or files below ``root``), sorted by name.

    Raises FileNotFoundError for a path that is not there.
    """
    for name in sorted(paths):
        start = root / name
        if start.is_file():
            yield start
            continue
        if not start.is_dir():
            raise FileNotFoundError(f"{start} does not exist, so it cannot go to the devices")
        for found in sorted(start.rglob("*")):
            if found.is_file() and not SKIPPED_FOLDERS.intersection(found.parts):
                yield found


def digest_files(root: Path, files: Iterable[Path]) -> str:
    """Hash names and contents to 64 hexadecimal digits."""
    total = hashlib.sha256()
    for file in files:
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{file.relative_to(root).as_posix()}\0{content}\n".encode())
    return total.hexdigest()


def write_archive(archive: Path, root: Path, files: Iterable[Path], digest: str) -> None:
    """Write the tar so that it is there whole or not at all, with the same bytes every time."""
    partial = archive.with_suffix(f".{os.getpid()}.partial")
    with tarfile.open(partial, "w") as tar:
        sums = []
        for file in files:
            name, content = file.relative_to(root).as_posix(), file.read_bytes()
            sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
            _add(tar, name, content)
        _add(tar, ".sums", "".join(sums).encode())
        _add(tar, ".digest", digest.encode())
    partial.replace(archive)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = 0o644
    tar.addfile(entry, io.BytesIO(content))


def main(arguments: list[str]) -> int:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Digest, and pack, the source files that go to the devices.")
    parser.add_argument("action", choices=["digest", "pack"])
    parser.add_argument("--root", type=Path, required=True, help="the checkout")
    parser.add_argument("--cache", type=Path, help="folder for the archive (pack)")
    parser.add_argument("paths", nargs="+", help="folders and files below the root")
    options = parser.parse_args(arguments)
    try:
        files = list(source_files(options.root, options.paths))
    except FileNotFoundError as error:
        parser.error(str(error))
    answer: dict[str, object] = {"digest": (digest := digest_files(options.root, files))}
    if options.action == "pack":
        if options.cache is None:
            parser.error("pack needs --cache, the folder for the archive")
        options.cache.mkdir(parents=True, exist_ok=True)
        archive = options.cache / f"{digest}.summed.tar"
        answer |= {"archive": str(archive), "changed": not archive.exists()}
        if answer["changed"]:
            write_archive(archive, options.root, files, digest)
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
