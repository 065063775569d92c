"""``python -m bench.payloads``: bring two virtual devices up, measure, write a table and a plot."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from analysis.figures import style
from bench.document import put_figure, put_section
from bench.payloads.figure import draw
from bench.payloads.measure import DEVICES, measure_idle, measure_link
from bench.payloads.results import OnLink, Payloads, read, write
from bench.payloads.table import markdown
from bench.testbed import NETWORKS, PROJECT, PYTHON, BenchError, VirtualTestbed, last_json, virtual_testbed
from stage_runtime.errors import SplitbedError
from stage_runtime.formats.cell import TransportName

_DEFAULT_OUT = PROJECT / "results" / "bench-payloads"
_DEFAULT_NETWORKS = "lan,mbit100,mbit5"
_EPILOG = f"""\
networks: {"; ".join(f"{name} {json.dumps(condition)}" for name, condition in NETWORKS.items())}

Needs root (network namespaces) and iperf3 (make setup-dev).  Writes payloads.json, payloads.md and payloads.svg.
"""


def build_parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.payloads",
        description="Measure the transports between virtual devices, from 4 KB to 64 MB, beside iperf3 and sockets.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--networks", default=_DEFAULT_NETWORKS, metavar="NAMES", help=f"default: {_DEFAULT_NETWORKS}")
    add("--transports", default="tcp,rpc", metavar="NAMES", help="tcp, rpc or both; default: both")
    add("--rounds", type=int, default=5, metavar="N", help="rounds on each link; default: 5")
    add("--frame-s", type=float, default=2.0, metavar="S", help="leave payloads out that take longer; default: 2")
    add("--iperf-s", type=float, default=3.0, metavar="S", help="seconds of each iperf3 run, 0: none; default: 3")
    add("--idle", type=int, default=5, metavar="N", help="slow starts after idle times to measure; default: 5")
    add("--seed", type=int, default=0, metavar="N", help="seed of the order; default: 0")
    add("--prefix", default="sbpay", metavar="NAME", help="of the virtual devices; default: sbpay")
    add("--subnets", default="10.220", metavar="A.B", help="they are in A.B.0.0/24 and A.B.1.0/24; default: 10.220")
    add("--out", type=Path, default=_DEFAULT_OUT, metavar="DIR", help="default: results/bench-payloads")
    add("--document", type=Path, metavar="FILE", help="also write a section into this document")
    add("--again", action="store_true", help="measure nothing; write table and plot of the results in DIR again")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; the exit status is 1 when something could not be measured, 2 for a bad option."""
    options = build_parser().parse_args(arguments)
    networks, transports = options.networks.split(","), options.transports.split(",")
    for what, names, known in (
        ("network", networks, NETWORKS),
        ("transport", transports, get_args(TransportName)),
    ):
        for name in names:
            if name not in known:
                sys.stderr.write(f"bench.payloads: {what} {name!r} is none of {', '.join(known)}\n")
                return 2
    try:
        results = read(options.out / "payloads.json") if options.again else _measure(options, networks, transports)
    except SplitbedError as exc:
        sys.stderr.write(f"bench.payloads: {exc}\n")
        return 1
    text, picture = markdown(results), style.write(draw(results), "svg")
    (options.out / "payloads.md").write_text(text, encoding="utf-8")
    (options.out / "payloads.svg").write_bytes(picture)
    if options.document is not None:
        link = put_figure(options.document, "payloads.svg", picture)
        put_section(options.document, "payloads", markdown(results, link))
    sys.stdout.write(text)
    return 0


def _measure(options: argparse.Namespace, networks: Sequence[str], transports: Sequence[TransportName]) -> Payloads:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    links: list[OnLink] = []
    with (
        tempfile.TemporaryDirectory(prefix="splitbed-bench-") as folder,
        virtual_testbed(Path(folder), prefix=options.prefix, networks=options.subnets, devices=DEVICES) as bed,
    ):
        bed.play("playbooks/provision.yml")
        for network in networks:
            sys.stderr.write(f"measuring on {network}\n")
            links.append(
                measure_link(
                    bed,
                    network,
                    transports=transports,
                    rounds=options.rounds,
                    frame_s=options.frame_s,
                    iperf_s=options.iperf_s,
                    seed=options.seed,
                )
            )
        idle = measure_idle(bed, times=options.idle, seed=options.seed) if options.idle else ()
        results = Payloads(started=started, device=_device(bed), links=tuple(links), idle=idle)
    options.out.mkdir(parents=True, exist_ok=True)
    write(options.out / "payloads.json", results)
    return results


def _device(bed: VirtualTestbed) -> dict[str, object]:
    """Ask one of the two, which are alike, what it is."""
    script = PROJECT / "stage_runtime" / "provenance.py"
    found = last_json(bed.run("a", [PYTHON, "-I", "-S", str(script), "/"]))
    if not isinstance(found, dict):
        raise BenchError(f"a device describes itself as {found!r}")
    return found


if __name__ == "__main__":
    sys.exit(main())
