"""``python -m links`` over the emulator, in two real namespaces."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from links.emulator.client import answers, ask
from stage_runtime.errors import LinkError
from tests.links.namespaces import NAMES, Pair, eventually, run

pytestmark = pytest.mark.integration


class EmulatedPair(Pair):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "sbAe", "10.214.3")
        self.socket = folder / "emulator.sock"
        self.emulator("--pidfile", str(folder / "pid"), "--log", str(folder / "log"), "--detach")
        for name in NAMES:
            self.attach(name)

    def emulator(self, *words: str) -> str:
        return run(sys.executable, "-m", "links.emulator", "--socket", str(self.socket), *words)

    def attach(self, name: str) -> str:
        return self.emulator("attach", "--name", name, "--netns", self.netns[name], "--address", self.address[name])

    def plan(self, name: str, condition: dict[str, Any], **different: Any) -> str:
        return super().plan(name, condition, **{"emulator_socket": str(self.socket), **different})

    def in_force(self) -> dict[tuple[str, str], dict[str, Any]]:
        links = ask(self.socket, "show")["links"]
        return {(link["source"], link["target"]): link["spec"] for link in links}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedPair]:
    made = EmulatedPair(tmp_path_factory.mktemp("emulated"))
    yield made
    made.emulator("stop")
    made.remove()
    assert not (made.folder / "pid").exists()


@pytest.fixture(autouse=True)
def _unshaped(pair: EmulatedPair) -> Iterator[None]:
    yield
    for name in NAMES:
        pair.clear(name, "--any")
    assert pair.in_force() == {}


def both(pair: EmulatedPair, condition: dict[str, Any], **different: Any) -> None:
    for name in NAMES:
        assert "error" not in pair.shape(name, condition, **different)


@pytest.mark.parametrize(
    "condition",
    [
        {"rate_mbit": 200, "delay_ms": 1},
        {"forward": {"rate_mbit": 20, "delay_ms": 5}, "backward": {"rate_mbit": 40, "delay_ms": 15, "jitter_ms": 2}},
        {"rate_mbit": 30, "loss_percent": 5},
    ],
)
def test_link_measures_as_it_was_asked_to(pair: EmulatedPair, condition: dict[str, Any]) -> None:
    both(pair, condition)
    measured = pair.links("a", "probe", "--plan", pair.plan("a", condition))
    assert measured["problems"] == []
    assert [(entry["source"], entry["target"]) for entry in measured["directions"]] == [("a", "b"), ("b", "a")]


def test_shape_reads_back_what_the_emulator_has(pair: EmulatedPair) -> None:
    condition = {"rate_mbit": 7, "delay_ms": 3, "jitter_ms": 1, "loss_percent": 0.5}
    first = pair.shape("a", condition)
    (link,) = first["links"]
    assert first["changed"]
    assert link == {"source": "a", "target": "b", "backend": "user", "asked": condition, "in_force": condition}
    assert pair.in_force() == {(pair.address["a"], pair.address["b"]): condition}
    assert pair.shape("a", condition)["changed"] is False
    assert pair.clear("a", "--owner", "somebody")["changed"] is False
    assert pair.clear("a", "--owner", "campaign")["changed"] is True
    assert pair.in_force() == {}


def test_lost_packets_are_counted_one_by_one_though_segments_are_large(pair: EmulatedPair) -> None:
    condition = {"rate_mbit": 200, "loss_percent": 2}
    both(pair, condition)
    pair.links("a", "probe", "--plan", pair.plan("a", {"rate_mbit": 200}))
    (link,) = [link for link in ask(pair.socket, "show")["links"] if link["source"] == pair.address["a"]]
    share = link["lost_packets"] / (link["lost_packets"] + link["packets"])
    assert link["packets"] > 1000
    assert share == pytest.approx(0.02, rel=0.6)


def test_lease_that_nobody_renews_frees_the_link(pair: EmulatedPair) -> None:
    both(pair, {"rate_mbit": 50}, ttl_s=1)
    assert eventually(lambda: pair.in_force() == {})


def test_lease_that_is_renewed_keeps_the_link(pair: EmulatedPair) -> None:
    both(pair, {"rate_mbit": 50}, ttl_s=3)
    for name in NAMES:
        os.utime(pair.run_dir(name) / "link.lease", (time.time() + 3600,) * 2)
    time.sleep(4.5)
    assert len(pair.in_force()) == 2
    refused = pair.shape("a", {"rate_mbit": 9}, owner="other")["error"]
    assert "shaped by 'campaign' for 3 s more" in refused


def test_device_whose_namespace_is_made_anew_is_attached_again(pair: EmulatedPair) -> None:
    netns = pair.netns["b"]
    run("ip", "netns", "del", netns)
    assert eventually(lambda: len(ask(pair.socket, "show")["devices"]) == 1)
    run("ip", "netns", "add", netns)
    run("ip", "-n", netns, "link", "set", "lo", "up")
    assert '"changed":true' in pair.attach("b")
    assert '"changed":false' in pair.attach("b")
    pair.inside("a", "ping", "-c", "1", "-W", "5", pair.address["b"])


def test_orders_that_cannot_be_are_refused(pair: EmulatedPair) -> None:
    with pytest.raises(LinkError, match="unknown command 'dance'; known: attach"):
        ask(pair.socket, "dance")
    with pytest.raises(LinkError, match="namespace 'sbA-none' does not exist"):
        ask(pair.socket, "attach", device={"name": "x", "netns": "sbA-none", "address": "10.214.3.9", "prefix": 24})
    with pytest.raises(LinkError, match=r"address 10\.214\.3\.11 of x is that of a"):
        ask(
            pair.socket,
            "attach",
            device={"name": "x", "netns": pair.netns["b"], "address": pair.address["a"], "prefix": 24},
        )
    order = {"owner": "o", "ttl_s": 1, "lease_files": [], "sources": ["10.214.3.99"], "links": []}
    with pytest.raises(LinkError, match=r"no device with address 10\.214\.3\.99 is attached"):
        ask(pair.socket, "shape", order=order)


def test_second_emulator_on_the_socket_is_the_first(pair: EmulatedPair) -> None:
    before = ask(pair.socket, "show")["pid"]
    assert '"changed":false' in pair.emulator("--detach")
    assert ask(pair.socket, "show")["pid"] == before


def test_socket_is_for_its_owner_alone(pair: EmulatedPair) -> None:
    assert pair.socket.stat().st_mode & 0o777 == 0o600
    assert answers(pair.socket)


def test_backend_user_without_an_emulator_is_refused(pair: EmulatedPair) -> None:
    refused = pair.shape("a", {"rate_mbit": 5}, emulator_socket="/nowhere.sock", backend="user")
    assert "backend `user` needs the link emulator, and there is none at /nowhere.sock" in refused["error"]
