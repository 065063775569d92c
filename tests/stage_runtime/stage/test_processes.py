"""Real stage processes on loopback: how they start, end, and survive each other."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from stage_runtime.formats.manifest import Granularity, Manifest
from stage_runtime.models import zoo
from stage_runtime.shards.make import make_shards
from stage_runtime.shards.requests import ShardRequest
from stage_runtime.shards.store import ShardStore
from tests.stage_runtime.models.comparing import enliven, mark_long, relative_error
from tests.stage_runtime.stage.processes import (
    CONTROL,
    StageProcess,
    encode_cell,
    eventually,
    make_cell,
    stage_config,
    stages,
    start,
    wait_ready,
)

MODELS = ("alexnet", "inception_v3", "mobilenet_v2", "resnet18", "resnet50", "vgg16")
TRACED = ("convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "regnet_y_400mf", "shufflenet_v2_x0_5")
LONG = frozenset({"alexnet", "inception_v3", "resnet50", "vgg16", "convnext_tiny", "densenet121", "efficientnet_b0"})
PIXELS = 96  # the smallest round number that InceptionV3 takes
SECRET = b"0123456789abcdef"


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Compute here as the stages do: another number of threads, or another batch size, gets other kernels.

    Their rounding differs by more than is allowed here, since moved weights are not as tame as trained ones.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    (folder / "inputs").mkdir()
    images = torch.randn(5, 3, PIXELS, PIXELS, generator=torch.Generator().manual_seed(3))
    save_file({"images": images}, folder / "inputs" / "inputs.safetensors")
    return folder


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[list[StageProcess]]:
    with stages(tmp_path_factory.mktemp("three"), cache, 3) as running:
        yield running


@pytest.fixture(scope="module")
def mobilenet(cache: Path) -> Manifest:
    request = ShardRequest(
        model="mobilenet_v2",
        granularity="paper",
        weights="seeded",
        num_classes=10,
        seed=0,
        input_size=PIXELS,
    )
    return make_shards(request, ShardStore(cache / "shards"))[0]


@pytest.mark.parametrize(
    ("name", "granularity"),
    mark_long([*((name, "paper") for name in MODELS), *((name, "all") for name in TRACED)], LONG),
)
def test_a_split_model_gives_the_unsplit_models_output_across_processes(
    three: list[StageProcess], cache: Path, tmp_path: Path, name: str, granularity: Granularity
) -> None:
    model = zoo.build_seeded(name, 0, num_classes=10)
    enliven(model, PIXELS, seed=5)
    weights = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), weights)
    request = ShardRequest(
        model=name, granularity=granularity, weights=str(weights), num_classes=10, seed=0, input_size=PIXELS
    )
    manifest, _ = make_shards(request, ShardStore(cache / "shards"))
    third = len(manifest.blocks) // 3
    cell = make_cell([stage.config for stage in three], manifest, (third, 2 * third), window=2, batch=2, batches=2)
    saved = tmp_path / "output.safetensors"
    measured = three[0].run(cell, saved)
    assert measured["status"] == "ok", measured["reason"]
    images = load_file(cache / "inputs" / "inputs.safetensors")["images"]
    with torch.inference_mode():
        # the first two images are the warm-up's
        expected = torch.cat([model(images[[2, 3]]), model(images[[4, 0]])])
    # the images must matter, or a mixed-up batch would go unnoticed
    assert relative_error(expected[:1], expected[1:2]) > 1e-3
    assert relative_error(load_file(saved)["output"], expected) < 1e-5
    for entry in manifest.blocks:
        (cache / "shards" / "blocks" / f"{entry.sha256}.safetensors").unlink(missing_ok=True)


def test_the_measurement_is_what_the_driver_reads(three: list[StageProcess], mobilenet: Manifest) -> None:
    from stage_runtime.formats.row import Measurement  # noqa: PLC0415  (the type is the point)

    cell = make_cell([stage.config for stage in three], mobilenet, (9,))
    measured = msgspec.convert(three[0].run(cell), Measurement)
    assert measured.status == "ok"
    assert measured.started.endswith("+00:00")
    assert {stage.device for stage in measured.stages} == {"dev1", "dev2"}
    assert all(stage.rss_mb > 10 and stage.threads == 1 for stage in measured.stages)
    assert all(stage.gpu_memory_mb is None for stage in measured.stages if stage.accelerator == "cpu")


def test_a_killed_stage_is_named_and_its_successor_serves(tmp_path: Path, cache: Path, mobilenet: Manifest) -> None:
    with stages(tmp_path, cache, 2) as running:
        configs = [stage.config for stage in running]
        long = make_cell(configs, mobilenet, (9,), batches=5000, timeout_s=120.0)
        with client(running[0], encode_cell(long)) as asked:
            assert eventually(lambda: running[1].control("status")["state"] == "running")
            running[1].process.kill()
            measured = json.loads(asked.communicate(timeout=60)[0])
        assert (measured["status"], measured["failed_device"]) == ("failed", "dev2"), measured
        running[1].process.wait()
        again = StageProcess(configs[1], start(configs[1]))
        running.append(again)
        # the socket file of the killed stage is still there: wait for the one who answers
        assert eventually(lambda: "pid" in again.control("ping"))
        measured = running[0].run(make_cell(configs, mobilenet, (9,)))
        assert measured["status"] == "ok", measured["reason"]


def test_a_stage_that_stands_still_is_named_when_time_is_over(three: list[StageProcess], mobilenet: Manifest) -> None:
    running = three[:2]
    configs = [stage.config for stage in running]
    assert running[0].run(make_cell(configs, mobilenet, (9,)))["status"] == "ok"
    with standing_still(running[1]):
        measured = running[0].run(make_cell(configs, mobilenet, (9,), timeout_s=4.0))
        assert (measured["status"], measured["failed_device"]) == ("timeout", "dev2"), measured
    measured = running[0].run(make_cell(configs, mobilenet, (9,)))
    assert measured["status"] == "ok", measured["reason"]


def test_a_first_stage_that_stands_still_is_given_up_and_serves_when_it_goes_on(
    three: list[StageProcess], mobilenet: Manifest
) -> None:
    running = three[:2]
    configs = [stage.config for stage in running]
    long = make_cell(configs, mobilenet, (9,), batches=5000, timeout_s=300.0, silence_s=3.0)
    with client(running[0], encode_cell(long)) as asked:
        assert eventually(lambda: running[1].control("status")["state"] == "running")
        with standing_still(running[0]):
            stopped = time.monotonic()
            measured = json.loads(asked.communicate(timeout=60)[0])
            assert time.monotonic() - stopped < 3.0 + 5.0
            assert (measured["status"], measured["failed_device"], measured["lost"]) == ("timeout", "dev1", True), (
                measured
            )
            assert "gave no sign of life in time: it stands still" in measured["reason"]
            assert eventually(lambda: running[1].control("status")["state"] == "idle"), "the second waits for nobody"
            # who asks meanwhile has gone when the stage goes on, and must not take the device from those who have not
            assert running[0].run(make_cell(configs, mobilenet, (9,), silence_s=1.0))["lost"]
    measured = running[0].run(make_cell(configs, mobilenet, (9,)))
    assert measured["status"] == "ok", measured["reason"]


def test_a_control_client_that_is_killed_ends_its_run(three: list[StageProcess], mobilenet: Manifest) -> None:
    running = three[:2]
    configs = [stage.config for stage in running]
    long = make_cell(configs, mobilenet, (9,), batches=5000, timeout_s=120.0)
    with client(running[0], encode_cell(long)) as asked:
        assert eventually(lambda: running[1].control("status")["state"] == "running")
        asked.kill()
    for stage in running:
        assert eventually(lambda stage=stage: stage.control("status")["state"] == "idle")
    assert running[0].run(make_cell(configs, mobilenet, (9,)))["status"] == "ok"


@contextlib.contextmanager
def standing_still(stage: StageProcess) -> Iterator[None]:
    """Stop a stage for a while; it goes on at the end, since other tests need it too."""
    stage.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        stage.process.send_signal(signal.SIGCONT)


def client(stage: StageProcess, cell: str) -> subprocess.Popen[str]:
    """Start the control command without waiting for it."""
    command = [sys.executable, "-I", "-S", str(CONTROL), "--socket", stage.config.control_socket, "run", cell]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("way", ["SIGTERM", "SIGINT", "stop"])
def test_a_stage_ends_cleanly_in_mid_cell(tmp_path: Path, cache: Path, mobilenet: Manifest, way: str) -> None:
    with stages(tmp_path, cache, 2) as running:
        configs = [stage.config for stage in running]
        long = make_cell(configs, mobilenet, (9,), batches=5000, timeout_s=120.0)
        with client(running[0], encode_cell(long)) as asked:
            assert eventually(lambda: running[1].control("status")["state"] == "running")
            if way == "stop":
                assert running[1].control("stop")["stopping"]
            else:
                running[1].process.send_signal(getattr(signal, way))
            measured = json.loads(asked.communicate(timeout=60)[0])
        assert (measured["status"], measured["failed_device"]) == ("failed", "dev2")
        assert "the stage on dev2 was stopped" in measured["reason"]
        assert running[1].process.wait(30) == 0
        assert not Path(configs[1].control_socket).exists()
        # `stop` answers when all is over, and the port is free at once
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((configs[1].data_address, configs[1].port))


@pytest.mark.parametrize("limit", ["idle_s", "lifetime_s"])
def test_a_stage_ends_by_itself(tmp_path: Path, cache: Path, limit: str) -> None:
    config = stage_config(tmp_path, cache, 1, SECRET, **{limit: 0.5})
    process = start(config)
    assert process.wait(60) == 0
    process.communicate()
    assert not Path(config.control_socket).exists()
    said = "nobody spoke to it" if limit == "idle_s" else "its lifetime of 0.5 s is over"
    assert said in Path(config.log_file).read_text()


def test_a_stage_keeps_a_lease_alive_but_makes_none(three: list[StageProcess]) -> None:
    running = three[:2]
    lease, none = (Path(stage.config.lease_file) for stage in running)
    lease.touch()
    os.utime(lease, (1, 1))
    assert eventually(lambda: lease.stat().st_mtime > 1)
    assert not none.exists()


def test_a_port_in_use_is_refused_with_its_holder(tmp_path: Path, cache: Path) -> None:
    config = stage_config(tmp_path, cache, 1, SECRET)
    with socket.create_server((config.data_address, config.port)):
        process = start(config)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 3
    assert f"cannot listen on 127.0.0.1:{config.port}: Address already in use" in error
    assert f"pid {os.getpid()}" in error
    assert error.count("\n") == 1
    assert not Path(config.control_socket).exists()


def test_a_live_control_socket_is_not_taken_away(tmp_path: Path, cache: Path) -> None:
    with stages(tmp_path, cache, 1) as running:
        other = stage_config(tmp_path / "other", cache, 2, SECRET, control_socket=running[0].config.control_socket)
        process = start(other)
        _, error = process.communicate(timeout=60)
        assert process.returncode == 4
        assert "another stage serves" in error
        assert running[0].control("ping")["device"] == "dev1"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"accelerator": "tpu"}, "none of auto, cpu, cuda"),
        ({"secret_file": "/nonexistent"}, "secret file /nonexistent"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(
    tmp_path: Path, cache: Path, change: dict[str, Any], named: str
) -> None:
    process = start(stage_config(tmp_path, cache, 1, SECRET, **change))
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert named in error


def test_a_misspelt_key_of_the_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stage.json").write_text('{"devise": "pi1"}')
    command = [sys.executable, "-m", "stage_runtime.stage", "--config", str(tmp_path / "stage.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "devise" in done.stderr


def test_the_socket_is_for_this_user_alone(three: list[StageProcess]) -> None:
    first = three[0]
    assert Path(first.config.control_socket).stat().st_mode & 0o777 == 0o600
    status = first.control("status")
    assert (status["tag"], status["state"], status["threads"]) == ("test", "idle", 1)


def test_without_a_stage_control_says_so_and_run_still_gives_a_measurement(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", str(CONTROL), "--socket", str(tmp_path / "s")]
    done = subprocess.run([*command, "ping"], capture_output=True, text=True, check=False)
    assert (done.returncode, list(json.loads(done.stdout))) == (1, ["error"])
    cell = "eyJ0aW1lb3V0X3MiOiAxfQ=="
    done = subprocess.run([*command, "run", cell], capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["status"]) == (1, "failed")
    assert "the stage_service role starts it" in answer["reason"]
    for wrong in (["run"], ["ping", cell], ["run", "!"], ["run", "e30="]):
        assert subprocess.run([*command, *wrong], capture_output=True, check=False).returncode == 2


def test_a_request_that_makes_no_sense_is_answered(three: list[StageProcess]) -> None:
    first = three[0]
    answer = first.control("run", "eyJ0aW1lb3V0X3MiOiAxfQ==")
    assert answer["status"] == "failed"
    assert "the cell does not parse" in answer["reason"]
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(first.config.control_socket)
        stranger.sendall(b'{"op": "dance"}\n')
        assert b"unknown operation" in stranger.recv(1000)
    wait_ready(first)
    assert first.control("ping")["device"] == "dev1"
