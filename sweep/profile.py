"""Profile models on devices: prepare as a sweep does, ask each device's stage, keep what it answers.

Virtual devices share the control node's cores, so they are profiled one after the other; real ones side by
side.  A device that fails does not lose the others.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from threading import Lock
from typing import Any

import msgspec

from stage_runtime.formats.manifest import Manifest
from stage_runtime.formats.profile import ModelProfile, ProfileRequest
from sweep.campaign import Campaign
from sweep.interrupt import Control
from sweep.locks import hold_devices
from sweep.making import make_inputs, make_shards
from sweep.places import CHECKOUT, LOCKS
from sweep.play_field import PlayField
from sweep.profile_files import profile_folder, write_profile
from sweep.profile_options import ProfileOptions
from sweep.profile_play import ask_device
from sweep.progress import Screen
from sweep.secret import new_secret
from sweep.testbed import Testbed, pick

EXIT_OK, EXIT_FAILED = 0, 1
_IDLE_S = 120.0
_HOUR_S = 3600.0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One model on the control node: its manifest and the id of its inputs."""

    manifest: Manifest
    inputs_id: str


def profile(
    options: ProfileOptions, testbed: Testbed, screen: Screen, control: Control, *, variables: Mapping[str, Any]
) -> int:
    """Profile what `options` ask for; return 0 when every model was profiled on every device, else 1.

    `variables` are handed on to the inner plays.
    """
    named = dict.fromkeys(device for chain in testbed.chains.values() for device in chain)
    devices = pick("device", options.devices, testbed.devices) if options.devices else tuple(named)
    lanes = lanes_of_devices(devices, testbed)
    models = {model: _make(options, model) for model in options.shared.model}
    folder = Path(options.shared.results).expanduser() / "profiles"
    if options.shared.dry_run:
        _show(options, models, lanes, screen)
        return EXIT_OK
    with Campaign(folder) as campaign, hold_devices(LOCKS, [testbed.devices[name] for name in devices], campaign.name):
        work = _Profiling(options, testbed, screen, control, campaign=campaign, models=models, variables=variables)
        return work.run(devices, lanes)


def lanes_of_devices(devices: Sequence[str], testbed: Testbed) -> tuple[tuple[str, ...], ...]:
    """Group devices into lanes that can be profiled side by side: the virtual ones are all in one."""
    virtual = tuple(name for name in devices if testbed.devices[name].virtual)
    real = tuple((name,) for name in devices if not testbed.devices[name].virtual)
    return ((virtual,) if virtual else ()) + real


def _make(options: ProfileOptions, model: str) -> Wanted:
    manifest = make_shards(options.shared, model)
    return Wanted(manifest=manifest, inputs_id=make_inputs(options.shared, manifest))


def _show(
    options: ProfileOptions, models: Mapping[str, Wanted], lanes: Sequence[Sequence[str]], screen: Screen
) -> None:
    batches = ", ".join(map(str, options.shared.batch))
    for model, wanted in models.items():
        blocks = len(wanted.manifest.blocks)
        screen.line(f"{model}: {blocks} blocks, batch {batches}, up to {options.passes} passes of each kind")
    told = "; ".join(" then ".join(lane) for lane in lanes)
    screen.line(f"devices: {told}; nothing was run, no device was touched")


