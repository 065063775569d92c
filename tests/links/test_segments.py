"""Segments on a veth pair between two real namespaces, also of connections that are there already."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from links import execute, segments
from stage_runtime.errors import LinkError
from tests.links.namespaces import PROJECT, Pair, run

INTERFACE = "sbGo"


def test_kernel_that_does_not_say_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "run_json", lambda _: [{"ifname": "sbG-none"}])
    with pytest.raises(LinkError, match=r"sbG-none: .* without loss_percent"):
        segments.most_packets("sbG-none")


def test_interface_that_is_gone_or_was_not_changed_needs_nothing_put_back() -> None:
    segments.put_back("sbG-none", 65535)
    segments.put_back("lo", None)


class VethPair(Pair):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "sbGo", "10.217.3")
        a, b = self.netns["a"], self.netns["b"]
        run("ip", "link", "add", INTERFACE, "netns", a, "type", "veth", "peer", "name", INTERFACE, "netns", b)
        for name in ("a", "b"):
            run("ip", "-n", self.netns[name], "address", "add", f"{self.address[name]}/24", "dev", INTERFACE)
            run("ip", "-n", self.netns[name], "link", "set", INTERFACE, "up")

    def python(self, name: str, code: str) -> str:
        return self.inside(name, sys.executable, "-c", f"from links import segments\n{code}")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[VethPair]:
    made = VethPair(tmp_path)
    yield made
    made.remove()


# What it is told on its input, it does: it sends 1 MB over its one connection, or limits segments.
SENDER = f"""
import socket, sys
from links import segments
end = socket.create_connection((sys.argv[1], 47999), 10)
for word in sys.stdin:
    if word.startswith("limit "):
        segments.limit("{INTERFACE}", int(word.split()[1]))
        print(segments.most_packets("{INTERFACE}"), flush=True)
    else:
        end.sendall(bytes(1 << 20))
        end.recv(1)
        print("sent", flush=True)
"""

# Takes a connection's bytes, and says after each MB how large the largest frame was that came in meanwhile.
RECEIVER = f"""
import socket, sys
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
sniffer.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE: all frames of a MB
sniffer.bind(("{INTERFACE}", 0))
sniffer.setblocking(False)
def largest():
    found = [0]
    try:
        while True:
            found.append(len(sniffer.recv(1 << 17)))
    except BlockingIOError:
        return max(found)
listener = socket.create_server((sys.argv[1], 47999))
print("ready", flush=True)
end, _ = listener.accept()
total = 0
while data := end.recv(1 << 16):
    total += len(data)
    if total % (1 << 20) == 0:
        print(largest(), flush=True)
        end.sendall(b".")
"""


@pytest.mark.integration
def test_connection_that_is_there_sends_single_packets_while_it_is_limited_to_them(pair: VethPair) -> None:
    with talking(pair, "b", RECEIVER, pair.address["b"]) as receiver:
        assert said(receiver) == "ready"
        with talking(pair, "a", SENDER, pair.address["b"]) as sender:

            def largest_frame() -> int:
                assert tell(sender, "send") == "sent"
                return int(said(receiver))

            assert largest_frame() > 1514
            assert tell(sender, "limit 1") == "1"
            assert largest_frame() <= 1514
            assert tell(sender, "limit 65535") == "65535"
            assert largest_frame() > 1514


@pytest.mark.integration
def test_limit_is_of_one_interface_and_is_put_back(pair: VethPair) -> None:
    ends = f"print(segments.most_packets('{INTERFACE}'), segments.most_packets('lo'))"
    assert pair.python("a", f"segments.limit('{INTERFACE}', 1); {ends}").split() == ["1", "65535"]
    assert pair.python("b", ends).split() == ["65535", "65535"]
    assert pair.python("a", f"segments.put_back('{INTERFACE}', 65535); {ends}").split() == ["65535", "65535"]


@pytest.mark.integration
def test_limit_is_put_back_in_a_namespace_that_sees_the_interfaces_of_another(pair: VethPair) -> None:
    """As where processes are put into a network namespace and keep the machine's own /sys."""
    code = f"""
from pathlib import Path
from links import segments
assert not Path("/sys/class/net/{INTERFACE}").exists()
segments.limit("{INTERFACE}", 1)
segments.put_back("{INTERFACE}", 65535)
print(segments.most_packets("{INTERFACE}"))
"""
    words = ["nsenter", f"--net=/run/netns/{pair.netns['a']}", sys.executable, "-c", code]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["65535"]


@contextmanager
def talking(pair: VethPair, name: str, code: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    inside = ["ip", "netns", "exec", pair.netns[name], sys.executable, "-c", code, *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(inside, cwd=PROJECT, text=True, stdin=pipe, stdout=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdin is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()
    return said(process)
