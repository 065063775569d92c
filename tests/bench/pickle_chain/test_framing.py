"""A pickled tensor on the wire: what is sent comes out, and an end within it is an error."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
import torch

from bench.pickle_chain.framing import receive_tensor, send_end, send_tensor


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    near.settimeout(10)
    far.settimeout(10)
    with near, far:
        yield near, far


def test_a_tensor_arrives_as_it_was(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    # more than a socket holds, so that it comes in pieces
    tensor = torch.arange(600_000, dtype=torch.float32).reshape(2, 3, 100_000)
    with torch.inference_mode():
        output = tensor * 2
    sender = threading.Thread(target=send_tensor, args=(near, output))
    sender.start()
    received = receive_tensor(far)
    sender.join()
    assert received.tensor is not None
    assert torch.equal(received.tensor, output)
    assert min(received.receive_ns, received.unpickle_ns) > 0


def test_size_counts_header_and_pickle(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    sent = send_tensor(near, torch.zeros(1000))
    assert len(far.recv(100_000)) == sent.size
    assert 4000 < sent.size < 5000


def test_the_end_is_no_tensor(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    send_end(near)
    assert receive_tensor(far).tensor is None


def test_an_end_within_a_tensor_is_an_error(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    near.sendall(struct.pack("!Q", 1000) + b"x" * 10)
    near.close()
    with pytest.raises(ConnectionError, match="after 10 of 1000 bytes"):
        receive_tensor(far)
