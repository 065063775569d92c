"""Read ``devices=pi1:cpu:0.5,gpu1:cuda``: which stages this machine is to run, and on what."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from sweep.errors import OptionError
from sweep.testbed import Device, Testbed

KIND = "process"
NETWORK = "loopback"
# Not an address for each of 127.0.0.0/8: PyTorch's RPC takes an interface's first address, whatever it is told.
ADDRESS = "127.0.0.1"
DEFAULT_PORT = 47310
_MOST_DEVICES = 16
_PORTS_EACH = 2  # the stage's, and its link probe's
_HIGHEST_PORT = 65535 - _PORTS_EACH * _MOST_DEVICES
_NAME = re.compile(r"[A-Za-z0-9][\w-]{0,31}", re.ASCII)
_ACCELERATOR = re.compile(r"cpu|cuda(\d{0,2})", re.ASCII)
_FORM = "NAME:ACCELERATOR[:CPUS], such as pi1:cpu:0.5 or gpu1:cuda"


def parse_devices(text: str, cores: Sequence[int], port: int = DEFAULT_PORT) -> tuple[Device, ...]:
    """Read the devices, in the chain's order; `cores` are those that this process may use.

    ACCELERATOR is ``cpu``, ``cuda`` or ``cuda1`` (the second GPU).  CPUS is how many processors the
    device's process gets, any number above 0; without it, all that the others leave.  Each gets
    ports of its own, counted from `port`, and cores of its own as long as there are enough.

    Raises OptionError.
    """
    words = text.split(",")
    if len(words) > _MOST_DEVICES:
        raise OptionError(f"option `devices`: {len(words)} devices, accepted: up to {_MOST_DEVICES}")
    asked = [_parse(word.strip()) for word in words]
    names = [name for name, _, _ in asked]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(f"option `devices`: `{name}` is given twice; remedy: another name")
    allotted = allot([cpus for _, _, cpus in asked], cores)
    return tuple(
        Device(
            name=name,
            kind=KIND,
            data_address=ADDRESS,
            stage_port=port + 1 + _PORTS_EACH * place,
            home="",
            cpus=cpus,
            cores=allotted[place] if cpus is not None else (),
            accelerator=accelerator,
        )
        for place, (name, accelerator, cpus) in enumerate(asked)
    )


def _parse(word: str) -> tuple[str, str, float | None]:
    name, _, rest = word.partition(":")
    accelerator, _, cpus = rest.partition(":")
    match = _ACCELERATOR.fullmatch(accelerator)
    if not _NAME.fullmatch(name) or match is None:
        raise OptionError(f"option `devices`: `{word}` is not of the form {_FORM}")
    where = "cpu" if accelerator == "cpu" else f"cuda:{match[1] or 0}"
    return name, where, _parse_cpus(word, cpus) if ":" in rest else None


def _parse_cpus(word: str, text: str) -> float:
    try:
        cpus = float(text)
    except ValueError:
        cpus = math.nan
    if not 0.01 <= cpus <= 1024:  # noqa: PLR2004 - a hundredth of a core is the least quota; nan is refused too
        raise OptionError(f"option `devices`: `{word}`: got `{text}` CPUs, accepted: a number from 0.01, such as 0.5")
    return cpus


def allot(cpus: Sequence[float | None], cores: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Give each device cores: as many whole ones as its number needs, each core to one device if possible.

    Devices without a number get all that is left, or every core where nothing is.

    >>> allot([0.5, 0.5, None], range(4))
    ((0,), (1,), (2, 3))
    >>> allot([0.5, 2.0], range(2))
    ((0,), (0, 1))
    """
    given: list[tuple[int, ...]] = []
    used = 0
    for one in cpus:
        needs = min(math.ceil(one or 0), len(cores))
        given.append(tuple(sorted(cores[(used + place) % len(cores)] for place in range(needs))))
        used += needs
    left = tuple(cores[used:]) or tuple(cores)
    return tuple(left if one is None else mine for one, mine in zip(cpus, given, strict=True))


def parse_port(text: str) -> int:
    """Read ``port``, the first of those that stages, probes and the RPC world's store take on the loopback."""
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or not 0 < int(text) <= _HIGHEST_PORT:
        raise OptionError(f"option `port`: got `{text}`, accepted: whole numbers from 1 to {_HIGHEST_PORT}")
    return int(text)


def probe_port(device: Device) -> int:
    """Give where the link probe of `device` listens."""
    return device.stage_port + 1


def store_port(first: Device) -> int:
    """Give where the store of the RPC world listens, next to the first stage of the testbed."""
    return first.stage_port - 1


def chain_name(devices: Sequence[Device]) -> str:
    """Name the chain by what its devices are called without their numbers: ``pi_to_gpu``."""
    return "_to_".join(device.name.rstrip("0123456789") or device.name for device in devices)


def make_testbed(devices: Sequence[Device], chain: str) -> Testbed:
    """Give the testbed with the one chain of all `devices`, and the one network that is this machine's loopback.

    Raises OptionError for a chain's name that could not be typed.
    """
    if not _NAME.fullmatch(chain):
        raise OptionError(f"option `chain`: `{chain}`: a name is made of letters, digits, `_` and `-`")
    return Testbed(
        path="",
        devices={device.name: device for device in devices},
        chains={chain: tuple(device.name for device in devices)},
        networks={NETWORK: {}},
        variables=frozenset(),
    )
