"""List the files that a device needs for a model, and bundle the small ones.

Runs on the control node, with any Python 3.11 and nothing but the standard library::

    shard_files.py list   --cache FOLDER --manifest-id ID [--inputs-id ID]
    shard_files.py bundle --cache FOLDER --archive FILE PATH...

``list`` prints ``{"files": [{"path", "bytes", "line"}]}``: paths below the cache, and equally below
``device_home``; ``line`` is what the device prints of the file: ``<bytes> <path>``, and of a graph
``<sha256>  <path>``, since another version of it may have as many bytes.  ``bundle`` writes one tar
of the named files.
Both end with status 2 and one line that says what the cache lacks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tarfile
from pathlib import Path


def needed_files(cache: Path, manifest_id: str, inputs_id: str) -> list[dict[str, str | int]]:
    """Return every file that a device needs: blocks, inputs and manifest, and what was made of graphs and references.

    Raises FileNotFoundError when the cache lacks one, ValueError when a block there has not
    the size that its manifest says.
    """
    manifest = f"shards/{manifest_id}/manifest.json"
    blocks = json.loads((cache / manifest).read_text(encoding="utf-8"))["blocks"]
    expected = {f"shards/blocks/{block['sha256']}.safetensors": block["file_bytes"] for block in blocks}
    files: list[dict[str, str | int]] = []
    for path in [*expected, *([f"inputs/{inputs_id}.safetensors"] if inputs_id else []), manifest]:
        size = (cache / path).stat().st_size
        if size != expected.get(path, size):
            raise ValueError(f"{cache / path} has {size} bytes, its manifest says {expected[path]}")
        files.append({"path": path, "bytes": size, "line": f"{size} {path}"})
    made = sorted((cache / manifest).parent.glob("graphs/*.onnx"))
    reference = cache / f"inputs/{inputs_id}-{manifest_id}.safetensors"
    for file in [*made, *([reference] if reference.exists() else [])]:
        path = file.relative_to(cache).as_posix()
        content = file.read_bytes()
        line = f"{hashlib.sha256(content).hexdigest()}  {path}"
        files.append({"path": path, "bytes": len(content), "line": line})
    return files


def write_bundle(cache: Path, archive: Path, paths: list[str]) -> None:
    """Write a tar of ``paths`` below ``cache``, whole or not at all; what a killed one left of it is removed."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    for left in archive.parent.glob(f"{archive.stem}.*.partial"):
        left.unlink(missing_ok=True)
    partial = archive.with_suffix(f".{os.getpid()}.partial")
    with tarfile.open(partial, "w") as tar:
        for path in paths:
            tar.add(cache / path, arcname=path)
    partial.replace(archive)


def main(arguments: list[str]) -> int:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="List, and bundle, the files a device needs for a model.")
    parser.add_argument("action", choices=["list", "bundle"])
    parser.add_argument("--cache", type=Path, required=True, help="the control node's cache")
    parser.add_argument("--manifest-id", default="")
    parser.add_argument("--inputs-id", default="")
    parser.add_argument("--archive", type=Path, help="the tar to write (bundle)")
    parser.add_argument("paths", nargs="*")
    options = parser.parse_intermixed_args(arguments)
    try:
        if options.action == "bundle":
            write_bundle(options.cache, options.archive, options.paths)
        else:
            files = needed_files(options.cache, options.manifest_id, options.inputs_id)
            sys.stdout.write(json.dumps({"files": files}) + "\n")
    except FileNotFoundError as error:
        parser.error(f"the cache lacks {error.filename}; make the shards and inputs again")
    except ValueError as error:
        parser.error(f"{error}; remove the file and make the shards again")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
