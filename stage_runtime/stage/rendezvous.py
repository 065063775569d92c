"""Where the processes of an RPC world meet: a key-value store that the first stage keeps."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import timedelta

# What torch.distributed hands on, where type checkers see it.
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from stage_runtime.errors import TransportError
from stage_runtime.formats.stage_config import WorldConfig
from stage_runtime.stage.deadline import Deadline

_TRY_AGAIN_S = 0.2
_ATTEMPT_S = 5.0


def meet(config: WorldConfig, rank: int, deadline: Deadline, note: Callable[[str], None]) -> Store:
    """Wait until all members are at the store, and give it; tell ``note`` what for.

    Raises TransportError naming the store that cannot be kept or reached, or the devices that did not come.
    Hangs for good, like the store's own client, where somebody else listens on its port and says nothing.
    """
    note(f"looking for {_describe(config)}")
    store = _keep_store(config, deadline) if rank == 0 else _find_store(config, rank, deadline)
    note("waiting for the other stages")
    keys = [_key(config, number) for number in range(len(config.members))]
    try:
        store.set(keys[rank], "")
        store.wait(keys, timedelta(seconds=deadline.left_s()))
    except RuntimeError as exc:
        raise TransportError(_who_is_missing(config, store, keys)) from exc
    return PrefixStore(config.id, store)


def _describe(config: WorldConfig) -> str:
    first = config.members[0]
    return f"the RPC world's store on {first.device} ({first.address}:{config.store_port})"


def _key(config: WorldConfig, rank: int) -> str:
    return f"{config.id}/member/{rank}"


def _keep_store(config: WorldConfig, deadline: Deadline) -> Store:
    """Listen on the data address alone; left to itself the store listens on every interface."""
    first = config.members[0]
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((first.address, config.store_port))
        listening.listen()
    except OSError as exc:
        listening.close()
        raise TransportError(
            f"cannot listen on {first.address}:{config.store_port} for the RPC world: {exc.strerror}; "
            "free the port, or set rpc_port"
        ) from exc
    return TCPStore(
        first.address,
        config.store_port,
        is_master=True,
        timeout=timedelta(seconds=deadline.left_s()),
        wait_for_workers=False,
        master_listen_fd=listening.detach(),
    )


def _find_store(config: WorldConfig, rank: int, deadline: Deadline) -> Store:
    """Connect to the first member's store, once it is there and of this world.

    An older process of the first device may still keep the store of an older world.
    """
    first, mine = config.members[0], config.members[rank]
    reason = "it belongs to another world"
    while not deadline.over:
        try:
            # The store would look for itself in ways that fill the log, so see first that there is one.
            wait_s = min(_ATTEMPT_S, deadline.left_s())
            socket.create_connection((first.address, config.store_port), wait_s, (mine.address, 0)).close()
            store = TCPStore(
                first.address,
                config.store_port,
                is_master=False,
                timeout=timedelta(seconds=wait_s),
                wait_for_workers=False,
            )
            if store.check([_key(config, 0)]):
                return store
        except OSError as exc:
            reason = exc.strerror or str(exc)
        except RuntimeError as exc:
            reason = str(exc)
        time.sleep(_TRY_AGAIN_S)
    raise TransportError(f"did not find {_describe(config)}: {reason}")


def _who_is_missing(config: WorldConfig, store: Store, keys: list[str]) -> str:
    try:
        missing = [member.device for member, key in zip(config.members, keys, strict=True) if not store.check([key])]
    except RuntimeError:
        return f"lost the store of the RPC world on {config.members[0].device}"
    return f"{', '.join(missing) or 'nobody'} did not come to the RPC world; does its stage run, and is it new?"
