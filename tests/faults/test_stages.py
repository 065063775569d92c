"""What becomes of a cell when a stage, its device's memory or its link goes wrong while it measures.

Stages run on virtual devices, started over SSH as any command there, and cells are run by the control command.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from msgspec import structs
from safetensors.torch import save_file

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.manifest import Manifest
from stage_runtime.formats.stage_config import StageConfig
from stage_runtime.shards.make import make_shards
from stage_runtime.shards.requests import ShardRequest
from stage_runtime.shards.store import ShardStore
from tests.faults.causing import exhaust_memory, narrowed, received_bytes, stage_on, strike, unplugged, until
from tests.faults.conftest import MEMORY_MB
from tests.stage_runtime.stage.processes import CONTROL, encode_cell, make_cell, stage_config
from tests.virtual_devices import VirtualTestbed

pytestmark = pytest.mark.integration

DEVICES = ("one", "two")
SILENCE_S = 3.0
# A stage that stands still ends its cell within so many seconds of its limit.
SLACK_S = 5.0
# What crosses the middle of the model in ten batches of two images: 64 x 6 x 6 floats.
_TEN_BATCHES = 10 * 2 * 64 * 6 * 6 * 4


class Stages:
    """Resident stages on both devices; one that is gone is started again before the next cell."""

    def __init__(self, bed: VirtualTestbed, folder: Path, manifest: Manifest) -> None:
        self.bed = bed
        self.manifest = manifest
        secret = secrets.token_hex(16).encode()
        self.configs = {
            name: stage_config(
                folder, folder / "cache", number, secret, device=name, data_address=bed.data_address(name), port=47300
            )
            for number, name in enumerate(DEVICES, start=1)
        }
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._open = contextlib.ExitStack()

    def run_folder(self, name: str) -> Path:
        """Give the folder of a stage's socket."""
        return Path(self.configs[name].control_socket).parent

    def ensure(self) -> None:
        """Have both stages run."""
        for name, config in self.configs.items():
            if stage_on(self.bed, name) is None:
                self._start(name, config)
        for name in self.configs:
            until(lambda name=name: "pid" in self.control(name, "ping"), f"the stage on {name} did not come up")

    def _start(self, name: str, config: StageConfig) -> None:
        file = self.run_folder(name) / "stage.json"
        file.write_bytes(msgspec.json.encode(config))
        words = [sys.executable, "-m", "stage_runtime.stage", "--config", str(file)]
        self._running[name] = self._open.enter_context(self.bed.start(name, words))

    def control(self, name: str, *words: str) -> dict[str, Any]:
        """Ask a stage, whose socket lies in the file system that all virtual devices share."""
        asked = [sys.executable, "-I", "-S", str(CONTROL), "--socket", self.configs[name].control_socket, *words]
        answer: dict[str, Any] = json.loads(subprocess.run(asked, capture_output=True, text=True, check=False).stdout)
        return answer

    def became(self, name: str) -> str:
        """Ask a device what became of its stage."""
        words = [sys.executable, "-m", "stage_runtime.stage.obituary", str(self.run_folder(name))]
        said: str = json.loads(self.bed.run(name, words).strip().splitlines()[-1])["cause"]
        return said

    def cell(self, cut: Sequence[int] = (9,), **changes: Any) -> Cell:
        """Write a cell over both devices, long enough for what is to happen to it."""
        given = {"batches": 3000, "timeout_s": 240.0, "silence_s": SILENCE_S} | changes
        return make_cell(list(self.configs.values()), self.manifest, cut, **given)

    @contextlib.contextmanager
    def measuring(self, cell: Cell) -> Iterator[subprocess.Popen[str]]:
        """Run a cell; the block begins while it measures, and ends with its answer."""
        words = [sys.executable, "-I", "-S", str(CONTROL), "--socket", self.configs["one"].control_socket]
        before = received_bytes(self.bed, "two")
        with subprocess.Popen([*words, "run", encode_cell(cell)], stdout=subprocess.PIPE, text=True) as asked:
            until(
                lambda: received_bytes(self.bed, "two") > before + _TEN_BATCHES or asked.poll() is not None, "batches"
            )
            assert asked.poll() is None, asked.communicate()[0]
            yield asked

    def stop(self) -> None:
        """End both, whatever state they are in."""
        for name in DEVICES:
            with contextlib.suppress(AssertionError):
                strike(self.bed, name, signal.SIGKILL)
        self._open.close()


