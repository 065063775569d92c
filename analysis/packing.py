"""Plan what of a campaign is published, as plain data: files' contents, what is left out, what is private."""

from __future__ import annotations

import dataclasses
import gzip
import json
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.campaigns import JOURNAL, PACKED_JOURNAL, Campaign
from analysis.errors import AnalysisError
from analysis.packed_readme import describe_campaign

CAMPAIGN_FILE = "campaign.json"

_LEFT_OUT = {
    "samples": "the raw instants of every batch; --samples takes them along",
    "report": "made again from the journal by `python -m analysis.front`",
    ".plays": "the inner plays' own files",
    ".lock": "tells who is writing to the campaign",
}
# an absolute path of two parts at least, or one under a home; those that every Linux has say nothing of a machine
_PATH = re.compile(r"(?:(?<=[=,:\s'\"`(\[<])|^)(?:~[\w.-]*|/[\w.+@%-]+)(?:/[\w.+@%-]+)+")
_EVERYWHERE = ("/proc/", "/sys/", "/dev/", "/usr/", "/etc/")
_SHORTEST_NAME = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pack:
    """The files to write by their path in the folder; what is left out and why; texts that tell of a machine."""

    files: Mapping[Path, bytes]
    left_out: Mapping[str, str]
    private: tuple[str, ...]


def plan_pack(campaign: Campaign, *, samples: bool, profiles: Sequence[Path] = (), host: str | None = None) -> Pack:
    """Plan the pack of a campaign.

    ``profiles`` are folders of block profiles to take along.  ``host`` is the name that must not be in it, by default
    this machine's.

    Raises :class:`AnalysisError` where the campaign lacks ``campaign.json``, cannot be read, or holds something
    that this does not know.
    """
    folder = campaign.folder
    left_out = {}
    files: dict[Path, bytes] = {}
    try:
        for path in sorted(folder.iterdir()):
            if path.name in {JOURNAL, PACKED_JOURNAL, CAMPAIGN_FILE}:
                continue
            if path.name in {"provenance", "profiles"} or (path.name == "samples" and samples):
                files |= {inner.relative_to(folder): inner.read_bytes() for inner in _files_in(path)}
            elif path.name in _LEFT_OUT:
                left_out[path.name] = _LEFT_OUT[path.name]
            elif path.is_file() and path.stem in {"reproduction", "README"}:
                left_out[path.name] = "made again from the journal"
            else:
                raise AnalysisError(f"{path}: not known to be part of a campaign; move it away first")
        for place in profiles:
            files |= {Path("profiles", place.name, inner.name): inner.read_bytes() for inner in place.glob("*.json")}
        journal = campaign.journal.read_bytes()
        files[Path(CAMPAIGN_FILE)] = (folder / CAMPAIGN_FILE).read_bytes()
    except OSError as exc:
        raise AnalysisError(f"{exc.filename}: cannot be read ({exc.strerror}); a campaign needs it") from exc
    plain = gzip.decompress(journal) if campaign.journal.suffix == ".gz" else journal
    private = tuple(find_private({Path(JOURNAL): plain, **files}, platform.node() if host is None else host))
    files[Path(PACKED_JOURNAL)] = gzip.compress(plain, compresslevel=9, mtime=0)
    files[Path("README.md")] = describe_campaign(json.loads(files[Path(CAMPAIGN_FILE)]), plain.count(b"\n")).encode()
    return Pack(files=dict(sorted(files.items())), left_out=left_out, private=private)


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def find_private(files: Mapping[Path, bytes], host: str) -> Iterator[str]:
    """Yield where JSON files hold an absolute path or the host's name, with the text; each text of a file once."""
    name = re.compile(rf"(?<![\w-]){re.escape(host)}(?![\w-])") if len(host) >= _SHORTEST_NAME else None
    for path, content in files.items():
        seen = set()
        for place, text in _texts(path, content):
            found = [match for match in _PATH.findall(text) if not match.startswith(_EVERYWHERE)]
            found += name.findall(text) if name else []
            new = [item for item in dict.fromkeys(found) if item not in seen]
            seen.update(new)
            if new:
                yield f"{place}: {', '.join(new)}"


def _texts(path: Path, content: bytes) -> Iterator[tuple[str, str]]:
    """Yield every text of a JSON or JSON lines file and where it stands; Parquet holds none of a user's."""
    if path.suffix == ".json":
        yield from _strings(str(path), (), json.loads(content))
    elif path.suffix == ".jsonl":
        for number, line in enumerate(content.split(b"\n"), start=1):
            try:
                yield from _strings(f"{path}:{number}", (), json.loads(line))
            except ValueError:  # a line cut short, which readers ignore: its text as it is
                yield f"{path}:{number}", line.decode(errors="replace")


def _strings(file: str, keys: tuple[str, ...], value: Any) -> Iterator[tuple[str, str]]:
    place = f"{file} {'.'.join(keys)}".strip()
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield place, key
            yield from _strings(file, (*keys, key), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(file, keys, inner)
