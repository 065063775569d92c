"""The Debian guest whose kernel has netem, booted under software emulation for the time of a ``with`` block.

``scripts/netem_image.sh`` makes it once.  Its processor counts instructions: one takes a nanosecond of the guest's
time, however long this machine takes for it, so that what is measured inside does not depend on what else runs here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.testbed import PROJECT, BenchError

IMAGE = PROJECT / ".splitbed" / "netem"
HOSTS: Mapping[str, str] = {"a": "10.0.2.21", "b": "10.0.2.22"}
_MAKER = PROJECT / "scripts" / "netem_image.sh"
_QEMU = "qemu-system-x86_64"
_MEMORY_MB = 1536
_UP = "netem guest is up"
_BOOT_S = 300.0
_MAKE_S = 1800.0
# However its owner ends, the guest ends: by the kernel's signal, or after this time.
_LIFETIME_S = 3600
_WITH_ITS_PARENT = ("setpriv", "--pdeathsig", "KILL")


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A guest that runs: where its hosts' sshd answer on this machine's loopback address, and what it is."""

    image: Path
    ports: Mapping[str, int]

    @property
    def kernel(self) -> str:
        """Give the version of its kernel."""
        return (self.image / "kernel").read_text(encoding="ascii").strip()


def why_not() -> str | None:
    """Say what this machine lacks for the guest; None when it can be made (or is) and booted."""
    if shutil.which(_QEMU) is None:
        return f"{_QEMU} is not installed; as root: apt-get install qemu-system-x86 debootstrap cpio"
    if os.geteuid() != 0:
        return "the guest is made by debootstrap, and its counterpart of namespaces; remedy: sudo make test-netem"
    return None


def make_image() -> None:
    """Make the guest's kernel and initramfs where that has not been done; BenchError where it fails."""
    done = subprocess.run(
        [_MAKER, IMAGE],
        env={**os.environ, "PYTHON": sys.executable},
        stdout=sys.stderr,
        timeout=_MAKE_S,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"{_MAKER.name} ended with {done.returncode}; what it said stands above")


@contextlib.contextmanager
def running_guest(log: Path) -> Iterator[Guest]:
    """Boot the guest and wait until its hosts can be logged in to; ``log`` takes what its console says.

    Raises BenchError with the console's last words when it does not come up.
    """
    ports = free_ports(HOSTS)
    with log.open("wb") as console:
        process = subprocess.Popen(
            qemu_words(IMAGE, ports), stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_up(process, log)
        yield Guest(image=IMAGE, ports=ports)
    finally:
        process.terminate()
        process.wait()


def qemu_words(image: Path, ports: Mapping[str, int]) -> list[str]:
    """Give the command that boots the guest with each host's port 22 forwarded, and no way out of it.

    >>> " ".join(qemu_words(Path("img"), {"a": 2201})).partition("-netdev ")[2].split()[0]
    'user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:2201-10.0.2.21:22'
    """
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{port}-{HOSTS[name]}:22" for name, port in ports.items())
    return [
        *_WITH_ITS_PARENT,
        *("timeout", "--foreground", str(_LIFETIME_S)),
        *_WITH_ITS_PARENT,
        *(_QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"),
        *("-accel", "tcg,thread=single", "-icount", "shift=0,sleep=on", "-cpu", "max", "-smp", "1"),
        *("-m", str(_MEMORY_MB), "-kernel", str(image / "vmlinuz"), "-initrd", str(image / "initramfs")),
        *("-append", "console=ttyS0 quiet panic=-1 mitigations=off rdinit=/init"),
        *("-netdev", f"user,id=net,restrict=on{forwards}", "-device", "virtio-net-pci,netdev=net"),
    ]


def free_ports(names: Mapping[str, object]) -> dict[str, int]:
    """Give each name a port of the loopback address that nobody has now."""
    with contextlib.ExitStack() as stack:
        held = {name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in names}
        return {name: listener.getsockname()[1] for name, listener in held.items()}


def _wait_until_up(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _BOOT_S
    while _UP not in (said := log.read_text(errors="replace")):
        if process.poll() is not None or time.monotonic() > deadline:
            state = "ended" if process.poll() is not None else f"was not up after {_BOOT_S:g} s"
            raise BenchError(f"the guest {state}; its console's last words: {said[-2000:].strip() or 'none'}")
        time.sleep(0.1)
