"""The asking end of a probe: measure both directions between this device and a peer."""

from __future__ import annotations

import socket
import statistics
import time

from links.conditions import FRAME_BYTES, LinkSpec
from links.probe import wire
from links.probe.verdict import (
    TCP_PAYLOAD_BYTES,
    Measured,
    bulk_bytes,
    train_packets,
    uses_train,
)
from stage_runtime.errors import LinkError

_CONNECT_S = 10.0
_RETRY_S = 0.05
_LEAST_PINGS = 3
_MOST_PINGS = 10
_PINGS_S = 1.0
_MESSAGES = 3


def measure_pair(*, source: str, target: str, port: int, there: LinkSpec, back: LinkSpec) -> tuple[Measured, Measured]:
    """Measure the links from address ``source`` (here) to ``target`` and back.

    Raises LinkError when no probe server answers at the target, or a transfer breaks off.
    """
    connection = _connect(source, target, port)
    try:
        with connection, wire.udp_socket(source, 0) as train:
            probe = _Probe(connection, train, (target, port), there, back)
            return probe.forward(), probe.backward()
    except OSError as error:
        raise LinkError(f"the probe of {source} → {target} broke off: {error}; probe again") from error


class _Probe:
    """One connection's measurements; the round trip comes first, the others build on it."""

    def __init__(
        self,
        connection: socket.socket,
        train: socket.socket,
        target: tuple[str, int],
        there: LinkSpec,
        back: LinkSpec,
    ) -> None:
        self._connection = connection
        self._train = train
        self._target = target
        self._there = there
        self._back = back
        pings = self._pings()
        self._rtt_min_ms = min(pings)
        self._rtt_ms = statistics.median(pings)
        asked = there.delay_ms + back.delay_ms
        share = there.delay_ms / asked if asked else 0.5
        # the least ping is the least disturbed one, unless jitter makes pings differ by itself
        typical_ms = self._rtt_ms if there.jitter_ms or back.jitter_ms else self._rtt_min_ms
        self._there_ms = typical_ms * share
        self._back_ms = typical_ms - self._there_ms

    def forward(self) -> Measured:
        if uses_train(self._there):
            wire.send_request(self._connection, wire.TRAIN_UP)
            wire.expect(self._connection, wire.READY)
            wire.send_train(self._train, self._target, train_packets(self._there))
            wire.send_request(self._connection, wire.END)
            arrivals = wire.receive_arrivals(self._connection)
            return self._by_train(arrivals, self._there_ms)
        size = bulk_bytes(self._there)
        self._upload(size)
        message_ms = min(self._upload(wire.MESSAGE_BYTES)[0] for _ in range(_MESSAGES))
        _, arrivals = self._upload(size)
        return self._by_tcp(arrivals, message_ms - self._back_ms)

    def backward(self) -> Measured:
        if uses_train(self._back):
            wire.drain(self._train)
            port = self._train.getsockname()[1]
            packets = train_packets(self._back)
            wire.send_request(self._connection, wire.TRAIN_DOWN, port=port, units=packets)
            arrivals = wire.receive_train(self._train, self._connection, self._target[0])
            return self._by_train(arrivals, self._back_ms)
        size = bulk_bytes(self._back)
        self._download(size)
        message_ms = min(self._download(wire.MESSAGE_BYTES)[0] for _ in range(_MESSAGES))
        _, arrivals = self._download(size)
        return self._by_tcp(arrivals, message_ms - self._there_ms)

    def _pings(self) -> list[float]:
        pings: list[float] = []
        while len(pings) < _LEAST_PINGS or (len(pings) < _MOST_PINGS and sum(pings) < _PINGS_S * 1000):
            begin = time.perf_counter_ns()
            wire.send_request(self._connection, wire.PING)
            wire.expect(self._connection, wire.PING)
            pings.append((time.perf_counter_ns() - begin) / 1e6)
        return pings

    def _upload(self, size: int) -> tuple[float, wire.Arrivals]:
        begin = time.perf_counter_ns()
        wire.send_request(self._connection, wire.UPLOAD, units=size)
        wire.send_bytes(self._connection, size)
        arrivals = wire.receive_arrivals(self._connection)
        return (time.perf_counter_ns() - begin) / 1e6, arrivals

    def _download(self, size: int) -> tuple[float, wire.Arrivals]:
        begin = time.perf_counter_ns()
        wire.send_request(self._connection, wire.DOWNLOAD, units=size)
        arrivals = wire.receive_bytes(self._connection, size)
        return (time.perf_counter_ns() - begin) / 1e6, arrivals

    def _by_train(self, arrivals: wire.Arrivals, delay_ms: float) -> Measured:
        """Read a train: its first packets are the message, all of it is the bulk transfer.

        Between the first packet's arrival and the k-th there are k - 1 packets' times on the link.
        """
        spacing_ms = (arrivals.mark_ns - arrivals.first_ns) / 1e6 / (arrivals.mark - 1)
        elapsed_ns = max(1, arrivals.last_ns - arrivals.first_ns)
        packets_per_us = (arrivals.total - 1) * 1000 / elapsed_ns
        return Measured(
            rtt_ms=self._rtt_ms,
            rtt_min_ms=self._rtt_min_ms,
            message_ms=delay_ms + spacing_ms * arrivals.mark,
            bulk_mbit=packets_per_us * FRAME_BYTES * 8,
            goodput_mbit=packets_per_us * wire.DATAGRAM_BYTES * 8,
            method="train",
        )

    def _by_tcp(self, arrivals: wire.Arrivals, message_ms: float) -> Measured:
        elapsed_ns = max(1, arrivals.last_ns - arrivals.mark_ns)
        goodput_mbit = (arrivals.total - arrivals.mark) * 8000 / elapsed_ns
        return Measured(
            rtt_ms=self._rtt_ms,
            rtt_min_ms=self._rtt_min_ms,
            message_ms=message_ms,
            bulk_mbit=goodput_mbit * FRAME_BYTES / TCP_PAYLOAD_BYTES,
            goodput_mbit=goodput_mbit,
            method="tcp",
        )


def _connect(source: str, target: str, port: int) -> socket.socket:
    """Connect to the target's probe server, which may be starting still."""
    deadline = time.monotonic() + _CONNECT_S
    while True:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            wire.prepare_tcp(connection)
            connection.settimeout(max(0.1, deadline - time.monotonic()))
            connection.bind((source, 0))
            connection.connect((target, port))
        except OSError as error:
            connection.close()
            if time.monotonic() + _RETRY_S > deadline:
                raise LinkError(
                    f"no probe server answers {source} at {target}:{port} ({error}); "
                    "shape that device first, and look at its data address and firewall"
                ) from error
            time.sleep(_RETRY_S)
        else:
            connection.settimeout(wire.TIMEOUT_S)
            return connection
