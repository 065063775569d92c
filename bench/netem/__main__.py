"""``python -m bench.netem``: boot the guest, measure netem and the emulator, write a table."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.document import put_section
from bench.netem.results import read, write
from bench.netem.table import lines, markdown
from bench.netem.whole import measure_both
from bench.testbed import PROJECT
from stage_runtime.errors import SplitbedError

DEFAULT_OUT = PROJECT / "results" / "bench-netem"
_TITLE = """# netem and the emulator

Links between real devices are shaped by the kernel's `netem`, those between virtual devices, on a kernel that lacks it,
by an emulator in user space. Both promise the same; this is how far they keep it.
"""


def build_parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.netem",
        description="Measure every network condition with the kernel's netem (in a guest) and with the link emulator.",
        epilog="Needs root, qemu-system-x86, debootstrap and cpio; writes netem.json and netem.md.",
    )
    add = parser.add_argument
    add("--out", type=Path, default=DEFAULT_OUT, metavar="DIR", help="default: results/bench-netem")
    add("--document", type=Path, metavar="FILE", help="also write a section into this document")
    add("--again", action="store_true", help="measure nothing; write the table of the results in DIR again")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; the exit status is 1 when something could not be measured or the two do not agree."""
    options = build_parser().parse_args(arguments)
    try:
        if options.again:
            results = read(options.out / "netem.json")
        else:
            with tempfile.TemporaryDirectory(prefix="splitbed-netem-") as folder:
                results = measure_both(Path(folder))
            write(options.out / "netem.json", results)
    except SplitbedError as exc:
        sys.stderr.write(f"bench.netem: {exc}\n")
        return 1
    text = markdown(results)
    (options.out / "netem.md").write_text(text, encoding="utf-8")
    if options.document is not None:
        put_section(options.document, "netem", text, title=_TITLE)
    sys.stdout.write(text)
    return 0 if all(line.figure.agree for line in lines(results)) else 1


if __name__ == "__main__":
    sys.exit(main())
