"""The stream that times datagrams, over loopback, as it is handed to a host's Python."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from bench.netem import stream

SCRIPT = Path(stream.__file__).read_text()


def test_every_datagram_is_timed_after_it_was_sent() -> None:
    port = "47390"
    pipe = subprocess.PIPE
    words = [sys.executable, "-I", "-c", SCRIPT]
    with subprocess.Popen([*words, "receive", "127.0.0.1", port], stdin=pipe, stdout=pipe, text=True) as receiver:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "ready\n"
        sending = [*words, "send", "127.0.0.1", "127.0.0.1", port, "50", "64", "500", "0.1"]
        sent = json.loads(subprocess.run(sending, capture_output=True, text=True, check=True, timeout=30).stdout)
        said, _ = receiver.communicate(timeout=30)
    arrived = json.loads(said)
    assert list(map(int, arrived)) == list(range(50))
    assert all(arrived[str(number)] >= stamp for number, stamp in enumerate(sent))
    gaps = [(after - before) / 1e6 for before, after in pairwise(sent)]
    assert min(gaps) >= 0.45
