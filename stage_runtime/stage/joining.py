"""Join an RPC world: once in a process's life.

RPC is told to use plain sockets (transport ``uv``), and to send tensors over them (channel ``basic``).  Its own
choice polls shared memory, which takes a core, and copies between processes of one machine past any
emulated link.  All its sockets are on the interface that holds the data address.

RPC runs what it is sent: whoever reaches its ports can run code on the device, secret or not.  So a world is joined
on a private network alone, unless it says that it was asked for elsewhere.
"""

from __future__ import annotations

import os
import queue
import socket
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import psutil

# What torch.distributed hands on, where type checkers see it.
from torch._C._distributed_c10d import Store
from torch.distributed import rpc
from torch.distributed.rendezvous import register_rendezvous_handler

from stage_runtime.addresses import is_private
from stage_runtime.errors import TransportError
from stage_runtime.formats.stage_config import WorldConfig
from stage_runtime.stage.deadline import Deadline
from stage_runtime.stage.rendezvous import meet
from stage_runtime.transports.rpc.calls import OUTBOX, answer_call, worker_name
from stage_runtime.transports.rpc.transport import RpcTransport

_SCHEME = "splitbed"
# They put frames into queues, and no more.
_THREADS = 4


def join_world(config: WorldConfig, rank: int, deadline: Deadline, note: Callable[[str], None]) -> RpcTransport:
    """Become member number ``rank``, telling ``note`` what is being done; return when calls reach all others.

    Raises TransportError, and whatever RPC raises; may hang past the deadline inside RPC.
    """
    refuse_public(config)
    me = config.members[rank]
    # RPC and its process group would look the host's name up otherwise, and listen on what that gives.
    os.environ["TP_SOCKET_IFNAME"] = os.environ["GLOO_SOCKET_IFNAME"] = interface_of(me.address)
    store = meet(config, rank, deadline, note)
    note("initialising RPC")
    _init_rpc(store, rank, len(config.members), deadline)
    note("calling the other stages")
    _call_everybody(len(config.members), deadline)
    return RpcTransport([(member.address, member.port) for member in config.members], rank)


def refuse_public(config: WorldConfig) -> None:
    """Raise TransportError where a member's address is not of a private network, and nobody asked for that."""
    open_ones = [f"{one.device} ({one.address})" for one in config.members if not is_private(one.address)]
    if open_ones and not config.public:
        raise TransportError(
            f"RPC runs what it is sent, and {', '.join(open_ones)} is on no private network (RFC 1918, loopback or "
            "link-local); give data_address one, or set stage_service_world_public where no stranger gets there"
        )


def interface_of(address: str) -> str:
    """Find the interface that holds an IPv4 address, which must be its first: RPC takes that one.

    Raises TransportError naming the address.
    """
    for name, entries in psutil.net_if_addrs().items():
        held = [entry.address for entry in entries if entry.family == socket.AF_INET]
        if address not in held:
            continue
        if held[0] != address:
            raise TransportError(
                f"RPC takes an interface's first address, and on {name} that is {held[0]}, not {address}; "
                f"make {address} the first, or set data_address to {held[0]}"
            )
        return str(name)
    raise TransportError(f"no interface of this device has the address {address}; check its data_address")


def _init_rpc(store: Store, rank: int, size: int, deadline: Deadline) -> None:
    def hand_over(_url: str, **_given: Any) -> Iterator[tuple[Store, int, int]]:
        yield store, rank, size

    register_rendezvous_handler(_SCHEME, hand_over)  # type: ignore[no-untyped-call]  # torch has no types for it
    options = rpc.TensorPipeRpcBackendOptions(
        num_worker_threads=_THREADS,
        rpc_timeout=deadline.left_s(),
        init_method=f"{_SCHEME}://",
        _transports=["uv"],
        _channels=["basic"],
    )
    # RPC, which PyTorch only maintains, itself uses a process group in a way that PyTorch has deprecated.
    warnings.filterwarnings("ignore", message="You are using a Backend")
    rpc.init_rpc(  # type: ignore[no-untyped-call]  # torch has no types for it
        worker_name(rank), rank=rank, world_size=size, rpc_backend_options=options
    )


def _call_everybody(size: int, deadline: Deadline) -> None:
    """Call every member once: RPC connects at the first call, which takes time, and shows a closed port."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for rank in range(size):
        OUTBOX.call(rank, answers.put, answer_call)
    for _ in range(size):
        try:
            answer = answers.get(timeout=deadline.left_s())
        except queue.Empty:
            raise TransportError("calls do not reach all other stages; are all ports open between them?") from None
        if isinstance(answer, Exception):
            raise answer
