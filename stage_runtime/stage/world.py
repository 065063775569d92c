"""The RPC world that a stage belongs to: whether it is up, and if not, why."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Literal

from stage_runtime.errors import TransportError
from stage_runtime.formats.stage_config import WorldConfig
from stage_runtime.stage.deadline import Deadline
from stage_runtime.transports.base import Listener, Transport

if TYPE_CHECKING:
    from stage_runtime.transports.rpc.transport import RpcTransport

_log = logging.getLogger(__name__)

State = Literal["joining", "up", "failed"]

# What joining itself gives up on in time has a better reason than that it hangs.
_SLACK_S = 2.0
_FLUSH_S = 1.0


class World:
    """One process's place in its world.

    ``join`` is a thread's work; everything else may be called by any other, at any time.  A world that does not
    come up leaves the rest of the stage as it is.
    """

    def __init__(self, config: WorldConfig, device: str) -> None:
        self._config = config
        self._device = device
        self._deadline = Deadline(config.timeout_s)
        self._patience = Deadline(config.timeout_s + _SLACK_S)
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._state: State = "joining"
        self._reason = ""
        self._doing = "starting"
        self._transport: RpcTransport | None = None

    def join(self) -> Listener | None:
        """Become a member and listen for the others; None when that failed, and ``status`` says why."""
        try:
            transport, listener = self._join()
        except TransportError as exc:
            self._settle("failed", str(exc))
        except Exception as exc:  # noqa: BLE001  (whatever RPC raises ends the world, not the stage)
            self._settle("failed", f"{self._doing} failed: {' '.join(str(exc).split()) or type(exc).__name__}")
        else:
            if self._settle("up", "", transport):
                return listener
            listener.close()
        return None

    def status(self) -> dict[str, str]:
        """Say how joining goes; a join that hangs counts as failed once its time is over."""
        if self._patience.over:
            self._settle("failed", f"it was still {self._doing} after {self._config.timeout_s:g} s")
        with self._lock:
            return {"state": self._state, "reason": self._reason}

    def wait(self) -> None:
        """Wait until the world is up or has failed, which is no longer than the time that it has to come up."""
        self._settled.wait(self._patience.left_s())

    def transport(self) -> Transport:
        """Give the transport between the members; raises TransportError where the world is not up."""
        status = self.status()
        with self._lock:
            if self._transport is None:
                raise TransportError(f"the RPC world of {self._device} is {status['state']}: {status['reason']}")
            return self._transport

    def leave(self) -> None:
        """Let what was sent reach the others before the process ends."""
        with self._lock:
            transport = self._transport
        if transport is not None:
            transport.flush(_FLUSH_S)

    def _settle(self, state: State, reason: str, transport: RpcTransport | None = None) -> bool:
        """Note how joining ended, unless it had ended before; say whether the world is up."""
        with self._lock:
            if self._state == "joining":
                self._state, self._reason, self._transport = state, reason, transport
                _log.info("RPC world %s: %s %s", self._config.id, state, reason)
                self._settled.set()
            return self._state == "up"

    def _join(self) -> tuple[RpcTransport, Listener]:
        ranks = [number for number, member in enumerate(self._config.members) if member.device == self._device]
        if len(ranks) != 1:
            raise TransportError(f"{self._device} is in the RPC world {len(ranks)} times, not once")
        # Only now: a PyTorch that was built without RPC still computes, and speaks TCP.
        from stage_runtime.stage.joining import join_world  # noqa: PLC0415 - see above

        transport = join_world(self._config, ranks[0], self._deadline, self._note)
        me = self._config.members[ranks[0]]
        return transport, transport.listen(me.address, me.port)

    def _note(self, doing: str) -> None:
        self._doing = doing
