"""What is noted and changed beside a shaped link, on a made-up interface and kernel."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from links import segments, tcp, upkeep
from links.orders import Plan, decode_plan, read_state

PLAN = {
    "owner": "campaign",
    "ttl_s": 60,
    "device": "a",
    "chain": [{"name": "a", "address": "10.0.0.1"}, {"name": "b", "address": "10.0.0.2"}],
    "network": {"name": "n", "condition": {}},
    "probe_port": 47301,
}


class Kernel:
    """An interface's limit."""

    def __init__(self) -> None:
        self.most = 65535

    def limit(self, _: str, packets: int) -> None:
        self.most = packets

    def put_back(self, _: str, packets: int | None) -> None:
        self.most = packets or self.most


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(segments, "most_packets", lambda _: made.most)
    monkeypatch.setattr(segments, "limit", made.limit)
    monkeypatch.setattr(segments, "put_back", made.put_back)
    monkeypatch.setattr(tcp, "to_put_back", lambda: None)
    monkeypatch.setattr(tcp, "keep_windows", lambda: None)
    monkeypatch.setattr(upkeep, "start_in_background", lambda *_, **__: None)
    return made


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return decode_plan(json.dumps(PLAN | {"run_dir": str(tmp_path)}))


def test_packets_are_single_while_a_link_loses_any_and_as_before_whatever_happens_between(
    kernel: Kernel, plan: Plan
) -> None:
    kernel.most = 32
    for loses, most in ((True, 1), (True, 1), (False, 32), (True, 1)):
        upkeep.begin(plan, "tc", "eth0", loses=loses)
        assert kernel.most == most
    upkeep.forget(plan.run_dir, read_state(plan.state_file))
    assert kernel.most == 32
    assert not plan.state_file.exists()


def test_link_without_loss_leaves_segments_alone(kernel: Kernel, plan: Plan) -> None:
    upkeep.begin(plan, "tc", "eth0")
    assert kernel.most == 65535
    state = read_state(plan.state_file)
    assert state is not None
    assert (state.segment_packets, state.interface) == (None, "eth0")


@pytest.mark.usefixtures("kernel")
def test_what_is_to_be_put_back_is_noted_before_it_is_changed(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        state = read_state(plan.state_file)
        assert state is not None
        assert state.segment_packets == 65535
        raise KeyboardInterrupt

    monkeypatch.setattr(segments, "limit", killed)
    with pytest.raises(KeyboardInterrupt):
        upkeep.begin(plan, "tc", "eth0", loses=True)


def test_emulated_link_has_no_interface_of_its_own_to_limit(kernel: Kernel, plan: Plan) -> None:
    upkeep.begin(plan, "user")
    assert kernel.most == 65535
    assert upkeep.left_s(plan.run_dir) == pytest.approx(60, abs=5)


def test_state_of_an_older_runtime_is_read(tmp_path: Path) -> None:
    path = tmp_path / "link.state"
    path.write_text('{"owner": "o", "backend": "tc", "address": "10.0.0.1", "interface": "e", "emulator_socket": null}')
    state = read_state(path)
    assert state is not None
    assert (state.segment_packets, state.slow_start_after_idle) == (None, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes folders for somebody else")
def test_folder_belongs_to_whoever_has_the_one_above(tmp_path: Path) -> None:
    """As root shapes by sudo before that user's first stage has made it."""
    os.chown(tmp_path, 65534, 65534)
    run_dir = tmp_path / "run"
    for _ in range(2):
        upkeep.make_run_dir(run_dir)
        found = run_dir.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (65534, 65534, 0o700)
