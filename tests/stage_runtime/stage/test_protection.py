"""Real stage processes: TLS between them, and where and for whom they listen."""

from __future__ import annotations

import contextlib
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from msgspec import structs
from safetensors.torch import load_file

from stage_runtime.formats.manifest import Manifest
from stage_runtime.formats.row import Measurement
from stage_runtime.formats.stage_config import StageConfig
from sweep.certificates import new_certificates
from sweep.secret import tls_files
from tests.stage_runtime.graphs.making import make_images, make_model
from tests.stage_runtime.models.comparing import relative_error
from tests.stage_runtime.stage.processes import (
    StageProcess,
    eventually,
    make_cell,
    running_stages,
    stage_config,
    stage_configs,
    start,
    with_world,
)
from tests.stage_runtime.transports.keys import device


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    make_images(folder)
    return folder


@pytest.fixture(scope="module")
def manifest(cache: Path) -> Manifest:
    return make_model(cache, "small")


def own_files(place: Path, config: StageConfig) -> StageConfig:
    """Give a stage copies of its own, as the role does."""
    home = Path(config.control_socket).parent
    found = structs.asdict(tls_files(place, config.device))
    for what, source in found.items():
        (home / what).touch(mode=0o600)
        (home / what).write_bytes(Path(source).read_bytes())
    files = msgspec.convert({what: str(home / what) for what in found}, type(tls_files(place, config.device)))
    return structs.replace(config, tls=files, own_keys=True)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[list[StageProcess]]:
    """Run two stages under TLS, and a third that has another command's certificate."""
    folder = tmp_path_factory.mktemp("p")
    configs = stage_configs(folder, cache, 3)
    devices = [device(config.device, config.data_address) for config in configs]
    (folder / "other").mkdir()
    with new_certificates(folder, devices) as mine, new_certificates(folder / "other", devices) as others:
        told = [own_files(place, config) for place, config in zip((mine, mine, others), configs, strict=True)]
        with running_stages(told) as running:
            yield running


def call_as_strangers(config: StageConfig) -> None:
    """Call from several addresses, more often than there are places, and say nothing, too little, or too much."""
    place = (config.data_address, config.port)
    calls = [(f"127.0.1.{number}", 0) for number in range(1, 5) for _ in range(6)]
    strangers = [socket.create_connection(place, 5, source) for source in calls]
    for number, stranger in enumerate(strangers):
        with contextlib.suppress(OSError):
            stranger.sendall((b"", b"\x16\x03\x01", b"SBH1", b"SBT1" + bytes(64), b"\xff" * 100_000)[number % 5])
    for stranger in strangers:
        stranger.close()


def test_a_split_model_gives_its_output_under_tls(pair: list[StageProcess], manifest: Manifest, tmp_path: Path) -> None:
    """Before and after strangers have called."""
    configs = [stage.config for stage in pair[:2]]
    whole = pair[0].run(make_cell(configs, manifest, (), tls=True), tmp_path / "whole")
    assert whole["status"] == "ok", whole["reason"]
    for number in range(2):
        answer = pair[0].run(make_cell(configs, manifest, (2,), window=2, tls=True), tmp_path / "split")
        assert answer["status"] == "ok", answer["reason"]
        (hop,) = answer["hops"]
        assert hop["protection"].startswith("TLSv1.3 TLS_")
        outputs = [load_file(tmp_path / name)["output"] for name in ("whole", "split")]
        assert relative_error(outputs[1], outputs[0]) < 1e-5
        if not number:
            call_as_strangers(pair[1].config)


def test_stages_listen_on_their_data_address_and_a_socket_for_their_user_alone(pair: list[StageProcess]) -> None:
    for stage in pair:
        listening = [
            (found.laddr.ip, found.laddr.port)
            for found in psutil.Process(stage.process.pid).net_connections("inet")
            if found.status == psutil.CONN_LISTEN
        ]
        assert listening == [(stage.config.data_address, stage.config.port)]
        mode = Path(stage.config.control_socket).stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600


def test_a_cell_that_is_not_to_run_under_tls_is_refused(pair: list[StageProcess], manifest: Manifest) -> None:
    cell = make_cell([stage.config for stage in pair[:2]], manifest, (2,))
    answer = pair[0].run(cell)
    assert answer["status"] == "failed"
    assert answer["failed_device"] == "dev1"
    assert "this stage is one with TLS, and the cell is to run without" in answer["reason"]


def test_a_stage_of_another_command_is_refused_by_name(pair: list[StageProcess], manifest: Manifest) -> None:
    chain = [pair[0].config, pair[2].config]
    answer = msgspec.convert(pair[0].run(make_cell(chain, manifest, (2,), tls=True)), Measurement)
    assert answer.status == "failed"
    assert answer.failed_device == "dev3"
    assert "the certificate of 127.0.0.3" in answer.reason


def test_a_stage_without_tls_is_refused_by_name(
    pair: list[StageProcess], cache: Path, manifest: Manifest, tmp_path: Path
) -> None:
    secret = Path(pair[0].config.secret_file).read_bytes()
    plain = stage_config(tmp_path, cache, 4, secret)
    with running_stages([plain]):
        cell = make_cell([pair[0].config, plain], manifest, (2,), tls=True)
        answer = msgspec.convert(pair[0].run(cell), Measurement)
    assert answer.failed_device == "dev4"
    assert "is a stage without TLS, and this is one with; start both again" in answer.reason


def test_keys_are_gone_when_the_stage_has_ended(cache: Path, tmp_path: Path) -> None:
    (config,) = stage_configs(tmp_path, cache, 1)
    with new_certificates(tmp_path, [device(config.device, config.data_address)]) as place:
        told = own_files(place, config)
    assert told.tls is not None
    keys = [Path(told.secret_file), *map(Path, structs.astuple(told.tls))]
    with running_stages([told]) as (stage,):
        assert all(path.exists() for path in keys)
        assert stage.control("stop")["stopping"]
        assert eventually(lambda: stage.process.poll() is not None)
    assert not any(path.exists() for path in keys)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("world", "TLS and an RPC world exclude each other"), ("mode", "is open to others"), ("gone", "No such file")],
)
def test_keys_that_cannot_be_used_are_named(cache: Path, tmp_path: Path, wrong: str, said: str) -> None:
    (config,) = stage_configs(tmp_path, cache, 1)
    with new_certificates(tmp_path, [device(config.device, config.data_address)]) as place:
        told = own_files(place, config)
    assert told.tls is not None
    if wrong == "world":
        (told,) = with_world([told])
    elif wrong == "mode":
        Path(told.tls.key).chmod(0o644)
    else:
        Path(told.tls.key).unlink()
    process = start(told)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said in complaint
    assert complaint.splitlines()[-1].startswith("stage: ")
