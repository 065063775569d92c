"""Carry packets between the devices' TUN interfaces: the loop and what it works on."""

from __future__ import annotations

import ctypes
import heapq
import logging
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count

from links.conditions import LinkSpec
from links.emulator.packets import VNET_BYTES, destination, pieces
from links.emulator.schedule import Schedule

_LOG = logging.getLogger(__name__)
_PACKET_BYTES = VNET_BYTES + 65_536
_READS_IN_A_ROW = 64
_TICK_S = 0.5
# A packet due within this time is delivered now: waking up costs more than that.
_EARLY_NS = 30_000
_PR_SET_TIMERSLACK = 29
_REALTIME_PRIORITY = 1
_NICE = -15


class Direction:
    """One shaped direction: its schedule, what it holds, and what it has counted."""

    def __init__(self, *, source: str, target: str, spec: LinkSpec, seed: int) -> None:
        """Begin with an empty link between two addresses."""
        self.source = source
        self.target = target
        self.spec = spec
        self.schedule = Schedule(spec, seed)
        self.piece_bytes = self.schedule.piece_bytes
        self.target_key = socket.inet_aton(target)
        self.queue: deque[tuple[int, int, tuple[bytes | memoryview, ...]]] = deque()
        self.queued = 0
        self.packets = 0
        self.bytes = 0
        self.lost = 0
        self.overflowed = 0


class Port:
    """One device: its TUN descriptor and the shaped directions that leave it."""

    def __init__(self, name: str, address: str, descriptor: int) -> None:
        """Stand for the device ``name``, reached at ``address`` through ``descriptor``."""
        self.name = name
        self.address = address
        self.descriptor = descriptor
        self.shaped: dict[bytes, Direction] = {}


class Engine:
    """Ports, the directions between them, and the loop that moves packets.

    Other descriptors (the control socket) take part by :meth:`watch`; ``on_tick`` is called about
    twice a second.
    """

    def __init__(self, on_tick: Callable[[], None]) -> None:
        """Begin without any port."""
        self.ports: dict[str, Port] = {}
        self.unrouted = 0
        self._by_address: dict[bytes, Port] = {}
        # descriptor → what to call when it can be read; plain integers, which select takes fastest
        self._readers: dict[int, Callable[[], None]] = {}
        self._due: list[tuple[int, int, Direction]] = []
        self._order = count()
        self._on_tick = on_tick
        self._running = True

    def add(self, port: Port) -> None:
        """Route packets to and from a port."""
        self.ports[port.name] = port
        self._by_address[socket.inet_aton(port.address)] = port
        self._readers[port.descriptor] = partial(self._forward, port)

    def remove(self, port: Port) -> None:
        """Forget a port; what is still on its way to it is dropped on arrival."""
        del self.ports[port.name]
        del self._by_address[socket.inet_aton(port.address)]
        del self._readers[port.descriptor]

    def port_at(self, address: str) -> Port | None:
        """Give the port with this address."""
        return self._by_address.get(socket.inet_aton(address))

    def shape(self, direction: Direction) -> None:
        """Put a direction in force; its source must be a port."""
        port = self._by_address[socket.inet_aton(direction.source)]
        port.shaped[socket.inet_aton(direction.target)] = direction

    def unshape(self, direction: Direction) -> None:
        """Take a direction out of force; what it holds is delivered at once, in order."""
        port = self._by_address.get(socket.inet_aton(direction.source))
        if port is not None:
            port.shaped.pop(socket.inet_aton(direction.target), None)
        while direction.queue:
            self._deliver_first(direction)

    def watch(self, connection: socket.socket, on_readable: Callable[[], None]) -> None:
        """Call ``on_readable`` whenever the socket can be read."""
        self._readers[connection.fileno()] = on_readable

    def unwatch(self, connection: socket.socket) -> None:
        """Stop watching a socket."""
        self._readers.pop(connection.fileno(), None)

    def stop(self) -> None:
        """Leave the loop after the present turn."""
        self._running = False

    def run(self) -> None:
        """Move packets until :meth:`stop`."""
        next_tick = 0.0
        while self._running:
            now = time.monotonic()
            if now >= next_tick:
                self._on_tick()
                next_tick = now + _TICK_S
            wait = next_tick - now
            if self._due:
                wait = min(wait, (self._due[0][0] - time.monotonic_ns() - _EARLY_NS) / 1e9)
            readable, _, _ = select.select(list(self._readers), (), (), max(0.0, wait))
            if self._due:
                self._deliver_due()
            for descriptor in readable:
                reader = self._readers.get(descriptor)
                if reader is not None:
                    reader()

    def _forward(self, port: Port) -> None:
        """Read what the port sends, and pass or schedule each packet."""
        for _ in range(_READS_IN_A_ROW):
            try:
                packet = os.read(port.descriptor, _PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                self._lost_port(port, error)
                return
            address = destination(packet)
            target = self._by_address.get(address) if address is not None else None
            if target is None:
                self.unrouted += 1
                continue
            direction = port.shaped.get(address) if address is not None else None
            if direction is None:
                self._write(target, (packet,))
            else:
                self._schedule(direction, packet)

    def _schedule(self, direction: Direction, packet: bytes) -> None:
        schedule, now = direction.schedule, time.monotonic_ns()
        held = 1
        for frame_bytes, frames, buffers in pieces(packet, direction.piece_bytes):
            if schedule.is_lost():
                direction.lost += frames
                continue
            if direction.queued + held > schedule.limit_packets:
                direction.overflowed += frames
                continue
            due = schedule.arrival_ns(now, frame_bytes)
            if not direction.queue:
                heapq.heappush(self._due, (due, next(self._order), direction))
            direction.queue.append((due, held, buffers))
            direction.queued += held
            held = int(schedule.loses)  # of a segment that nothing is lost of, netem holds all as one packet
            direction.packets += frames
            direction.bytes += frame_bytes

    def _deliver_due(self) -> None:
        """Deliver, over all directions, what is due; the heap holds each busy direction once."""
        while self._due:
            due, _, direction = self._due[0]
            horizon = time.monotonic_ns() + _EARLY_NS
            if due > horizon:
                return
            heapq.heappop(self._due)
            while direction.queue and direction.queue[0][0] <= horizon:
                self._deliver_first(direction)
            if direction.queue:
                heapq.heappush(self._due, (direction.queue[0][0], next(self._order), direction))

    def _deliver_first(self, direction: Direction) -> None:
        _, held, buffers = direction.queue.popleft()
        direction.queued -= held
        target = self._by_address.get(direction.target_key)
        if target is not None:
            self._write(target, buffers)

    def _write(self, target: Port, buffers: tuple[bytes | memoryview, ...]) -> None:
        try:
            os.writev(target.descriptor, buffers)
        except OSError as error:
            # An interface that is down, or on its way out, takes nothing: as a cable unplugged.
            _LOG.debug("%s does not take a packet: %s", target.name, error)

    def _lost_port(self, port: Port, error: OSError) -> None:
        _LOG.warning("%s: its interface is gone (%s); the device is detached", port.name, error)
        self.remove(port)
        os.close(port.descriptor)


def prefer_this_process() -> str:
    """Ask the kernel to wake this process at once, and give what it granted.

    Deliveries compete with the stages for the same cores; on real devices this work is the
    kernel's own.  Without the privilege the process stays an ordinary one.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_REALTIME_PRIORITY))
    except OSError:
        pass
    else:
        return "real-time"
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    except OSError:
        return "ordinary"
    return f"nice {_NICE}"
