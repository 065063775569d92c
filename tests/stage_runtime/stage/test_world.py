"""Stages in an RPC world: real processes on loopback."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from msgspec import structs
from safetensors.torch import load_file, save_file

from stage_runtime.errors import TransportError
from stage_runtime.formats.manifest import Manifest
from stage_runtime.formats.stage_config import WorldConfig, WorldMember
from stage_runtime.shards.make import make_shards
from stage_runtime.shards.requests import ShardRequest
from stage_runtime.shards.store import ShardStore
from stage_runtime.stage.deadline import Deadline
from stage_runtime.stage.joining import interface_of
from stage_runtime.stage.world import World
from stage_runtime.transports.memory import MemoryTransport
from tests.stage_runtime.stage.processes import (
    CONTROL,
    StageProcess,
    encode_cell,
    eventually,
    free_port,
    make_cell,
    running_stages,
    stage_configs,
    with_world,
)

HERE = "127.0.0.1"
PIXELS = 64


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    (folder / "inputs").mkdir()
    images = torch.randn(5, 3, PIXELS, PIXELS, generator=torch.Generator().manual_seed(3))
    save_file({"images": images}, folder / "inputs" / "inputs.safetensors")
    return folder


@pytest.fixture(scope="module")
def model(cache: Path) -> Manifest:
    request = ShardRequest(
        model="mobilenet_v2", granularity="paper", weights="seeded", num_classes=10, seed=0, input_size=PIXELS
    )
    return make_shards(request, ShardStore(cache / "shards"))[0]


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[list[StageProcess]]:
    configs = with_world(stage_configs(tmp_path_factory.mktemp("three"), cache, 3, data_address=HERE))
    with running_stages(configs) as running:
        for stage in running:
            assert stage.control("world")["world"] == {"state": "up", "reason": ""}
        yield running


def cell_of(stages: list[StageProcess], model: Manifest, cut: tuple[int, ...], **changes: Any) -> Any:
    return make_cell([stage.config for stage in stages], model, cut, **changes)


@pytest.mark.parametrize(("cut", "window"), [((9,), 1), ((1, 18), 4)])
def test_rpc_gives_what_tcp_gives(
    three: list[StageProcess], model: Manifest, tmp_path: Path, cut: tuple[int, ...], window: int
) -> None:
    found = {}
    for transport in ("tcp", "rpc"):
        saved = tmp_path / transport
        cell = cell_of(three, model, cut, transport=transport, window=window, batches=5)
        measured = three[0].run(cell, saved)
        assert measured["status"] == "ok", measured["reason"]
        found[transport] = load_file(saved)["output"], [hop["bytes"] for hop in measured["hops"]]
    assert torch.equal(found["tcp"][0], found["rpc"][0])
    assert found["tcp"][1] == found["rpc"][1]


def test_every_socket_is_on_the_data_address(three: list[StageProcess]) -> None:
    for stage in three:
        sockets = psutil.Process(stage.process.pid).net_connections("inet")
        listening = {(one.laddr[0], one.laddr[1]) for one in sockets if one.status == psutil.CONN_LISTEN}
        assert (HERE, stage.config.port) in listening
        assert {address for address, _ in listening} == {HERE}


def test_cells_leave_no_threads_or_sockets_behind(three: list[StageProcess], model: Manifest) -> None:
    cell = cell_of(three, model, (9,), transport="rpc", window=4)

    def held() -> list[tuple[int, int]]:
        measured = three[0].run(cell)
        assert measured["status"] == "ok", measured["reason"]
        processes = [psutil.Process(stage.process.pid) for stage in three[:2]]
        return [(process.num_threads(), process.num_fds()) for process in processes]

    before = held()
    for _ in range(3):
        after = held()
    assert after == before


def client(stage: StageProcess, cell: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-I", "-S", str(CONTROL), "--socket", stage.config.control_socket, "run", cell]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_stages_that_end_in_mid_cell_are_named_and_the_others_go_on(
    tmp_path: Path, cache: Path, model: Manifest
) -> None:
    configs = with_world(stage_configs(tmp_path, cache, 3, data_address=HERE))
    with running_stages(configs) as running:
        for stage in running:
            stage.control("world")
        said = end_in_mid_cell(running[:2], model, signal.SIGTERM)
        assert "the stage on dev2 was stopped" in said
        again = running[0].run(cell_of(running, model, (9,), transport="rpc"))
        assert (again["status"], again["failed_device"]) == ("failed", "dev2"), again
        left = [running[0], running[2]]
        for transport in ("tcp", "rpc"):
            measured = running[0].run(cell_of(left, model, (9,), transport=transport))
            assert measured["status"] == "ok", measured["reason"]
        end_in_mid_cell(left, model, signal.SIGKILL)


def test_a_stage_that_stands_still_ends_a_cell_over_rpc(tmp_path: Path, cache: Path, model: Manifest) -> None:
    configs = with_world(stage_configs(tmp_path, cache, 2, data_address=HERE))
    with running_stages(configs) as running:
        for stage in running:
            stage.control("world")
        long = cell_of(running, model, (9,), transport="rpc", batches=5000, timeout_s=600.0, silence_s=3.0)
        with client(running[0], encode_cell(long)) as asked:
            assert eventually(lambda: running[1].control("status")["state"] == "running")
            running[1].process.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            measured = json.loads(asked.communicate(timeout=60)[0])
        assert time.monotonic() - stopped < 3.0 + 5.0
        assert (measured["status"], measured["failed_device"], measured["lost"]) == ("timeout", "dev2", True), measured
        assert "dev2 gave no sign of life" in measured["reason"]


def end_in_mid_cell(two: list[StageProcess], model: Manifest, way: signal.Signals) -> str:
    """End the second stage while a cell runs over RPC; give the reason, which must come long before time is over."""
    long = cell_of(two, model, (9,), transport="rpc", batches=5000, timeout_s=600.0)
    with client(two[0], encode_cell(long)) as asked:
        while two[1].control("status")["state"] != "running":
            assert asked.poll() is None, asked.communicate()[0]
        two[1].process.send_signal(way)
        measured = json.loads(asked.communicate(timeout=60)[0])
    assert (measured["status"], measured["failed_device"]) == ("failed", two[1].config.device), measured
    reason: str = measured["reason"]
    return reason


def test_a_world_whose_port_is_taken_fails_and_tcp_does_not(tmp_path: Path, cache: Path, model: Manifest) -> None:
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
        configs = with_world(stage_configs(tmp_path, cache, 2, data_address=HERE), store_port=port, timeout_s=1.0)
        with running_stages(configs) as running:
            first, second = (stage.control("world")["world"] for stage in running)
            assert first["state"] == second["state"] == "failed"
            assert f"cannot listen on {HERE}:{port} for the RPC world: Address already in use" in first["reason"]
            assert f"looking for the RPC world's store on dev1 ({HERE}:{port}) after 1 s" in second["reason"]
            refused = running[0].run(cell_of(running, model, (9,), transport="rpc"))
            assert (refused["status"], refused["failed_device"]) == ("failed", "dev1")
            assert "the RPC world of dev1 is failed: cannot listen on" in refused["reason"]
            assert running[0].run(cell_of(running, model, (9,)))["status"] == "ok"


# A world that fails before RPC is initialised needs no process of its own.


def world_of_two(**changes: Any) -> WorldConfig:
    members = tuple(WorldMember(device=name, address=HERE, port=1 + number) for number, name in enumerate(("a", "b")))
    return WorldConfig(**{"id": "one", "members": members, "store_port": free_port(HERE), "timeout_s": 0.5} | changes)


def test_a_stage_that_does_not_come_is_named() -> None:
    world = World(world_of_two(), "a")
    assert world.status() == {"state": "joining", "reason": ""}
    assert world.join() is None
    assert world.status()["state"] == "failed"
    assert "b did not come to the RPC world" in world.status()["reason"]
    with pytest.raises(TransportError, match="the RPC world of a is failed: b did not come"):
        world.transport()


def test_stages_of_two_worlds_do_not_meet() -> None:
    config = world_of_two(timeout_s=4.0)
    first = World(config, "a")
    keeping = threading.Thread(target=first.join)
    keeping.start()
    assert eventually(lambda: listens(config.store_port))
    other = World(structs.replace(config, id="another", timeout_s=1.0), "b")
    assert other.join() is None
    assert "it belongs to another world" in other.status()["reason"]
    keeping.join()
    assert "b did not come" in first.status()["reason"]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HERE, port)) == 0


def test_a_join_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    network = MemoryTransport()

    def hang(_config: WorldConfig, _rank: int, _deadline: Deadline, note: Callable[[str], None]) -> MemoryTransport:
        note("waiting for a test")
        released.wait(60)
        return network

    monkeypatch.setattr("stage_runtime.stage.joining.join_world", hang)
    monkeypatch.setattr("stage_runtime.stage.world._SLACK_S", 0.0)
    world = World(world_of_two(), "a")
    hanging = threading.Thread(target=world.join)
    hanging.start()
    world.wait()
    assert world.status() == {"state": "failed", "reason": "it was still waiting for a test after 0.5 s"}
    released.set()
    hanging.join()
    assert world.status()["state"] == "failed", "a world that comes up too late stays failed"
    network.listen(HERE, 1)  # nobody listens there any more


def test_a_store_that_is_not_there_is_named() -> None:
    with socket.socket() as held:  # nobody listens at its port, and nobody else can have it meanwhile
        held.bind((HERE, 0))
        world = World(world_of_two(store_port=held.getsockname()[1]), "b")
        assert world.join() is None
    assert "did not find the RPC world's store on a (127.0.0.1:" in world.status()["reason"]
    assert "Connection refused" in world.status()["reason"]


def test_a_device_that_is_no_member_is_told() -> None:
    world = World(world_of_two(), "c")
    assert world.join() is None
    assert "c is in the RPC world 0 times" in world.status()["reason"]


def test_an_address_that_no_interface_has_is_named() -> None:
    assert interface_of(HERE) == "lo"
    with pytest.raises(TransportError, match=r"no interface of this device has the address 192\.0\.2\.1"):
        interface_of("192.0.2.1")
