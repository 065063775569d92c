"""The serving end: take frames, send them back, let iperf3 listen."""

from __future__ import annotations

import socket
import subprocess
import time

import msgspec

from bench.payloads.frames import answer, orders, receive_payload, send_payload
from bench.payloads.plan import Arrived, Order, uncounted
from bench.payloads.yardsticks import TIMEOUT_S, bare_pongs, start_iperf
from bench.testbed import BenchError
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.frames import Kind


class Server:
    """Carries orders out; ``bare`` is where the bare connection comes in, ``iperf`` where iperf3 is to listen.

    Without them, orders that need them are refused.
    """

    def __init__(self, bare: socket.socket | None = None, iperf: tuple[str, int] | None = None) -> None:
        self._listening = bare
        self._connection: socket.socket | None = None
        self._iperf_place = iperf
        self._iperf: subprocess.Popen[bytes] | None = None
        self._memory = memoryview(bytearray())

    def serve(self, channel: Channel) -> None:
        """Carry out every order of one channel."""
        work = {"goodput": self._take, "echo": self._echo, "bare": self._bare, "iperf": self._listen}
        for order in orders(channel):
            if order.what not in work:
                raise BenchError(f"order {order.what!r} is none of {', '.join(work)}")
            work[order.what](channel, order)

    def close(self) -> None:
        """Leave nothing behind."""
        for connection in (self._connection, self._listening):
            if connection is not None:
                connection.close()
        if self._iperf is not None:
            self._iperf.kill()
            self._iperf.wait()

    def _take(self, channel: Channel, order: Order) -> None:
        buffer = self._buffer(order.payload_bytes)
        answer(channel)
        skipped = uncounted(order.frames)
        begin_ns = 0
        for number in range(order.frames):
            receive_payload(channel, Kind.BATCH, buffer)
            if number == skipped - 1:
                begin_ns = time.perf_counter_ns()
        end_ns = time.perf_counter_ns()
        arrived = Arrived(begin_ns=begin_ns, end_ns=end_ns, counted=order.frames - skipped)
        answer(channel, msgspec.json.encode(arrived))

    def _echo(self, channel: Channel, order: Order) -> None:
        buffer = self._buffer(order.payload_bytes)
        answer(channel)
        for number in range(order.frames):
            receive_payload(channel, Kind.BATCH, buffer)
            send_payload(channel, Kind.RESULT, number, buffer)

    def _bare(self, channel: Channel, order: Order) -> None:
        if self._listening is None:
            raise BenchError("a bare connection was asked for, and there is nowhere for one to come in")
        answer(channel)
        if self._connection is None:
            self._listening.settimeout(TIMEOUT_S)
            self._connection, _ = self._listening.accept()
            self._connection.settimeout(None)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bare_pongs(self._connection, order.payload_bytes, order.frames)

    def _listen(self, channel: Channel, _: Order) -> None:
        if self._iperf_place is None:
            raise BenchError("iperf3 was asked for, and there is nowhere for it to listen")
        if self._iperf is not None:
            self._iperf.wait(TIMEOUT_S)
        self._iperf = start_iperf(*self._iperf_place)
        answer(channel)

    def _buffer(self, size: int) -> memoryview:
        """Give memory for a payload, the same again: a stage's slots are."""
        if self._memory.nbytes < size:
            self._memory = memoryview(bytearray(size))
        return self._memory[:size]
