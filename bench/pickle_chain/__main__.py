"""The process of a part: orders come in on standard input, a line each, answers go out the same way.

It ends with its standard input, so that it lives no longer than the SSH session that started it.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import msgspec

from bench.pickle_chain.orders import Answer, Order
from bench.pickle_chain.parts import Loads, run_first, run_second
from stage_runtime.errors import SplitbedError


def main(orders: TextIO = sys.stdin, answers: TextIO = sys.stdout) -> int:
    """Carry out orders until there are no more; what goes wrong is an answer."""

    def say(answer: Answer) -> None:
        answers.write(msgspec.json.encode(answer).decode() + "\n")
        answers.flush()

    loads = Loads()
    for line in orders:
        try:
            order = msgspec.json.decode(line, type=Order)
            say(_first(order, loads) if order.part == "first" else _second(order, loads, say))
        except (OSError, SplitbedError, msgspec.MsgspecError) as exc:
            say(Answer(error=f"{type(exc).__name__}: {exc}"))
    return 0


def _first(order: Order, loads: Loads) -> Answer:
    work = loads.load(order)
    with socket.create_connection((order.address, order.port), order.timeout_s) as connection:
        return Answer(first=run_first(connection, order, work))


def _second(order: Order, loads: Loads, say: Callable[[Answer], None]) -> Answer:
    work = loads.load(order)
    with _listening(order) as listener:
        say(Answer(port=listener.getsockname()[1]))
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(order.timeout_s)
            return Answer(second=run_second(connection, order, work))


@contextmanager
def _listening(order: Order) -> Iterator[socket.socket]:
    """Listen on the data address alone: whoever reaches a pickle's reader can run code."""
    with socket.create_server((order.address, 0), backlog=1) as listener:
        listener.settimeout(order.timeout_s)
        yield listener


if __name__ == "__main__":
    sys.exit(main())
