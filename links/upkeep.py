"""What a device keeps while its links are shaped: lease, state, what was changed beside the link; and its end."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from links import execute, segments, tc, tcp
from links.background import start_in_background
from links.emulator import client
from links.guard import guard
from links.lease import Lease, Watch, read_lease, remaining_s, write_lease
from links.orders import Backend, Plan, State, read_state, write_state


def make_run_dir(run_dir: Path) -> None:
    """Make a device's folder unless it is there, for whoever owns the one above: with sudo, this is not its user."""
    if not run_dir.is_dir():
        run_dir.mkdir(mode=0o700, parents=True)
        owner = run_dir.parent.stat()
        os.chown(run_dir, owner.st_uid, owner.st_gid)


@contextlib.contextmanager
def exclusive(run_dir: Path) -> Iterator[None]:
    """Keep shape, clear and the guard of one device from working at the same time."""
    with (run_dir / "link.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def left_s(run_dir: Path) -> float:
    """Give the seconds that the lease of a device's links has left; 0 where there is none."""
    lease_file = run_dir / "link.lease"
    lease = read_lease(lease_file)
    return 0.0 if lease is None else round(remaining_s(lease.ttl_s, 0.0, (lease_file,)), 1)


def begin(plan: Plan, backend: Backend, interface: str | None = None, *, loses: bool = False) -> None:
    """Write the lease and the state before anything is shaped, and see that somebody enforces them.

    ``loses`` says that links of ``interface`` are to lose packets, single ones: its segments are limited to one.
    Raises LinkError where they cannot be.
    """
    write_lease(plan.lease_file, Lease(owner=plan.owner, ttl_s=plan.ttl_s))
    former = read_state(plan.state_file)
    most = former.segment_packets if former is not None and former.interface == interface else None
    if most is None and interface is not None and loses:
        most = segments.most_packets(interface)
    state = State(
        owner=plan.owner,
        backend=backend,
        address=plan.address,
        interface=interface,
        emulator_socket=plan.emulator_socket if backend == "user" else None,
        slow_start_after_idle=(former.slow_start_after_idle if former is not None else None) or tcp.to_put_back(),
        segment_packets=most,
    )
    write_state(plan.state_file, state)
    tcp.keep_windows()
    if interface is not None:
        if loses:
            segments.limit(interface, segments.SINGLE)
        else:
            segments.put_back(interface, most)
    if backend == "tc":
        run_dir = plan.run_dir.absolute()
        watch = Watch()
        start_in_background(lambda: guard(run_dir, lambda folder: expire(folder, watch)), log=run_dir / "link.log")


def expire(run_dir: Path, watch: Watch) -> bool:
    """Clear the shaping if its lease ran out; False when there is nothing left to guard."""
    with exclusive(run_dir):
        state = read_state(run_dir / "link.state")
        if state is None:
            return False
        lease_file = run_dir / "link.lease"
        lease = read_lease(lease_file)
        if lease is not None and not watch.ran_out(lease.ttl_s, 0.0, (lease_file,)):
            return True
        clear_state(run_dir, state)
        return False


def clear_state(run_dir: Path, state: State) -> bool:
    """Take the shaping off that the state tells of, and forget it; tell whether there was any."""
    changed = clear_untold(state.address, state.emulator_socket, state.interface if state.backend == "tc" else None)
    forget(run_dir, state)
    (run_dir / "link.lease").unlink(missing_ok=True)
    return changed


def forget(run_dir: Path, state: State | None) -> None:
    """Remove the state, and put back what was changed beside the link itself."""
    if state is not None:
        tcp.put_back(state.slow_start_after_idle)
        if state.interface is not None:
            segments.put_back(state.interface, state.segment_packets)
    (run_dir / "link.state").unlink(missing_ok=True)


def clear_untold(address: str, emulator_socket: Path | None, interface: str | None = None) -> bool:
    """Clear by the backends' own knowledge; an emulator that is gone shapes nothing."""
    if emulator_socket is not None:
        if not client.answers(emulator_socket):
            return False
        return bool(client.ask(emulator_socket, "clear", owner=None, sources=[address])["changed"])
    interface = interface or execute.find_interface(address)
    if interface is None or not execute.has_interface(interface):
        return False
    if not tc.is_ours(execute.run_json(tc.show_command(interface))):
        return False
    execute.run_all(tc.clear_commands(interface))
    return True
