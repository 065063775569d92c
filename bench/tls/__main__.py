"""``python -m bench.tls``: measure, and print a table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.document import put_section
from bench.tls.ends import called_process
from bench.tls.measuring import measure
from bench.tls.table import markdown
from stage_runtime.errors import SplitbedError


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; the exit status is 1 when something could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.tls", description="Measure what TLS between stages costs, over this machine's loopback."
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--document", type=Path, metavar="FILE", help="also write the table into this document")
    options = parser.parse_args(arguments)
    try:
        with called_process() as called:
            found = measure(called, options.rounds)
    except SplitbedError as exc:
        sys.stderr.write(f"bench.tls: {exc}\n")
        return 1
    text = markdown(found, f"python -m bench.tls --rounds {options.rounds}")
    if options.document is not None:
        put_section(options.document, "tls", text)
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
