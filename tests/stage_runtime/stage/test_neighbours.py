"""How long a stage waits for one below that takes connections and says nothing."""

from __future__ import annotations

import socket
import time

import pytest

from stage_runtime.errors import TransportTimeoutError
from stage_runtime.formats.cell import CellStage
from stage_runtime.stage.deadline import Deadline
from stage_runtime.stage.gate import Gate
from stage_runtime.stage.neighbours import Neighbours
from stage_runtime.transports.tcp import TcpTransport

HERE = "127.0.0.1"
SILENCE_S, SLACK_S = 0.5, 5.0


def test_a_stage_that_stood_still_before_it_was_called_is_given_up_after_the_silence_it_is_allowed() -> None:
    """The kernel takes connections for a process that is stopped."""
    neighbours = Neighbours(lambda _: TcpTransport(), Gate(b"0123456789abcdef"))
    with socket.create_server((HERE, 0)) as frozen:
        below = CellStage(device="below", address=HERE, port=frozen.getsockname()[1], first=1, last=2)
        begun = time.monotonic()
        with pytest.raises(TransportTimeoutError):
            neighbours.connect(below, "tcp", Deadline(60), SILENCE_S)
    assert SILENCE_S <= time.monotonic() - begun < SILENCE_S + SLACK_S
