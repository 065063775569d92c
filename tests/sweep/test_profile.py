"""The profile's driver: which devices are asked when, and what becomes of their answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from stage_runtime.formats.profile import ModelProfile, ProfileAnswer, ProfileRequest
from sweep import profile as driver
from sweep.errors import CampaignError, InventoryError, PlayError
from sweep.interrupt import Control
from sweep.locks import hold_devices
from sweep.plays import PlayResult
from sweep.profile_options import parse_profile_options
from sweep.profile_play import read_answer
from tests.analysis.profiles.conftest import make_profile
from tests.sweep.support import Recorder, manifest, small_testbed

Answer = Callable[[str, ProfileRequest], Any]
DEVICES = ("v1", "v2", "r1", "r2")


def good(device: str, request: ProfileRequest) -> ProfileAnswer:
    profile = msgspec.structs.replace(make_profile(device, batches=request.batches), manifest_id=request.manifest_id)
    return ProfileAnswer(status="ok", profile=profile)


class Plays:
    """Stand in for ``run_play``; each device answers what `answer` says."""

    def __init__(self) -> None:
        self.answer: Answer = good
        self.refused: dict[str, dict[str, str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.at_once: set[frozenset[str]] = set()
        self.secrets: set[str] = set()
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self.both_real = threading.Barrier(2, timeout=20)

    def __call__(
        self, playbook: str, *, variables: Mapping[str, Any], limit: str, on_result: Any = None, **_: Any
    ) -> PlayResult:
        failed = {host: why for host, why in self.refused.get(playbook, {}).items() if host in limit.split(",")}
        if playbook == "profile_device" and not failed:
            self._ask(variables, on_result)
        return PlayResult(status="failed" if failed else "successful", log=Path("log"), failed=failed, unreachable={})

    def _ask(self, variables: Mapping[str, Any], on_result: Any) -> None:
        device = variables["profile_device"]
        request = msgspec.convert(variables["profile_request"], ProfileRequest)
        with self._lock:
            self._running.add(device)
            self.asked.append((device, request.manifest_id.removesuffix("-manifest")))
            self.at_once.add(frozenset(self._running))
            self.secrets.add(Path(variables["profile_secret_file"]).read_text())
        said = self.answer(device, request)
        on_result(device, "stage_service : Ask whether the right stage is running", {"stdout": "running"})
        stdout = msgspec.json.encode(said).decode() if isinstance(said, ProfileAnswer) else said
        on_result(device, "Run the model block by block", {"stdout": f"a banner\n{stdout}\n", "rc": 0})
        with self._lock:
            self._running.discard(device)


class Bed:
    """Profile into one results folder."""

    def __init__(self, results: Path, plays: Plays) -> None:
        self.results = results
        self.plays = plays
        self.screen = Recorder()
        self.control = Control()

    def __call__(self, **given: Any) -> int:
        plain = {"model": "alexnet", "devices": ",".join(DEVICES), "results": str(self.results), "report": False}
        self.screen = Recorder()
        return driver.profile(
            parse_profile_options(plain | given), small_testbed(), self.screen, self.control, variables={}
        )

    @property
    def files(self) -> set[str]:
        folder = self.results / "profiles"
        return {str(path.relative_to(folder)) for path in folder.rglob("*.json")}


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    plays = Plays()
    monkeypatch.setattr("sweep.profile_play.run_play", plays)
    monkeypatch.setattr("sweep.prepare.run_play", plays)
    monkeypatch.setattr("sweep.leftovers.run_play", plays)
    monkeypatch.setattr("sweep.leftovers.WORK", tmp_path / "work")
    monkeypatch.setattr("sweep.profile.make_shards", lambda _options, model: manifest(model))
    monkeypatch.setattr("sweep.profile.make_inputs", lambda _options, _manifest: "inputs")
    monkeypatch.setattr("sweep.profile.LOCKS", tmp_path / "locks")
    return Bed(tmp_path / "results", plays)


def test_each_devices_profile_of_each_model_is_a_file(bed: Bed) -> None:
    assert bed(model="alexnet,vgg16") == 0
    folders = ("alexnet-alexnet-", "vgg16-vgg16-ma")
    assert bed.files == {f"{folder}/{device}.json" for folder in folders for device in DEVICES}
    path = bed.results / "profiles" / folders[0] / "v1.json"
    assert msgspec.json.decode(path.read_bytes(), type=ModelProfile).device == "v1"
    assert "[8/8] " in bed.screen.text
    assert "batch 1 18.0 ms, batch 8 144.0 ms; 2 passes, marks +0.0 %" in bed.screen.text


def test_virtual_devices_are_profiled_one_after_the_other_and_real_ones_side_by_side(bed: Bed) -> None:
    def wait_for_the_other(device: str, request: ProfileRequest) -> ProfileAnswer:
        if device.startswith("r"):
            bed.plays.both_real.wait()  # breaks unless both are asked at once
        return good(device, request)

    bed.plays.answer = wait_for_the_other
    assert bed() == 0
    assert not any({"v1", "v2"} <= running for running in bed.plays.at_once)


def test_without_devices_every_one_that_a_chain_names_is_profiled(bed: Bed) -> None:
    options = parse_profile_options({"model": "alexnet", "results": str(bed.results), "report": False})
    assert driver.profile(options, small_testbed(), bed.screen, bed.control, variables={}) == 0
    assert {device for device, _ in bed.plays.asked} == {"v1", "v2", "v3", "r1", "r2", "r3", "r4"}


def test_a_device_that_fails_does_not_lose_the_others(bed: Bed) -> None:
    def answer(device: str, request: ProfileRequest) -> Any:
        refusal = ProfileAnswer(status="failed", reason=f"{device} has too little memory")
        return refusal if device == "v1" else "Killed" if device == "r2" else good(device, request)

    bed.plays.answer = answer
    bed.plays.refused = {"provision": {"r1": "unreachable: no route"}}
    assert bed() == 1
    assert bed.files == {"alexnet-alexnet-/v2.json"}
    assert "NOT PROFILED: alexnet on v1: v1 has too little memory" in bed.screen.text
    assert "NOT PROFILED: all models on r1: unreachable: no route" in bed.screen.text
    assert "NOT PROFILED: alexnet on r2: the control command ended with 0: a banner\nKilled" in bed.screen.text
    assert ("r1", "alexnet") not in bed.plays.asked


def test_a_play_that_fails_or_cannot_be_run_is_that_devices_failure(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.plays.refused = {"profile_device": {"v1": "Start the stage: port 47300 is taken"}}
    assert bed(devices="v1,v2") == 1
    assert "alexnet on v1: Start the stage: port 47300 is taken" in bed.screen.text

    def broken(*_: Any, **__: Any) -> PlayResult:
        raise PlayError("no ansible-playbook")

    monkeypatch.setattr("sweep.profile_play.run_play", broken)
    assert bed(devices="v2") == 1
    assert "alexnet on v2: no ansible-playbook" in bed.screen.text


def test_a_profile_made_again_keeps_the_earlier_one_and_says_where(bed: Bed) -> None:
    assert bed(devices="v1") == 0
    assert "earlier" not in bed.screen.text
    first = (bed.results / "profiles" / "alexnet-alexnet-" / "v1.json").read_bytes()
    bed.plays.answer = lambda device, request: ProfileAnswer(
        status="ok", profile=make_profile(device, slower=2.0, batches=request.batches)
    )
    assert bed(devices="v1") == 0
    (earlier,) = (bed.results / "profiles" / "alexnet-alexnet-" / "earlier").iterdir()
    assert earlier.read_bytes() == first
    assert f"the earlier profile is kept as {earlier}" in bed.screen.text
    assert (bed.results / "profiles" / "alexnet-alexnet-" / "v1.json").read_bytes() != first


def test_the_secret_is_new_each_time_and_not_left_behind(bed: Bed) -> None:
    assert bed(devices="v1,v2") == 0
    assert bed(devices="v1") == 0
    assert len(bed.plays.secrets) == 2
    assert not (bed.results / "profiles" / ".secret").exists()


def test_once_it_is_to_stop_no_further_device_is_asked(bed: Bed) -> None:
    def answer(device: str, request: ProfileRequest) -> ProfileAnswer:
        bed.control.interrupt()
        return good(device, request)

    bed.plays.answer = answer
    assert bed(devices="v1,v2") == 1
    assert bed.plays.asked == [("v1", "alexnet")]
    assert "NOT PROFILED: alexnet on v2: stopped before it began" in bed.screen.text


def test_a_device_that_a_sweep_holds_is_not_profiled(bed: Bed, tmp_path: Path) -> None:
    refused = pytest.raises(CampaignError, match="device `v1` is in use by campaign other")
    with hold_devices(tmp_path / "locks", [small_testbed().devices["v1"]], "other"), refused:
        bed(devices="v1")
    assert bed.plays.asked == []


def test_a_dry_run_touches_nothing(bed: Bed) -> None:
    assert bed(dry_run=True) == 0
    assert "alexnet: 13 blocks, batch 1, 8, up to 20 passes of each kind" in bed.screen.text
    assert "devices: v1 then v2; r1; r2; nothing was run" in bed.screen.text
    assert not bed.results.exists()


def test_a_device_that_is_none_is_refused(bed: Bed) -> None:
    with pytest.raises(InventoryError, match="unknown device `v9`"):
        bed(devices="v9")


def test_the_table_is_shown_at_the_end(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        shown.append(command)
        return SimpleNamespace(returncode=0, stdout="the table\n", stderr="")

    monkeypatch.setattr("sweep.profile.subprocess.run", run)
    assert bed(report=True, devices="v1") == 0
    assert shown[0][1:3] == ["-m", "analysis.profile"]
    assert shown[0][3].endswith("results/profiles/alexnet-alexnet-")
    assert bed.screen.lines[-1] == "the table"


@pytest.mark.parametrize("said", ["", "{", '{"status": "odd"}', "Segmentation fault"])
def test_an_answer_that_is_none_is_a_failure_with_what_was_said(said: str) -> None:
    answer = read_answer({"stdout": said, "stderr": "on stderr", "rc": 139})
    assert answer.status == "failed"
    assert answer.reason == f"the control command ended with 139: on stderr {said}".strip()
