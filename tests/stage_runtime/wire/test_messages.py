from __future__ import annotations

import pytest

from stage_runtime.errors import FormatError
from stage_runtime.wire.messages import Error, Pong, Progress, decode, encode


def test_a_message_survives_the_wire() -> None:
    for message in (
        Error(device="pi2", reason="out of memory"),
        Pong(arrived_ns=2**62, left_ns=2**62 + 1),
        Progress(stage=1, phase="running", received=3, computed=2, sent=2),
    ):
        assert decode(encode(message), type(message)) == message


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"device": "a"}', b'{"device":"a","reason":"b","x":1}'])
def test_what_is_no_message_is_a_format_error_that_names_it(body: bytes) -> None:
    with pytest.raises(FormatError, match="Error message does not parse"):
        decode(body, Error)
