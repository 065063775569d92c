"""The role on a kernel that has netem, in a guest, and the link emulator beside it: `make test-netem`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.netem import whole
from bench.netem.beds import NAMES, Bed, emulator_bed, netem_bed
from bench.netem.guest import make_image
from bench.netem.measure import Amounts, measure_side, read_back
from bench.netem.results import Results, Side, write
from bench.netem.table import lines, markdown
from links.conditions import LinkSpec, parse_condition

pytestmark = [pytest.mark.integration, pytest.mark.netem]

CONDITIONS = whole.conditions()
RESULTS = Path(__file__).parents[2] / "results" / "bench-netem" / "netem.json"


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    make_image()
    with netem_bed(tmp_path_factory.mktemp("netem")) as bed:
        yield bed


@pytest.fixture(scope="module")
def by_netem(guest: Bed) -> Side:
    return measure_side(guest, CONDITIONS, Amounts())


@pytest.fixture(scope="module")
def by_emulator(tmp_path_factory: pytest.TempPathFactory) -> Side:
    with emulator_bed(tmp_path_factory.mktemp("emulator")) as bed:
        return measure_side(bed, CONDITIONS, Amounts())


@pytest.fixture(scope="module")
def results(by_netem: Side, by_emulator: Side) -> Results:
    """Give both sides, and keep them for `python -m bench.netem --again`."""
    found = Results(
        started=time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
        asked=CONDITIONS,
        netem=by_netem,
        emulator=by_emulator,
    )
    write(RESULTS, found)
    return found


def asked(network: str) -> dict[tuple[str, str], LinkSpec]:
    return parse_condition(network, CONDITIONS[network]).directed(NAMES)


@pytest.mark.parametrize("network", CONDITIONS)
def test_kernel_has_in_force_what_was_asked_for(by_netem: Side, network: str) -> None:
    for measured in by_netem.conditions[network]:
        spec, options = asked(network)[measured.source, measured.target], measured.in_force
        # tc prints seconds, fractions, and bytes per second
        assert options["delay"]["delay"] == pytest.approx(spec.delay_ms / 1000)
        assert options["delay"]["jitter"] == pytest.approx(spec.jitter_ms / 1000)
        assert options["rate"]["rate"] == pytest.approx((spec.rate_mbit or 0) * 1e6 / 8)
        assert options.get("loss-random", {}).get("loss", 0) == pytest.approx(spec.loss_percent / 100, rel=1e-3)
        assert options["limit"] >= 1000


@pytest.mark.parametrize("network", CONDITIONS)
def test_emulator_and_netem_agree(results: Results, network: str) -> None:
    apart = [line for line in lines(results) if line.network == network and not line.figure.agree]
    assert apart == [], markdown(results)


def changed(output: str) -> dict[str, bool]:
    """Give what the recap says: whether anything changed on each host."""
    recap = output.split("PLAY RECAP")[1].splitlines()
    return {name: "changed=0" not in line for name in NAMES for line in recap if line.startswith(f"{name} ")}


def test_second_run_and_check_mode_change_nothing_and_clearing_leaves_nothing(guest: Bed) -> None:
    assert changed(guest.shape("lte", CONDITIONS)) == {"a": True, "b": True}
    assert changed(guest.shape("lte", CONDITIONS)) == {"a": False, "b": False}
    assert changed(guest.shape("wifi", CONDITIONS, "--check")) == {"a": True, "b": True}
    assert read_back(guest, "a", "b")[0]["delay"]["delay"] == pytest.approx(0.025)
    assert changed(guest.clear()) == {"a": True, "b": True}
    for name in NAMES:
        assert [qdisc["kind"] for qdisc in qdiscs(guest, name)] == ["noqueue"]
        assert files(guest, name).isdisjoint({"link.state", "link.lease"})


def test_single_packets_are_lost_and_whole_segments_pass_where_none_are(guest: Bed) -> None:
    most = segment_packets(guest)
    assert most > 1
    for network, packets in (("lossy", 1), ("lte", most), ("lossy", 1)):
        guest.shape(network, CONDITIONS)
        assert segment_packets(guest) == packets
    guest.clear()
    assert segment_packets(guest) == most


def test_lease_that_nobody_renews_frees_the_link(guest: Bed) -> None:
    most = segment_packets(guest)
    guest.shape("lossy", CONDITIONS, "-e", "link_shape_ttl_s=3", "-e", "link_shape_verify=false")
    deadline = time.monotonic() + 120
    while [qdisc["kind"] for qdisc in qdiscs(guest, "a")] != ["noqueue"]:
        assert time.monotonic() < deadline
        time.sleep(1)
    assert segment_packets(guest) == most
    assert "link.state" not in files(guest, "a")
    guest.clear()


def qdiscs(bed: Bed, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(bed.hosts.run(name, ["tc", "-j", "qdisc", "show", "dev", "data"]))
    return found


def files(bed: Bed, name: str) -> set[str]:
    return set(bed.hosts.run(name, ["ls", bed.run_dir(name)]).split())


def segment_packets(bed: Bed) -> int:
    (shown,) = json.loads(bed.hosts.run("a", ["ip", "-j", "-d", "link", "show", "dev", "data"]))
    return int(shown["gso_max_segs"])
