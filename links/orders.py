"""What a device is ordered to do with its links, and what it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from links.conditions import LinkSpec, parse_condition
from stage_runtime.errors import LinkError

Backend = Literal["tc", "user", "none"]


class ChainDevice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One device of the chain, and the IPv4 address that its stages talk over."""

    name: str
    address: str


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network condition as it stands in the inventory."""

    name: str
    condition: dict[str, Any]


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One device's part of a condition; every device of the chain gets the same but ``device``.

    ``run_dir`` holds the lease (``link.lease``) and the state (``link.state``).  ``emulator_socket`` is used
    when it exists; ``interface`` is found by the device's address when it is not given.
    ``serve_probe`` also starts the server that other devices' probes need.  All traffic to a peer's
    address is shaped but that of ``ssh_ports``.
    """

    owner: str
    ttl_s: float
    run_dir: Path
    device: str
    chain: tuple[ChainDevice, ...]
    network: Network
    probe_port: int
    ssh_ports: tuple[int, ...] = (22,)
    backend: Literal["auto", "tc", "user"] = "auto"
    emulator_socket: Path | None = None
    interface: str | None = None
    serve_probe: bool = True

    @property
    def address(self) -> str:
        """Give this device's own address."""
        return self.address_of(self.device)

    @property
    def lease_file(self) -> Path:
        """Give the file whose modification time keeps the shaping in force."""
        return self.run_dir / "link.lease"

    @property
    def state_file(self) -> Path:
        """Give the file that says what was shaped, for clear, show and the guard."""
        return self.run_dir / "link.state"

    def address_of(self, name: str) -> str:
        """Give a chain device's address; LinkError when the chain lacks it."""
        for device in self.chain:
            if device.name == name:
                return device.address
        names = [device.name for device in self.chain]
        raise LinkError(f"device {name!r} is not in the chain {names}; the plan must name one of them")

    def directed(self) -> dict[tuple[str, str], LinkSpec]:
        """Give what every ordered pair of the chain's devices is asked to do."""
        condition = parse_condition(self.network.name, self.network.condition)
        return condition.directed([device.name for device in self.chain])

    def outgoing(self) -> dict[str, LinkSpec]:
        """Give what this device's links are asked to do, by the peer's name."""
        return {target: spec for (source, target), spec in self.directed().items() if source == self.device}


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is shaped on this device: enough to clear it whatever became of its owner.

    ``slow_start_after_idle`` is the kernel's setting before it was switched off; None where it was not.
    ``segment_packets`` is likewise how many packets a segment on the interface might have before they were limited.
    """

    owner: str
    backend: Backend
    address: str
    interface: str | None
    emulator_socket: Path | None
    slow_start_after_idle: str | None = None
    segment_packets: int | None = None


def decode_plan(text: str) -> Plan:
    """Read a plan from JSON, or from the file that ``@path`` names."""
    try:
        data = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        return msgspec.json.decode(data, type=Plan, dec_hook=_decode_path)
    except OSError as error:
        raise LinkError(f"cannot read the plan {text}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LinkError(f"the plan does not have its format: {error}") from error


def read_state(path: Path) -> State | None:
    """Read the state file; None when nothing is shaped."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=State, dec_hook=_decode_path)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LinkError(f"cannot read {path}: {error}; clear the links by hand and remove it") from error


def write_state(path: Path, state: State) -> None:
    """Write the state file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(msgspec.json.encode(state, enc_hook=str))
    draft.replace(path)


def _decode_path(kind: type, value: Any) -> Path:
    if kind is not Path or not isinstance(value, str):
        raise NotImplementedError(f"no value of type {kind} is written here")
    return Path(value)
