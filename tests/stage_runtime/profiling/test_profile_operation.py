"""The control operation ``profile`` of a real stage process, and how it gives way to what is newer."""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from stage_runtime.formats.profile import ProfileAnswer, ProfileRequest
from tests.stage_runtime.profiling.conftest import Cache
from tests.stage_runtime.stage.processes import CONTROL, StageProcess, make_cell, stages

LONG = {"passes": 100_000, "timeout_s": 300.0}
SOON_S = 60.0


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, cache: Cache) -> Iterator[StageProcess]:
    with stages(tmp_path_factory.mktemp("stage"), cache.folder, 1) as (one,):
        yield one


def encoded(cache: Cache, **changes: Any) -> str:
    values: dict[str, Any] = {
        "manifest_id": cache.manifest.manifest_id,
        "inputs_id": "inputs",
        "batches": (1, 2),
        "passes": 3,
        "warmup": 1,
        "most_s": 0.0,
        "timeout_s": 60.0,
    }
    return base64.b64encode(msgspec.json.encode(ProfileRequest(**values | changes))).decode()


def profile(stage: StageProcess, cache: Cache, **changes: Any) -> ProfileAnswer:
    return msgspec.convert(stage.control("profile", encoded(cache, **changes)), ProfileAnswer)


def begin(stage: StageProcess, cache: Cache) -> subprocess.Popen[str]:
    """Start a profile that takes very long, and wait until the stage is at it."""
    words = [sys.executable, "-I", "-S", str(CONTROL), "--socket", stage.config.control_socket, "profile"]
    process = subprocess.Popen([*words, encoded(cache, **LONG)], stdout=subprocess.PIPE, text=True)
    wait_for(stage, "running")
    return process


def wait_for(stage: StageProcess, state: str) -> None:
    end = time.monotonic() + SOON_S
    while stage.control("status")["state"] != state:
        assert time.monotonic() < end, f"the stage is not {state}"
        time.sleep(0.05)


def test_it_answers_with_the_profile_of_the_whole_model(stage: StageProcess, cache: Cache) -> None:
    answer = profile(stage, cache)
    assert (answer.status, answer.reason) == ("ok", "")
    assert answer.profile is not None
    assert (answer.profile.device, answer.profile.threads) == ("dev1", 1)
    assert len(answer.profile.blocks) == len(cache.manifest.blocks)
    assert stage.control("status")["state"] == "idle"


def test_a_cell_is_measured_as_ever_before_and_after(stage: StageProcess, cache: Cache) -> None:
    cell = make_cell([stage.config], cache.manifest, ())
    for _ in range(2):
        assert stage.run(cell)["status"] == "ok"
        assert profile(stage, cache).status == "ok"


def test_a_cell_takes_the_device_from_a_profile(stage: StageProcess, cache: Cache) -> None:
    process = begin(stage, cache)
    assert stage.run(make_cell([stage.config], cache.manifest, ()))["status"] == "ok"
    output, _ = process.communicate(timeout=SOON_S)
    answer = msgspec.json.decode(output, type=ProfileAnswer)
    assert answer.status == "failed"
    assert "dev1 was taken over by a newer run command" in answer.reason


def test_a_profile_ends_with_the_command_that_asked_for_it(stage: StageProcess, cache: Cache) -> None:
    process = begin(stage, cache)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=SOON_S)
    wait_for(stage, "idle")


def test_a_profile_out_of_time_says_so(stage: StageProcess, cache: Cache) -> None:
    answer = profile(stage, cache, passes=100_000, timeout_s=0.5)
    assert answer.status == "timeout"
    assert answer.reason == "dev1 was still profiling when the 0.5 s of the profile were over"


def test_what_goes_wrong_is_answered(stage: StageProcess, cache: Cache) -> None:
    answer = profile(stage, cache, inputs_id="absent")
    assert answer.status == "failed"
    assert "absent" in answer.reason
    wrong = base64.b64encode(b'{"timeout_s": 5, "what": 1}').decode()
    assert "does not parse" in stage.control("profile", wrong)["reason"]


def test_where_no_stage_runs_the_answer_says_so(stage: StageProcess, cache: Cache) -> None:
    words = [sys.executable, "-I", "-S", str(CONTROL), "--socket", stage.config.control_socket + ".not", "profile"]
    done = subprocess.run([*words, encoded(cache)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    answer = msgspec.json.decode(done.stdout, type=ProfileAnswer)
    assert answer.status == "failed"
    assert "no stage runs on this device" in answer.reason


@pytest.mark.parametrize("words", [["profile"], ["ping", "e30="], ["profile", "e30="], ["profile", "%%"]])
def test_a_command_without_what_it_needs_is_refused(stage: StageProcess, words: list[str]) -> None:
    command = [sys.executable, "-I", "-S", str(CONTROL), "--socket", stage.config.control_socket, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "request" in done.stderr
