"""Pack a campaign for shipping: ``python -m analysis.pack --help``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.campaigns import find_campaigns
from analysis.commands import exit_status
from analysis.errors import AnalysisError
from analysis.packing import Pack, plan_pack

_DESCRIPTION = """\
Copy what a campaign's figures stand on into a folder that can be published: the journal (compressed),
campaign.json, provenance/, and a README.md that says how it was made.  Nothing in it is changed: where a
file holds a path or the name of this machine, nothing is written, and each place is named.  Equal campaigns
give equal bytes.
"""

_EXAMPLES = """\
examples:
  the campaign that the project ships
      python -m analysis.pack six-models-1a2b3c4d --out docs/reproduction
  with the instants of every batch, which take more room than all the rest
      python -m analysis.pack six-models-1a2b3c4d --out shipped --samples
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.pack",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("campaign", metavar="CAMPAIGN", help="campaign folder, or name under the results folder")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="where campaigns lie; default: results"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write into")
    parser.add_argument(
        "--profiles", type=Path, action="append", default=[], metavar="DIR",
        help="a folder of block profiles (results/profiles/…) to take along; may be given several times",
    )  # fmt: skip
    parser.add_argument("--samples", action="store_true", help="take the raw samples along")
    parser.add_argument("--with-paths", action="store_true", help="pack although paths or host names are in it")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 with the reason on stderr when the campaign is not packed."""
    options = _parser().parse_args(arguments)
    return exit_status(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    (campaign,) = find_campaigns([options.campaign], options.results)
    pack = plan_pack(campaign, samples=options.samples, profiles=options.profiles)
    for place in pack.private:
        sys.stderr.write(f"private: {place}\n")
    if pack.private and not options.with_paths:
        raise AnalysisError(
            f"{len(pack.private)} places of {campaign.folder} tell of a machine (above) and nothing was written; sweep "
            "again without them, or publish them all the same with --with-paths"
        )
    _write(pack, options.out)
    for path, content in pack.files.items():
        sys.stdout.write(f"packed    {options.out / path}  {len(content):,} bytes\n")
    for name, why in pack.left_out.items():
        sys.stdout.write(f"left out  {name}: {why}\n")


def _write(pack: Pack, folder: Path) -> None:
    """Write the files; refuse a folder that holds another campaign's."""
    kept = [path for part in ("provenance", "profiles", "samples") for path in folder.glob(f"{part}/**/*")]
    strange = [path for path in sorted(kept) if path.is_file() and path.relative_to(folder) not in pack.files]
    if strange:
        raise AnalysisError(f"{strange[0]} is not of this campaign; remove it, or pack into another folder")
    try:
        for path, content in pack.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    except OSError as exc:
        raise AnalysisError(f"cannot write to {folder}: {exc.strerror}; give another folder with --out") from exc


if __name__ == "__main__":
    sys.exit(main())
