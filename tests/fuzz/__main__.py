"""Fuzz the wire format guided by coverage: ``python -m tests.fuzz --runs 1000000``.

Needs atheris (``pip install atheris==3.0.0``), which no other part of this project does.  Each input goes to one of the
readers of :mod:`tests.fuzz.wire_target`.  The run ends with a line that says how many inputs there were, or, at the
first defect, with its traceback and the input in a file ``crash-*``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

RUNS = 1_000_000


def main() -> None:
    """Run the command; atheris ends the process."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Fuzz the wire format guided by coverage."
    )
    parser.add_argument("--runs", type=int, default=RUNS, help=f"inputs; default: {RUNS:,}")
    parser.add_argument("--seed", type=int, default=1, help="seed of the changes; default: 1")
    parser.add_argument("--longest", type=int, default=4096, help="bytes of the longest input; default: 4096")
    options = parser.parse_args()
    try:
        import atheris  # noqa: PLC0415 - not among what the project needs
    except ImportError:
        parser.error("atheris is not installed; remedy: pip install atheris==3.0.0")
    with atheris.instrument_imports(include=["stage_runtime.wire", "stage_runtime.codecs", "stage_runtime.transports"]):
        from tests.fuzz import wire_target  # noqa: PLC0415 - instrumented as it is imported
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(wire_target.seeds()):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        told = [f"-runs={options.runs}", f"-seed={options.seed}", f"-max_len={options.longest}", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *told, folder], wire_target.consume)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