def answer_of(asked: subprocess.Popen[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(asked.communicate(timeout=120)[0])
    return answer


@pytest.fixture(scope="module")
def running(bed: VirtualTestbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    folder = tmp_path_factory.mktemp("stages")
    (folder / "cache" / "inputs").mkdir(parents=True)
    images = torch.randn(6, 3, 96, 96, generator=torch.Generator().manual_seed(3))
    save_file({"images": images}, folder / "cache" / "inputs" / "inputs.safetensors")
    request = ShardRequest(
        model="mobilenet_v2", granularity="paper", weights="seeded", num_classes=10, seed=0, input_size=96
    )
    manifest, _ = make_shards(request, ShardStore(folder / "cache" / "shards"))
    found = Stages(bed, folder, manifest)
    yield found
    found.stop()


@pytest.fixture
def stages(running: Stages) -> Iterator[Stages]:
    """Give stages that run, and see afterwards that a cell goes through them, whatever happened."""
    running.ensure()
    yield running
    running.ensure()
    measured = running_cell(running)
    assert measured["status"] == "ok", measured["reason"]


def running_cell(stages: Stages) -> dict[str, Any]:
    return stages.control("one", "run", encode_cell(stages.cell(batches=3)))


def assert_lost(measured: dict[str, Any], device: str, *said: str) -> None:
    assert measured["lost"], measured["reason"]
    assert measured["failed_device"] == device
    for text in said:
        assert text in measured["reason"]


def test_a_killed_stage_is_named_at_once_and_its_device_knows_that_it_was_killed(stages: Stages) -> None:
    with stages.measuring(stages.cell()) as asked:
        strike(stages.bed, "two", signal.SIGKILL)
        struck = time.monotonic()
        measured = answer_of(asked)
    assert time.monotonic() - struck < SLACK_S
    assert_lost(measured, "two", "no connection with two (any more)")
    assert measured["status"] == "failed"
    assert stages.became("two") == "its stage was killed, or crashed"


def test_a_killed_first_stage_is_noticed_by_the_control_command_at_once(stages: Stages) -> None:
    with stages.measuring(stages.cell()) as asked:
        strike(stages.bed, "one", signal.SIGKILL)
        struck = time.monotonic()
        measured = answer_of(asked)
    assert time.monotonic() - struck < SLACK_S
    assert_lost(measured, "one", "one: the stage behind its control socket: the stage ended before it answered")
    assert measured["status"] == "failed"
    assert stages.became("one") == "its stage was killed, or crashed"


@pytest.mark.parametrize("window", [1, 4])
def test_a_stage_that_stands_still_ends_the_cell_within_five_seconds_of_its_limit(stages: Stages, window: int) -> None:
    with stages.measuring(stages.cell(window=window)) as asked:
        strike(stages.bed, "two", signal.SIGSTOP)
        struck = time.monotonic()
        measured = answer_of(asked)
    assert time.monotonic() - struck < SILENCE_S + SLACK_S
    assert_lost(measured, "two", "two gave no sign of life for", "silence_s is 3")
    assert measured["status"] == "timeout"
    assert "stands still: it was stopped by a signal (SIGSTOP)" in stages.became("two")
    strike(stages.bed, "two", signal.SIGCONT)


def test_a_stage_out_of_memory_is_named_and_its_device_knows_why(stages: Stages) -> None:
    with stages.measuring(stages.cell()) as asked:
        exhaust_memory(stages.bed, "two")
        measured = answer_of(asked)
    assert_lost(measured, "two", "no connection with two (any more)")
    assert stages.became("two") == (
        f"its stage was killed by the kernel because the device was out of memory (limit {MEMORY_MB} MiB)"
    )


def test_five_seconds_without_a_link_are_survived_by_default_and_are_in_the_row(stages: Stages) -> None:
    # so many that a busy machine pulls the cable before they are through
    cell = structs.replace(stages.cell(batches=500, warmup=1), silence_s=15.0)
    with stages.measuring(cell) as asked:
        with unplugged(stages.bed, "two"):
            time.sleep(5.0)
        measured = answer_of(asked)
    assert measured["status"] == "ok", measured["reason"]
    assert len(measured["batch_response_ms"]) + measured["discarded"] == 500
    assert max(measured["batch_response_ms"]) > 4000
    assert measured["hops"][0]["silence_ms"] > 3000
    assert [text for text in measured["unstable"] if text.startswith("nothing came between one and two for")]


def test_a_longer_outage_ends_the_cell_and_the_next_one_begins_anew(stages: Stages) -> None:
    with stages.measuring(stages.cell()) as asked, unplugged(stages.bed, "two"):
        struck = time.monotonic()
        measured = answer_of(asked)
        assert time.monotonic() - struck < SILENCE_S + SLACK_S
        assert "runs, so the link to it was down" in stages.became("two")
        refused = running_cell(stages)
        assert_lost(refused, "two", "two")
    assert_lost(measured, "two", "or the link between two and one is down")
    until(lambda: stages.control("two", "status")["state"] == "idle", "the second stage still waits for the first")


def test_a_connection_whose_other_end_vanished_is_found_out_and_replaced(stages: Stages) -> None:
    with stages.measuring(stages.cell()) as asked:
        with unplugged(stages.bed, "two"):
            # its kernel says goodbye into a cable that is not there: the first one's end stays open
            strike(stages.bed, "two", signal.SIGKILL)
            struck = time.monotonic()
            measured = answer_of(asked)
        assert time.monotonic() - struck < SILENCE_S + SLACK_S
    assert_lost(measured, "two", "two gave no sign of life for")
    assert stages.became("two") == "its stage was killed, or crashed"


def test_an_idle_connection_whose_other_end_vanished_costs_the_next_cell_nothing(stages: Stages) -> None:
    assert running_cell(stages)["status"] == "ok"
    with unplugged(stages.bed, "two"):
        strike(stages.bed, "two", signal.SIGKILL)
        until(lambda: stage_on(stages.bed, "two") is None, "the stage did not end")
    stages.ensure()
    measured = running_cell(stages)
    assert measured["status"] == "ok", measured["reason"]


def test_a_frame_that_takes_longer_than_the_limit_is_no_silence(stages: Stages) -> None:
    assert running_cell(stages)["status"] == "ok"  # all is loaded
    with narrowed(stages.bed, "one", "3mbit"):
        # 16 x 48 x 48 floats of 12 images are 1.8 MB: 4.7 s at 3 Mbit/s
        cell = stages.cell((2,), batch=12, batches=2, warmup=0, window=2)
        measured = stages.control("one", "run", encode_cell(cell))
        assert measured["status"] == "ok", measured["reason"]
        assert measured["hops"][0]["transfer_ms"] > 1000 * SILENCE_S
        assert measured["hops"][0]["silence_ms"] < 1000 * SILENCE_S
