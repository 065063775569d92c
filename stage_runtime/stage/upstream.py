"""Read the connection to the stage above: the cells it brings, their batches, its pings."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from stage_runtime.errors import FormatError, SplitbedError, TransportError
from stage_runtime.stage.follower import FollowerRun
from stage_runtime.stage.pipeline import Stopped
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.frames import Header, Kind
from stage_runtime.wire.messages import Configure, Error, Pong, decode, encode

_log = logging.getLogger(__name__)

# Between cells a connection may be silent for as long as this; it is cheap, and the stage's own
# idle limit ends it sooner.
_IDLE_S = 7 * 86400.0
_ANSWER_S = 30.0
_DRAIN_S = 10.0
_RUN_END_S = 60.0


class Upstream:
    """One connection from a stage above, for as long as it lasts."""

    def __init__(self, channel: Channel, device: str, begin: Callable[[Channel, int, Configure], FollowerRun]) -> None:
        self._channel = channel
        self._device = device
        self._begin = begin
        self._run: FollowerRun | None = None
        self._worker: threading.Thread | None = None

    def serve(self) -> None:
        """Read frames until the connection ends, or a run on it fails."""
        try:
            while True:
                self._handle(self._channel.receive_header(_IDLE_S))
        except Stopped:
            self._drain()
        except TransportError as exc:
            self._end_run(exc)
        except (SplitbedError, TimeoutError) as exc:
            _log.warning("%s: %s", self._channel.peer, exc)
            self._end_run(exc)
            self._drain()
        except Exception as exc:  # noqa: BLE001  (whatever ends this thread ends the run, which nobody else would)
            _log.exception("%s", self._channel.peer)
            self._end_run(exc)
            self._drain()
        finally:
            self._release()

    def _handle(self, header: Header) -> None:
        if header.kind is Kind.CONFIGURE:
            self._configure(header)
            return
        run = self._run
        if run is None or header.run != run.number:
            raise FormatError(f"a {header.kind.name} frame of a run that was not configured here")
        if header.kind is Kind.PING:
            self._answer(header)
        elif header.kind is Kind.BATCH:
            run.take_batch(header)
        elif header.kind is Kind.ALONE:
            self._channel.receive_body(header)
            run.begin_round()
        elif header.kind is Kind.FINISH:
            self._channel.receive_body(header)
            run.finish()
        else:
            raise FormatError(f"a {header.kind.name} frame came down the chain")

    def _configure(self, header: Header) -> None:
        body = self._channel.receive_body(header)
        if self._run is not None and not self._run.asked_to_finish:
            raise FormatError("another cell came before the end of the last one")  # nobody would read on meanwhile
        if self._run is not None and not (self._run.over.wait(_RUN_END_S) and self._run.went_well):
            raise Stopped
        try:
            told = _told(body)
        except FormatError as exc:
            error = Error(device=self._device, reason=str(exc))
            self._channel.send_message(Kind.ERROR, header.run, 0, encode(error), _ANSWER_S)
            raise
        self._run = self._begin(self._channel, header.run, told)
        self._worker = threading.Thread(target=self._run.work, name="follower", daemon=True)
        self._worker.start()

    def _answer(self, header: Header) -> None:
        arrived_ns = time.perf_counter_ns()
        self._channel.receive_body(header)
        pong = Pong(arrived_ns=arrived_ns, left_ns=time.perf_counter_ns())
        self._channel.send_message(Kind.PONG, header.run, header.number, encode(pong), _ANSWER_S)

    def _end_run(self, exc: Exception) -> None:
        if self._run is not None:
            self._run.lost_above(exc)

    def _drain(self) -> None:
        """Take what is still coming until the other side closes.

        Closing with bytes unread would reset the connection, and with it the error that was just sent.
        """
        end = time.monotonic() + _DRAIN_S
        scratch = memoryview(bytearray(65536))
        try:
            while time.monotonic() < end:
                self._channel.receive_payload(scratch, end - time.monotonic())
        except TransportError:
            return

    def _release(self) -> None:
        """Free the connection when nothing uses it any more."""
        if self._run is not None:
            self._run.released.set()
        self._channel.abort()
        if self._worker is not None:
            self._worker.join(_RUN_END_S)
        self._channel.close()


def _told(body: bytes) -> Configure:
    """Read what a stage is told; raises FormatError also where it is no stage below another."""
    told = decode(body, Configure)
    if not 0 < told.stage < len(told.cell.stages):
        raise FormatError(f"cell {told.cell.cell_id} has no stage {told.stage} below another")
    return told
