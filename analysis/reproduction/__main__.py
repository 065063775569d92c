"""Hold the published results against campaigns: ``python -m analysis.reproduction --help``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.campaigns import Campaign, find_campaigns
from analysis.commands import exit_status
from analysis.errors import AnalysisError
from analysis.reading import read_journals

_DESCRIPTION = """\
Lay the published table and claims beside a campaign: a verdict for every claim (holds, does not hold,
cannot be said) with the figures and the rule behind it.  Writes one self-contained page and, beside it,
the same as JSON.
"""

_EXAMPLES = """\
examples:
  the newest campaign under results/
      python -m analysis.reproduction
  the campaign that is shipped with the project
      python -m analysis.reproduction docs/reproduction
  several campaigns as one, with block profiles
      python -m analysis.reproduction monday tuesday --profiles profiles --out both.html
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.reproduction",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "campaigns",
        nargs="*",
        metavar="CAMPAIGN",
        help="campaign folder, journal file, or name under the results folder; default: the newest",
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="where campaigns lie; default: results"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the page to write; default: CAMPAIGN/reproduction.html"
    )
    parser.add_argument(
        "--profiles", type=Path, action="append", default=[], metavar="PLACE",
        help="a folder of block profiles; may be given several times; default: CAMPAIGN/profiles if it is there",
    )  # fmt: skip
    parser.add_argument("--record-only", action="store_true", help="write the JSON alone: nothing is drawn")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 with one line on stderr when there is nothing to show."""
    options = _parser().parse_args(arguments)
    return exit_status(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    campaigns = find_campaigns(options.campaigns, options.results)
    journal = read_journals(campaigns)
    page = options.out or _default_page(campaigns)
    # only now, with something to show: numpy, pandas and matplotlib take seconds to import
    from analysis.reproduction.compute import find_profiles, reproduce  # noqa: PLC0415 - see above
    from analysis.reproduction.record import write_record  # noqa: PLC0415 - see above

    found = reproduce(campaigns, journal, find_profiles(options.profiles, campaigns))
    files = {page.with_suffix(".json"): write_record(found)}
    if not options.record_only:
        from analysis.reproduction.page import build_page  # noqa: PLC0415 - see above

        files[page] = build_page(found).encode()
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as exc:
            raise AnalysisError(f"cannot write {path}: {exc.strerror}; give another file with --out") from exc
    for item in found.findings:
        sys.stdout.write(f"{item.verdict:<14}  {item.claim.title}\n                {item.sentence}\n")
    for path in files:
        sys.stdout.write(f"{'page' if path == page else 'verdicts'}  {path}\n")


def _default_page(campaigns: Sequence[Campaign]) -> Path:
    if len(campaigns) > 1:
        raise AnalysisError("several campaigns: name the page to write with --out FILE")
    return campaigns[0].folder / "reproduction.html"


if __name__ == "__main__":
    sys.exit(main())
