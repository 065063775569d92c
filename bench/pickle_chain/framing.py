"""A tensor on the wire: eight bytes of length, then its pickle."""

from __future__ import annotations

import pickle
import socket
import struct
import time
from typing import NamedTuple

import torch

_HEADER = struct.Struct("!Q")
END = 0
"""The length that says that nothing more comes."""


class Sent(NamedTuple):
    """How long pickling and sending took, in ns, and the bytes of header and pickle."""

    pickle_ns: int
    send_ns: int
    size: int


class Received(NamedTuple):
    """A tensor (None: the other side is done), and how long receiving it after its header, and unpickling, took."""

    tensor: torch.Tensor | None
    receive_ns: int
    unpickle_ns: int


def send_tensor(connection: socket.socket, tensor: torch.Tensor) -> Sent:
    """Pickle a tensor and send it; returns when the kernel has taken every byte."""
    began = time.perf_counter_ns()
    content = pickle.dumps(tensor)
    pickled = time.perf_counter_ns()
    connection.sendall(_HEADER.pack(len(content)))
    connection.sendall(content)
    return Sent(pickled - began, time.perf_counter_ns() - pickled, _HEADER.size + len(content))


def send_end(connection: socket.socket) -> None:
    """Say that nothing more comes."""
    connection.sendall(_HEADER.pack(END))


def receive_tensor(connection: socket.socket) -> Received:
    """Receive a tensor; raises ConnectionError when the connection ends within one."""
    (size,) = _HEADER.unpack(_receive(connection, _HEADER.size))
    if size == END:
        return Received(None, 0, 0)
    began = time.perf_counter_ns()
    content = _receive(connection, size)
    received = time.perf_counter_ns()
    tensor: torch.Tensor = pickle.loads(content)  # noqa: S301 - this is what is measured; see the package
    return Received(tensor, received - began, time.perf_counter_ns() - received)


def _receive(connection: socket.socket, size: int) -> bytes:
    """Gather `size` bytes as the published backend does, which copies what is there for everything that comes."""
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError(f"the connection ended after {len(data)} of {size} bytes")
        data += more
    return data
