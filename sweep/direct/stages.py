"""Stage processes as children of the driver: start one, talk to it, end it.

A stage is ``python -m stage_runtime.stage`` with a configuration file, as the role ``stage_service`` starts
it on a device; but it lives no longer than the driver, which therefore need not look for it.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import Measurement
from stage_runtime.formats.stage_config import StageConfig
from stage_runtime.stage.__main__ import EXIT_PORT
from stage_runtime.stage.obituary import cause
from sweep.direct.confine import Confinement
from sweep.errors import StageError
from sweep.places import CHECKOUT

_CONTROL = CHECKOUT / "stage_runtime" / "control.py"
_START_S = 120.0
_POLL_S = 0.1
_STOP_S = 10.0
_LAST_WORDS = 2000


def environment() -> dict[str, str]:
    """Give the environment of what runs for a device: this checkout first, then what the driver itself imports from."""
    path = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path}


class Keeper:
    """Starts processes that the kernel kills with the driver.

    It does so from one thread, because they are bound to the thread that starts them.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keeper")

    def start(self, command: list[str], output: Path) -> subprocess.Popen[bytes]:
        """Start `command` in a session of its own, so that a terminal's Ctrl-C is the driver's alone."""
        with output.open("wb") as file:
            return self._thread.submit(
                subprocess.Popen,
                command,
                cwd=CHECKOUT,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            ).result()

    def close(self) -> None:
        """End the thread, and with it what it started."""
        self._thread.shutdown()


class Stage:
    """One device's stage process: ``start`` it, ``await_ready``, ``run`` cells, ``stop`` it."""

    def __init__(self, config: StageConfig, confinement: Confinement, keeper: Keeper) -> None:
        self.config = config
        self._confinement = confinement
        self._keeper = keeper
        self._output = Path(config.control_socket).with_name("stage.out")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether the process has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process."""
        file = Path(self.config.control_socket).with_name("stage.json")
        file.write_bytes(msgspec.json.format(msgspec.json.encode(self.config), indent=2))
        command = [sys.executable, "-m", "stage_runtime.stage", "--config", str(file)]
        self._process = self._keeper.start(self._confinement.command(command), self._output)

    def await_ready(self, cancelled: Callable[[], bool]) -> Mapping[str, Any]:
        """Wait until the stage answers and give its status; raises StageError where it does not, or if `cancelled`."""
        deadline = time.monotonic() + _START_S
        while True:
            status = self.status()
            if self._process is not None and status.get("pid") == self._process.pid:
                return status
            ended = self._process.poll() if self._process is not None else None
            if ended is not None:
                remedy = "; here: port=NUMBER" if ended == EXIT_PORT else ""
                raise self._error(f"the stage ended with status {ended} while starting: {self._last_words()}{remedy}")
            if cancelled():
                raise self._error("the sweep was stopped")
            if time.monotonic() > deadline:
                raise self._error(f"the stage did not answer within {_START_S:g} s: {self._last_words()}")
            time.sleep(_POLL_S)

    def status(self) -> Mapping[str, Any]:
        """Ask the stage how it is; empty where it does not answer."""
        if not Path(self.config.control_socket).exists():
            return {}
        done = subprocess.run([*self._control(), "status"], capture_output=True, check=False)
        try:
            answer = msgspec.json.decode(done.stdout)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}
        return answer if isinstance(answer, dict) else {}

    def run(self, cell: Cell, cancelled: Callable[[], bool], save_output: Path | None = None) -> Measurement:
        """Run a cell with this stage as its first; when `cancelled`, the stage ends it at once.

        Never raises for a cell that went wrong: the measurement says what and whose fault it was.
        """
        saving = [] if save_output is None else ["--save-output", str(save_output)]
        encoded = base64.b64encode(msgspec.json.encode(cell)).decode()
        with subprocess.Popen(
            [*self._control(), *saving, "run", encoded],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as control:
            while True:
                try:
                    said, complained = control.communicate(timeout=_POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    if cancelled():
                        control.kill()  # the stage notices, and ends the run
        return self._read(said, complained, control.returncode)

    def became(self) -> str:
        """Say what became of the process, as a device says it of its stage."""
        return cause(Path(self.config.control_socket).parent)

    def stop(self) -> None:
        """End the process, asked first and then killed."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self, said: bytes, complained: bytes, status: int) -> Measurement:
        lines = said.strip().splitlines()
        try:
            measured = msgspec.json.decode(lines[-1] if lines else b"", type=Measurement)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            words = (complained + said).decode(errors="replace").strip()[-_LAST_WORDS:] or "nothing"
            reason = f"the control command ended with {status} ({exc}): {words}"
            return Measurement(status="failed", failed_device=self.config.device, reason=reason)
        if measured.status == "ok" or self.alive or measured.failed_device not in {None, self.config.device}:
            return measured
        reason = f"{measured.reason}; its stage has ended: {self._last_words()}"
        return msgspec.structs.replace(measured, failed_device=self.config.device, reason=reason)

    def _error(self, reason: str) -> StageError:
        return StageError(self.config.device, reason)

    def _control(self) -> list[str]:
        return [sys.executable, "-I", "-S", str(_CONTROL), "--socket", self.config.control_socket]

    def _last_words(self) -> str:
        said = self._output.read_bytes()[-_LAST_WORDS:].decode(errors="replace").strip()
        return said or f"it said nothing; its log is {self.config.log_file}"
