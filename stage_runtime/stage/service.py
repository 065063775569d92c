"""The resident process: its sockets, its current run, its lifetime."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

from stage_runtime import __version__
from stage_runtime.errors import TransportError
from stage_runtime.formats.cell import Cell
from stage_runtime.formats.profile import ProfileRequest
from stage_runtime.formats.stage_config import StageConfig
from stage_runtime.profiling.run import ProfileRun
from stage_runtime.stage.door import Door
from stage_runtime.stage.follower import FollowerRun
from stage_runtime.stage.gate import Gate
from stage_runtime.stage.leader import LeaderRun
from stage_runtime.stage.run import Run
from stage_runtime.stage.upstream import Upstream
from stage_runtime.stage.workplace import Workplace
from stage_runtime.stage.world import World
from stage_runtime.transports.base import Listener, Stream
from stage_runtime.transports.tls import Tls
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.messages import Configure, Error

_log = logging.getLogger(__name__)

_ACCEPT_S = 0.5
_LEASE_PERIOD_S = 2.0
_TAKE_OVER_S = 1.0
_STOP_S = 3.0


class Service:
    """One stage process, between start and stop.

    A device runs one cell, or profiles one model, at a time.  The newest wins: whoever starts one ends what was
    running, because an older run is what a control node left behind when it was killed.
    """

    def __init__(
        self,
        config: StageConfig,
        workplace: Workplace,
        listener: Listener,
        secret: bytes,
        tag: str = "",
        *,
        world: World | None = None,
        tls: Tls | None = None,
    ) -> None:
        self._config = config
        self._workplace = workplace
        self._listener = listener
        self._tag = tag
        self._world = world
        self._lock = threading.Lock()
        self._current: Run | ProfileRun | None = None
        self._runs = 0
        self._started = self._spoken_to = time.monotonic()
        self.stopping = threading.Event()
        self._door = Door(Gate(secret, tls), f"{config.data_address}:{config.port}", self._serve)
        self.stop_reason = ""

    # What control asks for

    def lead(self, cell: Cell, save_output: Path | None = None) -> LeaderRun:
        """Make a run of a cell with this device as its first stage; the caller has it ``measure``."""
        run = LeaderRun(self._workplace, cell, save_output)
        self._take_over(run, f"a newer run command (cell {cell.cell_id})")
        return run

    def profile(self, request: ProfileRequest) -> ProfileRun:
        """Make a profile of a model; the caller has it ``measure``."""
        run = ProfileRun(self._workplace, request)
        self._take_over(run, f"a newer profile command (model {request.manifest_id})")
        return run

    def status(self) -> dict[str, Any]:
        """Say who this is and how it is."""
        with self._lock:
            run = self._current
        busy = run is not None and not run.over.is_set()
        now = time.monotonic()
        return {
            "device": self._config.device,
            "pid": os.getpid(),
            "runtime": __version__,
            "tag": self._tag,
            "address": f"{self._config.data_address}:{self._config.port}",
            "accelerator": self._workplace.accelerator,
            "threads": self._workplace.threads,
            "world": self._world.status() if self._world is not None else None,
            "state": "running" if busy else "idle",
            "cell_id": run.cell.cell_id if isinstance(run, Run) and busy else None,
            "runs": self._runs,
            "uptime_s": round(now - self._started, 3),
            "lifetime_left_s": round(self._config.lifetime_s - (now - self._started), 3),
            "idle_left_s": round(self._config.idle_s - (now - self._spoken_to), 3),
        }

    def await_world(self) -> None:
        """Wait until the RPC world, if there is one, is up or has failed."""
        if self._world is not None:
            self._world.wait()

    def touch(self) -> None:
        """Note that somebody spoke to this stage."""
        self._spoken_to = time.monotonic()

    def stop(self, reason: str) -> None:
        """End the process soon; the first reason counts.  Safe in a signal handler."""
        if not self.stopping.is_set():
            self.stop_reason = reason
            self.stopping.set()

    # What neighbours ask for

    def accept_neighbours(self) -> None:
        """Accept connections from other stages until the end; a thread's work."""
        self._accept(self._listener)

    def join_world(self) -> None:
        """Join the RPC world if there is one, and accept connections there until the end; a thread's work."""
        listener = self._world.join() if self._world is not None else None
        if listener is not None:
            self._accept(listener)

    def _accept(self, listener: Listener) -> None:
        while not self.stopping.is_set():
            try:
                stream = listener.accept(_ACCEPT_S)
            except TransportError as exc:
                if not self.stopping.is_set():
                    _log.exception("no longer listening")
                    self.stop(f"cannot accept connections any more: {exc}")
                return
            if stream is not None:
                self._door.receive(stream)

    def _serve(self, stream: Stream) -> None:
        Upstream(Channel(stream), self._config.device, self._begin_follower).serve()

    def _begin_follower(self, channel: Channel, number: int, told: Configure) -> FollowerRun:
        run = FollowerRun(self._workplace, channel, number, told)
        self._take_over(run, f"a newer cell ({told.cell.cell_id}) from {told.cell.stages[told.stage - 1].device}")
        return run

    def _take_over(self, run: Run | ProfileRun, by: str) -> None:
        self.touch()
        with self._lock:
            before, self._current = self._current, run
            self._runs += 1
        if before is not None and not before.over.is_set():
            before.fail(before.own_error(f"{self._config.device} was taken over by {by}"))
            before.over.wait(_TAKE_OVER_S)

    # Lifetime

    def live(self) -> None:
        """Keep the lease alive until the stage is stopped, its lifetime is over, or nobody speaks to it."""
        lease = Path(self._config.lease_file)
        while not self.stopping.wait(min(_LEASE_PERIOD_S, self._next_limit_s())):
            _touch_lease(lease)
            run = self._current
            if run is not None and not run.over.is_set():
                self.touch()
            now = time.monotonic()
            if now - self._started >= self._config.lifetime_s:
                self.stop(f"its lifetime of {self._config.lifetime_s:g} s is over")
            elif now - self._spoken_to >= self._config.idle_s:
                self.stop(f"nobody spoke to it for {self._config.idle_s:g} s")

    def _next_limit_s(self) -> float:
        now = time.monotonic()
        left = min(self._started + self._config.lifetime_s, self._spoken_to + self._config.idle_s) - now
        return max(0.01, left)

    def shut_down(self) -> None:
        """End the current run, telling its first stage why, and close every connection."""
        self._listener.close()
        with self._lock:
            run = self._current
        if run is not None and not run.over.is_set():
            device = self._config.device
            run.fail(Error(device=device, reason=f"the stage on {device} was stopped: {self.stop_reason}", lost=True))
            run.over.wait(_STOP_S)
        self._workplace.neighbours.close()
        if self._world is not None:
            self._world.leave()


def _touch_lease(lease: Path) -> None:
    """Renew the lease; where there is none, nothing is shaped."""
    try:
        os.utime(lease)
    except FileNotFoundError:
        return
    except OSError as exc:
        _log.warning("cannot renew the lease %s: %s", lease, exc.strerror)
