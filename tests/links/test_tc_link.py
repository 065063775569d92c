"""``python -m links`` over tc, on a veth pair between two real namespaces."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from links import execute
from links.tcp import SLOW_START_AFTER_IDLE
from tests.links.namespaces import NAMES, Pair, eventually, run

pytestmark = pytest.mark.integration

RATE = {"rate_mbit": 50}


class VethPair(Pair):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "sbAt", "10.214.4")
        a, b = self.netns["a"], self.netns["b"]
        run("ip", "link", "add", "sbAt0", "netns", a, "type", "veth", "peer", "name", "sbAt1", "netns", b)
        for name, interface in zip(NAMES, ("sbAt0", "sbAt1"), strict=True):
            run("ip", "-n", self.netns[name], "address", "add", f"{self.address[name]}/24", "dev", interface)
            run("ip", "-n", self.netns[name], "link", "set", interface, "up")

    def qdiscs(self, name: str) -> dict[str, dict[str, Any]]:
        shown = json.loads(self.inside(name, "tc", "-j", "-s", "qdisc", "show"))
        return {qdisc["kind"]: qdisc for qdisc in shown if qdisc["dev"].startswith("sbAt")}

    def leaf(self, name: str) -> dict[str, Any]:
        """Give the qdisc that shapes the link to the other device."""
        found = self.qdiscs(name)
        return found.get("netem") or found["tbf"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VethPair]:
    made = VethPair(tmp_path_factory.mktemp("veth"))
    yield made
    made.remove()


@pytest.fixture(autouse=True)
def _unshaped(pair: VethPair) -> Iterator[None]:
    yield
    for name in NAMES:
        pair.clear(name, "--any", "--address", pair.address[name])
        assert "htb" not in pair.qdiscs(name)


def test_rate_is_shaped_measured_and_cleared(pair: VethPair) -> None:
    for name in NAMES:
        first = pair.shape(name, RATE)
        assert (first["changed"], first["backend"]) == (True, "tc")
        assert first["links"][0]["in_force"]["rate_mbit"] == pytest.approx(50)
        assert pair.shape(name, RATE)["changed"] is False
    measured = pair.links("a", "probe", "--plan", pair.plan("a", RATE))
    assert measured["problems"] == []
    assert pair.clear("a", "--owner", "campaign")["changed"] is True
    assert "htb" not in pair.qdiscs("a")


def test_ssh_is_not_shaped_and_everything_else_between_the_devices_is(pair: VethPair) -> None:
    pair.shape("a", RATE)
    assert try_connecting(pair, 22) == try_connecting(pair, 47999) == "refused"
    assert pair.leaf("a")["packets"] == 1, "the knock at port 47999"
    pair.inside("a", "ping", "-c", "3", "-i", "0.01", pair.address["b"])
    assert pair.leaf("a")["packets"] == 4
    pair.shape("b", RATE)
    pair.links("a", "probe", "--plan", pair.plan("a", RATE))
    assert pair.leaf("a")["packets"] > 100


def try_connecting(pair: VethPair, port: int) -> str:
    """Send one packet from a to a port of b, where nobody listens."""
    code = (
        "import socket, sys\ntry: socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)\n"
        "except ConnectionRefusedError: print('refused', end='')"
    )
    return pair.inside("a", sys.executable, "-c", code, pair.address["b"], str(port))


def test_guard_clears_when_the_lease_ends_and_ends_itself(pair: VethPair) -> None:
    pair.shape("a", RATE, ttl_s=3, serve_probe=False)
    lease = pair.run_dir("a") / "link.lease"
    os.utime(lease, (time.time() + 3600,) * 2)
    time.sleep(4)
    assert "htb" in pair.qdiscs("a"), "a renewed lease keeps the shaping"
    os.utime(lease)
    assert eventually(lambda: "htb" not in pair.qdiscs("a"))
    assert not (pair.run_dir("a") / "link.state").exists()
    assert eventually(lambda: not _guards(pair))


def test_guard_ends_when_the_link_is_cleared_and_there_is_one(pair: VethPair) -> None:
    for _ in range(2):
        pair.shape("a", RATE, serve_probe=False)
    assert eventually(lambda: len(_guards(pair)) == 1)
    pair.clear("a", "--owner", "campaign")
    assert eventually(lambda: not _guards(pair))


def _guards(pair: VethPair) -> list[str]:
    """Collect the processes that hold, or wait for, the guard's lock of device a."""
    held = str(pair.run_dir("a") / "link.guard")
    pids = run("ip", "netns", "pids", pair.netns["a"]).split()
    return [pid for pid in pids if any(os.path.realpath(file) == held for file in Path(f"/proc/{pid}/fd").glob("*"))]


def test_slow_start_after_idle_is_off_while_the_link_is_shaped(pair: VethPair) -> None:
    def setting() -> str:
        return pair.inside("a", "cat", str(SLOW_START_AFTER_IDLE)).strip()

    assert setting() == "1"
    for _ in range(2):  # the second time finds it off already
        pair.shape("a", RATE, serve_probe=False)
        assert setting() == "0"
    pair.clear("a", "--owner", "campaign")
    assert setting() == "1"
    pair.shape("a", RATE, ttl_s=1, serve_probe=False)
    assert setting() == "0"
    assert eventually(lambda: setting() == "1"), "the guard puts it back"


def test_links_nobody_remembers_are_cleared_by_their_address(pair: VethPair) -> None:
    pair.shape("a", RATE, serve_probe=False)
    (pair.run_dir("a") / "link.state").unlink()
    assert pair.clear("a", "--any")["changed"] is False
    assert pair.clear("a", "--any", "--address", pair.address["a"])["changed"] is True


def test_qdisc_of_somebody_else_is_left_alone(pair: VethPair) -> None:
    pair.inside(
        "a", *["tc", "qdisc", "add", "dev", "sbAt0", "root", "tbf", "rate", "1gbit", "burst", "100k", "latency", "10ms"]
    )
    try:
        assert "a qdisc that is not ours: tbf" in pair.shape("a", RATE)["error"]
        assert pair.clear("a", "--any", "--address", pair.address["a"])["changed"] is False
        assert "tbf" in pair.qdiscs("a")
    finally:
        pair.inside("a", *["tc", "qdisc", "del", "dev", "sbAt0", "root"])


def test_other_owner_is_refused(pair: VethPair) -> None:
    pair.shape("a", RATE, serve_probe=False)
    assert "shaped by 'campaign' for" in pair.shape("a", RATE, owner="other")["error"]


def test_delay_needs_netem(pair: VethPair) -> None:
    answer = pair.shape("a", {"delay_ms": 5}, serve_probe=False)
    if execute.has_netem():
        assert answer["links"][0]["in_force"]["delay_ms"] == pytest.approx(5)
    else:
        assert "no qdisc `netem`; load it (modprobe sch_netem" in answer["error"]
        assert "htb" not in pair.qdiscs("a")
        assert not (pair.run_dir("a") / "link.state").exists()
