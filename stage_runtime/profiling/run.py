"""A profile as the stage's current work: it can be taken over, stopped, and runs out of time."""

from __future__ import annotations

import threading

from stage_runtime.errors import SplitbedError
from stage_runtime.formats.profile import ModelProfile, ProfileAnswer, ProfileRequest
from stage_runtime.profiling.measure import profile_model
from stage_runtime.stage.workplace import Workplace
from stage_runtime.wire.messages import Error


class _Ended(Exception):  # noqa: N818  (it ends the work; what failed is noted already)
    """The profile was taken over, stopped, or is out of time."""


class ProfileRun:
    """One profile; ``measure`` is all of it.  The first failure counts, from whichever thread."""

    def __init__(self, workplace: Workplace, request: ProfileRequest) -> None:
        self.over = threading.Event()
        self.failure: Error | None = None
        self._workplace = workplace
        self._request = request
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._profile: ModelProfile | None = None

    def measure(self) -> ProfileAnswer:
        """Profile; never raises for anything that goes wrong on the way."""
        self._workplace.compute.submit(self._work)
        if not self._done.wait(self._request.timeout_s):
            limit = f"the {self._request.timeout_s:g} s of the profile were over"
            reason = f"{self._workplace.device} was still profiling when {limit}"
            self.fail(Error(device=self._workplace.device, reason=reason, status="timeout"))
        self.over.set()
        if self.failure is not None:
            late = self.failure.status == "timeout"
            return ProfileAnswer(status="timeout" if late else "failed", reason=self.failure.reason)
        return ProfileAnswer(status="ok", profile=self._profile)

    def fail(self, error: Error) -> Error:
        """Note why the profile fails, and end it before its next pass."""
        with self._lock:
            self.failure = self.failure or error
        self._done.set()
        return self.failure

    def own_error(self, reason: str) -> Error:
        """Make this device's error."""
        return Error(device=self._workplace.device, reason=reason)

    def _work(self) -> None:
        try:
            self._profile = profile_model(self._workplace, self._request, self._check)
        except _Ended:
            return
        except Exception as exc:  # noqa: BLE001  (whatever it is, whoever asked must hear of it)
            self.fail(self.own_error(str(exc) if isinstance(exc, SplitbedError) else f"{type(exc).__name__}: {exc}"))
        self._done.set()

    def _check(self) -> None:
        if self.failure is not None:
            raise _Ended