class _Profiling:
    """One invocation's work."""

    def __init__(
        self,
        options: ProfileOptions,
        testbed: Testbed,
        screen: Screen,
        control: Control,
        *,
        campaign: Campaign,
        models: Mapping[str, Wanted],
        variables: Mapping[str, Any],
    ) -> None:
        self._options = options
        self._testbed = testbed
        self._screen = screen
        self._control = control
        self._campaign = campaign
        self._models = models
        self._variables = variables
        self._lock = Lock()
        self._field = PlayField(testbed, variables)
        self._failed: list[str] = []
        self._total = 0
        self._done = 0

    def run(self, devices: tuple[str, ...], lanes: Sequence[Sequence[str]]) -> int:
        """Do it all and return the exit status."""
        parked = self._prepare(devices)
        ready = [[name for name in lane if name not in parked] for lane in lanes]
        self._failed = [f"all models on {device}: {reason}" for device, reason in parked.items()]
        self._total = len(self._models) * sum(map(len, ready))
        try:
            with new_secret(self._campaign.folder) as secret_file, ThreadPoolExecutor(max(1, len(ready))) as pool:
                for future in [pool.submit(self._run_lane, lane, secret_file) for lane in ready]:
                    future.result()
        finally:
            self._tidy_up()
        if self._options.shared.report and not self._control.cancelled():
            self._report()
        for text in self._failed:
            self._screen.line(f"NOT PROFILED: {text}")
        return EXIT_FAILED if self._failed else EXIT_OK

    def _tidy_up(self) -> None:
        """Leave nothing running on the devices, whatever ended the profiling."""
        left = self._field.tidy_up(self._screen.line, self._control.leaving)
        for device, reason in left.items():
            self._screen.line(f"WARNING: {device} is left to end its stage by itself: {reason}")
        self._field.clear_leftovers(self._campaign.folder)

    def _prepare(self, devices: tuple[str, ...]) -> dict[str, str]:
        self._field.clear_leftovers(self._campaign.folder)
        return self._field.make_ready(
            devices,
            shards={model: (wanted.manifest.manifest_id, wanted.inputs_id) for model, wanted in self._models.items()},
            idle_s=_IDLE_S,
            folder=self._campaign.folder,
            say=self._screen.line,
            stopping=self._control.stopping,
            cancelled=self._control.cancelled,
        )

    def _run_lane(self, lane: Sequence[str], secret_file: Path) -> None:
        for device in lane:
            for model in self._models:
                if self._control.stopping():
                    self._note(f"{model} on {device}: stopped before it began")
                else:
                    self._profile(model, device, secret_file)

    def _profile(self, model: str, device: str, secret_file: Path) -> None:
        wanted = self._models[model]
        self._field.started_on(device)
        self._screen.state(f"{model} on {device}", self._done, self._total)
        answer = ask_device(
            device,
            self._request(wanted),
            inventory=self._testbed.path,
            work=self._campaign.folder / ".plays" / device,
            secret_file=secret_file,
            variables=self._variables,
            cancelled=self._control.cancelled,
        )
        with self._lock:
            self._done += 1
            head = f"[{self._done:>{len(str(self._total))}}/{self._total}] {model} on {device}"
            if answer.profile is None:
                self._screen.line(f"{head}: {answer.status.upper()}: {answer.reason}")
                self._failed.append(f"{model} on {device}: {answer.reason}")
                return
            earlier = write_profile(self._campaign, wanted.manifest, answer.profile)
            self._screen.line(f"{head}: {describe(answer.profile)}")
            if earlier is not None:
                self._screen.line(f"the earlier profile is kept as {earlier}")

    def _request(self, wanted: Wanted) -> ProfileRequest:
        return ProfileRequest(
            manifest_id=wanted.manifest.manifest_id,
            inputs_id=wanted.inputs_id,
            batches=self._options.shared.batch,
            passes=self._options.passes,
            warmup=self._options.shared.warmup,
            most_s=self._options.model_s,
            timeout_s=self._options.shared.timeout_s or _HOUR_S,
        )

    def _note(self, text: str) -> None:
        with self._lock:
            self._failed.append(text)

    def _report(self) -> None:
        folders = [self._campaign.folder / profile_folder(wanted.manifest) for wanted in self._models.values()]
        there = [str(folder.resolve()) for folder in folders if any(folder.glob("*.json"))]
        if not there:
            return
        done = subprocess.run(
            [sys.executable, "-m", "analysis.profile", *there],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        for line in (done.stdout if done.returncode == 0 else done.stdout + done.stderr).splitlines():
            self._screen.line(line)


def describe(profile: ModelProfile) -> str:
    """Say what came out, on one line: the mean time of a pass at each batch size, and what the marks cost."""
    told = [f"batch {times.batch} {fmean(times.whole_ms):.1f} ms" for times in profile.batches]
    passes = len(profile.batches[0].whole_ms)
    cost = fmean(fmean(times.marked_ms) / fmean(times.whole_ms) for times in profile.batches) - 1
    return f"{', '.join(told)}; {passes} passes, marks {100 * cost:+.1f} %"
