"""Put a device's outgoing links into a condition, read back what is in force, and clear it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from links import execute, segments, tc, tcp, upkeep
from links.background import start_in_background
from links.conditions import LinkSpec, parse_spec
from links.emulator import client
from links.orders import Backend, Plan, State, read_state
from links.probe import server
from stage_runtime.errors import LinkError


def shape(plan: Plan, *, dry_run: bool = False) -> dict[str, Any]:
    """Put the plan in force on this device and give what the backend says is in force.

    ``dry_run`` only says whether that would change anything.  Whatever this device had before is
    replaced.  Raises LinkError when another owner's lease is alive, when no backend here can do
    what is asked, and when what is in force is not what was.
    """
    outgoing = plan.outgoing()
    upkeep.make_run_dir(plan.run_dir)
    with upkeep.exclusive(plan.run_dir):
        state = read_state(plan.state_file)
        _refuse_other_owner(plan, state)
        backend = _choose_backend(plan, outgoing)
        if dry_run:
            same = state is not None and state.backend == backend and _agrees(plan, outgoing, backend)
            nothing = state is None and backend == "none"
            return {"changed": not (same or nothing), "backend": backend, "device": plan.device, "links": []}
        cleared = state is not None and state.backend != backend and upkeep.clear_state(plan.run_dir, state)
        changed = _APPLY[backend](plan, outgoing) or cleared
        if changed:
            tcp.forget_metrics(plan.address_of(name) for name in outgoing)
        in_force = _in_force(plan, outgoing, backend)
    if plan.serve_probe:
        _start_probe_server(plan)
    return {
        "changed": changed,
        "backend": backend,
        "owner": plan.owner,
        "device": plan.device,
        "links": [
            {
                "source": plan.device,
                "target": target,
                "backend": backend if spec.shaped else "none",
                "asked": spec.as_dict(),
                "in_force": in_force[target].as_dict(),
            }
            for target, spec in outgoing.items()
        ],
    }


def clear(
    *, run_dir: Path, owner: str | None, address: str | None = None, emulator_socket: Path | None = None
) -> dict[str, Any]:
    """Clear what ``owner`` (None: anyone) shaped on this device.

    With an address (and emulator socket) it also clears what no state file speaks of any more.
    """
    if not run_dir.is_dir() and address is None:
        return {"changed": False}
    upkeep.make_run_dir(run_dir)
    with upkeep.exclusive(run_dir):
        state = read_state(run_dir / "link.state")
        if state is not None and owner not in (None, state.owner):
            return {"changed": False, "owner": state.owner}
        changed = state is not None and upkeep.clear_state(run_dir, state)
        if owner is None and address is not None:
            changed = upkeep.clear_untold(address, emulator_socket) or changed
    return {"changed": changed}


def show(run_dir: Path) -> dict[str, Any]:
    """Say what is shaped on this device, by whom and for how long."""
    state = read_state(run_dir / "link.state") if run_dir.is_dir() else None
    if state is None:
        return {"backend": "none", "links": []}
    answer: dict[str, Any] = {
        "backend": state.backend,
        "owner": state.owner,
        "remaining_s": upkeep.left_s(run_dir),
    }
    if state.backend == "user" and state.emulator_socket is not None:
        links = client.ask(state.emulator_socket, "show")["links"]
        return answer | {"links": [link for link in links if link["source"] == state.address]}
    if state.backend == "tc" and state.interface is not None:
        return answer | {"qdiscs": execute.run_json(tc.show_command(state.interface))}
    return answer


def _refuse_other_owner(plan: Plan, state: State | None) -> None:
    if state is None or state.owner == plan.owner:
        return
    left = upkeep.left_s(plan.run_dir)
    if left > 0:
        raise LinkError(
            f"the links of {plan.device} are shaped by {state.owner!r} for {left:.0f} s more; "
            "wait for its sweep to end, or stop everything with playbooks/reset.yml"
        )


def _choose_backend(plan: Plan, outgoing: dict[str, LinkSpec]) -> Backend:
    """Choose by what is there: the emulator's socket, else the kernel's qdiscs."""
    if not any(spec.shaped for spec in outgoing.values()):
        return "none"
    socket = plan.emulator_socket
    has_emulator = socket is not None and socket.exists()
    if plan.backend == "user" and not has_emulator:
        raise LinkError(
            f"{plan.device}: backend `user` needs the link emulator, and there is none at {socket}; "
            "bring the virtual devices up again"
        )
    return "user" if has_emulator and plan.backend != "tc" else "tc"


def _apply_none(plan: Plan, _: dict[str, LinkSpec]) -> bool:
    state = read_state(plan.state_file)
    return state is not None and upkeep.clear_state(plan.run_dir, state)


def _apply_user(plan: Plan, outgoing: dict[str, LinkSpec]) -> bool:
    upkeep.begin(plan, "user")
    order = {
        "owner": plan.owner,
        "ttl_s": plan.ttl_s,
        "lease_files": [str(plan.lease_file)],
        "sources": [plan.address],
        "links": [
            {"source": plan.address, "target": plan.address_of(name), "spec": spec.as_dict()}
            for name, spec in outgoing.items()
            if spec.shaped
        ],
    }
    try:
        return bool(client.ask(_socket(plan), "shape", order=order)["changed"])
    except LinkError:
        upkeep.forget(plan.run_dir, read_state(plan.state_file))
        raise


def _apply_tc(plan: Plan, outgoing: dict[str, LinkSpec]) -> bool:
    tc_plan = _tc_plan(plan, outgoing)
    interface = tc_plan.interface
    qdiscs = execute.run_json(tc.show_command(interface))
    ours = tc.root_state(interface, qdiscs)
    if ours and tc.agrees(tc_plan, qdiscs, execute.run_json(tc.filter_command(interface))):
        upkeep.begin(plan, "tc", interface, loses=tc_plan.loses)
        return False
    if ours:
        execute.run_all(tc.clear_commands(interface))
    try:
        upkeep.begin(plan, "tc", interface, loses=tc_plan.loses)
        execute.run_all(tc.apply_commands(tc_plan))
    except LinkError:
        execute.succeeds(tc.clear_commands(interface)[0])
        upkeep.forget(plan.run_dir, read_state(plan.state_file))
        raise
    return True


_APPLY = {"none": _apply_none, "user": _apply_user, "tc": _apply_tc}


def _tc_plan(plan: Plan, outgoing: dict[str, LinkSpec]) -> tc.TcPlan:
    interface = plan.interface or execute.interface_of(plan.address)
    peers = [tc.PeerLink(address=plan.address_of(name), spec=spec) for name, spec in outgoing.items()]
    return tc.plan_links(interface=interface, peers=peers, ssh_ports=plan.ssh_ports, netem=execute.has_netem())


def _agrees(plan: Plan, outgoing: dict[str, LinkSpec], backend: Backend) -> bool:
    try:
        _in_force(plan, outgoing, backend)
    except LinkError:
        return False
    return True


def _in_force(plan: Plan, outgoing: dict[str, LinkSpec], backend: Backend) -> dict[str, LinkSpec]:
    """Read back what the backend has; LinkError when it is not what was asked for."""
    if backend == "none":
        return dict.fromkeys(outgoing, LinkSpec())
    if backend == "user":
        found = _in_force_user(plan)
        problems = [
            f"{name}: asked {spec.as_dict()}, in force {found.get(plan.address_of(name), LinkSpec()).as_dict()}"
            for name, spec in outgoing.items()
            if not tc.close(spec, found.get(plan.address_of(name), LinkSpec()))
        ]
    else:
        tc_plan = _tc_plan(plan, outgoing)
        qdiscs = execute.run_json(tc.show_command(tc_plan.interface))
        found = tc.in_force(tc_plan, qdiscs)
        problems = tc.differences(tc_plan, qdiscs, execute.run_json(tc.filter_command(tc_plan.interface)))
        if tc_plan.loses and (most := segments.most_packets(tc_plan.interface)) != segments.SINGLE:
            problems.append(f"{tc_plan.interface}: asked to lose single packets, segments of {most} in force")
    if problems:
        raise LinkError(f"{plan.device}: what is in force is not what was asked: {'; '.join(problems)}")
    return {name: found.get(plan.address_of(name), LinkSpec()) for name in outgoing}


def _in_force_user(plan: Plan) -> dict[str, LinkSpec]:
    links = client.ask(_socket(plan), "show")["links"]
    return {
        link["target"]: parse_spec(link["spec"], f"link to {link['target']}")
        for link in links
        if link["source"] == plan.address
    }


def _socket(plan: Plan) -> Path:
    assert plan.emulator_socket is not None
    return plan.emulator_socket


def _start_probe_server(plan: Plan) -> None:
    listener = server.listen_or_keep(plan.address, plan.probe_port)
    if listener is not None:
        # strangers speak to it, and nothing it does takes root
        start_in_background(lambda: server.serve(listener), keep=(listener.fileno(),), as_owner_of=plan.run_dir)
        listener.close()
