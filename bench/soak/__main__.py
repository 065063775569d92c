"""``python -m bench.soak``: thousands of short cells, and whether anything grows with them."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.soak import table
from bench.soak.watching import soak
from stage_runtime.errors import SplitbedError
from sweep.journal import read_rows

CELLS = 2000
_PORT = 47_450


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 where a cell failed or something grew."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak",
        description="Run a sweep of short cells over two processes of this machine, and say what grew: memory, "
        "descriptors and threads of the driver and of the stages, and the time per cell.",
    )
    parser.add_argument("--cells", type=int, default=CELLS, help=f"how many, at least 400; default: {CELLS:,}")
    parser.add_argument("--transport", choices=("tcp", "rpc"), default="tcp", help="default: tcp")
    parser.add_argument("--port", type=int, default=_PORT, help=f"the first port of the loopback; default: {_PORT}")
    parser.add_argument("--results", type=Path, help="keep the campaign there; default: it is removed")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="splitbed-soak-") as folder:
        begun = time.monotonic()
        try:
            done = soak(options.results or Path(folder), options.cells, options.port, options.transport)
            rows = list(read_rows(done.campaign / "journal.jsonl"))
            found = table.find_all(done.samples, rows)
        except (OSError, ValueError, SplitbedError) as exc:
            sys.stderr.write(f"error: {exc}\n")
            return 2
    states = Counter(row.status for row in rows)
    said = ", ".join(f"{count} {state}" for state, count in states.items())
    sys.stdout.write(f"{len(rows)} cells over {options.transport} in {time.monotonic() - begun:.0f} s: {said}\n\n")
    sys.stdout.write(table.write(found) + "\n")
    good = done.status == 0 and set(states) == {"ok"} and not any(item.grew for item in found)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
