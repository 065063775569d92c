"""The transport interface: connected streams of bytes, and how they come about.

A stream moves bytes in both directions at once: one thread may send while another receives, but
two threads never send (or receive) at the same time.  Every blocking call has a timeout.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence


class Stream(abc.ABC):
    """A connected, ordered, reliable stream of bytes."""

    @property
    @abc.abstractmethod
    def peer(self) -> str:
        """Who is at the other end, as messages name it (``address:port``)."""

    @property
    def protection(self) -> str | None:
        """What keeps others from reading along and from altering it, protocol and cipher; None in the clear."""
        return None

    @abc.abstractmethod
    def send(self, buffers: Sequence[memoryview], timeout_s: float) -> None:
        """Send all of the buffers (contiguous, of bytes), one after the other, without copying them.

        Raises TransportTimeoutError when not all of it was taken in time, TransportError when the stream
        is broken or was aborted.  After either, the stream is good for nothing but ``close``.
        """

    @abc.abstractmethod
    def receive_into(self, buffer: memoryview, timeout_s: float) -> None:
        """Fill all of ``buffer``.

        Raises TransportTimeoutError when it was not full in time, TransportError when the stream ended
        or was aborted first.  After either, the stream is good for nothing but ``close``.
        """

    @abc.abstractmethod
    def make_room(self, in_flight_bytes: int, second_bytes: int) -> None:
        """Let so many bytes be on their way in each direction, and not many more (see ``transports.room``).

        It holds from now on; a transport whose own bound is far above that may leave it as it is.  The link carries
        ``second_bytes`` in a second: what is sent is to arrive in parts that take no longer.
        """

    @abc.abstractmethod
    def has_room(self) -> bool:
        """Say whether a few bytes could be sent without waiting; False where what was sent has yet to leave."""

    @abc.abstractmethod
    def silence_s(self) -> float:
        """Give for how many seconds a thread has waited in ``receive_into`` while no byte came; 0 while none waits.

        Every byte counts as it comes, however long what it is part of takes.
        """

    @abc.abstractmethod
    def is_quiet(self) -> bool:
        """Say whether the stream is open and nothing waits to be received (an end of stream is something)."""

    @abc.abstractmethod
    def abort(self) -> None:
        """End both directions, and wake whoever is blocked in ``send`` or ``receive_into``; never blocks."""

    @abc.abstractmethod
    def close(self) -> None:
        """Free the stream.  Call it when no thread is inside ``send`` or ``receive_into``."""


class Listener(abc.ABC):
    """Where neighbours connect to."""

    @abc.abstractmethod
    def accept(self, timeout_s: float) -> Stream | None:
        """Wait for the next stream; None when none came in time, TransportError once closed."""

    @abc.abstractmethod
    def close(self) -> None:
        """Accept no more; a blocked ``accept`` returns within its timeout."""


class Transport(abc.ABC):
    """Makes streams."""

    @abc.abstractmethod
    def listen(self, address: str, port: int) -> Listener:
        """Listen there; raises TransportError naming the address when it cannot be had."""

    @abc.abstractmethod
    def connect(self, address: str, port: int, timeout_s: float) -> Stream:
        """Connect to a listener; raises TransportTimeoutError or TransportError naming the address."""
