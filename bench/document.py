"""The document that benchmarks write: a section each, between marks, so that each can be made again by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_TITLE = """# Performance

What Splitbed reaches on one machine, against what people would pick instead, and how its cost grows. Every number and
sentence of the sections below was written by the command that its first line names; `make performance` makes all
of them again. Milliseconds are this machine's: what carries over are ratios.
"""


def put_figure(document: Path, name: str, content: bytes) -> str:
    """Write a figure into the folder beside the document that has its name; give the link that a section needs."""
    beside = document.parent / document.stem
    beside.mkdir(parents=True, exist_ok=True)
    (beside / name).write_bytes(content)
    return f"{document.stem}/{name}"


def markdown_table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a table with these column heads.

    >>> print(markdown_table(["a", "b"], [["1", "2"]]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *lines])


def put_section(path: Path, name: str, text: str, title: str = _TITLE) -> None:
    """Write `text` as the section `name` of the document at `path`, in place of the one that is there.

    A document that is not there is begun with `title`, a section that is not there comes last.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    document = path.read_text(encoding="utf-8") if path.exists() else title
    section = f"{begin}\n{text.strip()}\n{end}"
    before, found, rest = document.partition(begin)
    if found:
        _, _, after = rest.partition(end)
        document = f"{before}{section}{after}"
    else:
        document = f"{document.rstrip()}\n\n{section}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document, encoding="utf-8")
