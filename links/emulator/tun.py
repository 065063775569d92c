"""Open a TUN interface inside a network namespace, and give it its address."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from stage_runtime.errors import LinkError

_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_TUNSETOFFLOAD = 0x400454D0
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000
# checksums and TCP segments stay the receiving kernel's business: whole 64 KiB segments move
_OFFLOAD = 0x01 | 0x02 | 0x08

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_SIOCSIFADDR = 0x8916
_SIOCSIFNETMASK = 0x891C
_SIOCSIFTXQLEN = 0x8943
_IFF_UP = 0x1
# Packets that may wait for this process before the kernel drops them: it must be able to lose
# the processor for some milliseconds while a burst of single packets arrives.
_TRANSMIT_QUEUE = 4000
_CLONE_NEWNET = 0x40000000

NETNS_DIR = Path("/run/netns")


def netns_path(netns: str) -> Path:
    """Give the file of a namespace named by ``ip netns`` or by an absolute path."""
    return Path(netns) if netns.startswith("/") else NETNS_DIR / netns


def open_tun(*, netns: str, interface: str, address: str, prefix: int) -> int:
    """Open (and make, where it is missing) a persistent TUN interface inside ``netns``.

    The interface is up with ``address/prefix`` and its descriptor does not block.  Raises
    LinkError naming the namespace or device that is missing or in use.
    """
    return _inside(netns, lambda: _open_here(netns, interface, address, prefix))


def remove_tun(descriptor: int) -> None:
    """Make the interface vanish with its descriptor."""
    try:
        fcntl.ioctl(descriptor, _TUNSETPERSIST, 0)
    finally:
        os.close(descriptor)


def _inside(netns: str, action: Callable[[], int]) -> int:
    """Run ``action`` in a thread of its own that has entered the namespace.

    The namespace belongs to the thread, so the process itself never leaves its own.
    """
    outcome: list[int | BaseException] = []

    def run() -> None:
        try:
            _enter(netns)
            outcome.append(action())
        except BaseException as error:  # noqa: BLE001  (raised again in the caller's thread)
            outcome.append(error)

    thread = threading.Thread(target=run, name=f"netns {netns}")
    thread.start()
    thread.join()
    (result,) = outcome
    if isinstance(result, BaseException):
        raise result
    return result


def _enter(netns: str) -> None:
    path = netns_path(netns)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise LinkError(f"network namespace {netns!r} does not exist ({path}); make it first") from None
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            reason = os.strerror(ctypes.get_errno())
            raise LinkError(f"cannot enter network namespace {netns!r}: {reason}; the emulator needs root")
    finally:
        os.close(descriptor)


def _open_here(netns: str, interface: str, address: str, prefix: int) -> int:
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise LinkError(
            f"cannot open /dev/net/tun: {error.strerror}; load the module (modprobe tun) or allow the device"
        ) from error
    try:
        request = struct.pack("16sH22x", interface.encode(), _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
        fcntl.ioctl(descriptor, _TUNSETOFFLOAD, _OFFLOAD)
        fcntl.ioctl(descriptor, _TUNSETPERSIST, 1)
        _configure(interface, address, prefix)
    except OSError as error:
        os.close(descriptor)
        raise LinkError(
            f"cannot set up {interface} with {address}/{prefix} in namespace {netns!r}: {error.strerror}; "
            "another process may hold the interface, or the address may be in use there"
        ) from error
    return descriptor


def _configure(interface: str, address: str, prefix: int) -> None:
    name = interface.encode()
    mask = socket.inet_ntoa(struct.pack("!L", (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF))
    _quiet(interface)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFTXQLEN, struct.pack("16si20x", name, _TRANSMIT_QUEUE))
        fcntl.ioctl(control, _SIOCSIFADDR, _address_request(name, address))
        fcntl.ioctl(control, _SIOCSIFNETMASK, _address_request(name, mask))
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH22x", name, 0))
        (flags,) = struct.unpack_from("16xH", answer)
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", name, flags | _IFF_UP))


def _address_request(name: bytes, address: str) -> bytes:
    return struct.pack("16sHH4s8x8x", name, socket.AF_INET, 0, socket.inet_aton(address))


def _quiet(interface: str) -> None:
    """Keep IPv6 neighbour traffic off the emulated link, and TCP from remembering past links.

    Without the second, a connection begins with what its kernel learnt of the peer under the
    condition before.
    """
    settings = {
        f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6": "1",
        "/proc/sys/net/ipv4/tcp_no_metrics_save": "1",
    }
    for path, value in settings.items():
        if Path(path).exists():
            Path(path).write_text(value, encoding="ascii")
