"""Network conditions: what every link of a chain is asked to do.

A condition is written in the inventory as a mapping (``rate_mbit``, ``delay_ms``, ``jitter_ms``,
``loss_percent``, ``forward``, ``backward``, ``hops``).  What a more particular place does not name
it takes from the more general one: a hop from the condition, a direction from what stands
beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import permutations

import msgspec

from stage_runtime.errors import LinkError

SPEC_KEYS = ("rate_mbit", "delay_ms", "jitter_ms", "loss_percent")
_LIMITS = {
    "rate_mbit": (0.01, 50_000.0),
    "delay_ms": (0.0, 60_000.0),
    "jitter_ms": (0.0, 60_000.0),
    "loss_percent": (0.0, 90.0),
}

ETHERNET_HEADER_BYTES = 14
MTU_BYTES = 1500
FRAME_BYTES = MTU_BYTES + ETHERNET_HEADER_BYTES
_LEAST_QUEUE_PACKETS = 1000
_UNLIMITED_MBIT = 10_000.0


class LinkSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one direction of one link does.

    ``rate_mbit`` None is not limited; ``delay_ms`` is one way; ``jitter_ms`` is uniform, plus or
    minus; ``loss_percent`` is per packet of the link's MTU.
    """

    rate_mbit: float | None = None
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_percent: float = 0.0

    @property
    def shaped(self) -> bool:
        """Tell whether this asks for anything at all."""
        return self != UNSHAPED

    def wire_ms(self, frame_bytes: float) -> float:
        """Give the milliseconds that ``frame_bytes`` (headers included) take at the rate alone."""
        return 0.0 if self.rate_mbit is None else frame_bytes * 8 / self.rate_mbit / 1000

    def as_dict(self) -> dict[str, float | None]:
        """Give the specification as the plain mapping that result rows carry."""
        return {key: getattr(self, key) for key in SPEC_KEYS}


UNSHAPED = LinkSpec()


def queue_packets(spec: LinkSpec) -> int:
    """Give the packets that a link may hold: those in flight by delay and rate, and 1000 waiting.

    netem counts both against its ``limit``, whose default of 1000 drops as soon as the
    bandwidth-delay product exceeds 1.5 MB; a segment that TCP hands over whole, as it does where
    the link loses nothing, is one packet to it.  The emulator counts alike.
    """
    rate = spec.rate_mbit or _UNLIMITED_MBIT
    in_flight_bytes = rate * 1000 / 8 * (spec.delay_ms + spec.jitter_ms)
    return _LEAST_QUEUE_PACKETS + math.ceil(in_flight_bytes / FRAME_BYTES)


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """Both directions of one link; ``forward`` leads to the later device of the chain."""

    forward: LinkSpec
    backward: LinkSpec


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A named condition: ``default`` for every pair of devices, ``hops`` for neighbours."""

    name: str
    default: Hop
    hops: tuple[Hop, ...] = ()

    def directed(self, chain: Sequence[str]) -> dict[tuple[str, str], LinkSpec]:
        """Give the specification of every ordered pair ``(source, target)`` of the chain's devices.

        Raises LinkError when the condition lists hops and their number is not the chain's.
        """
        if self.hops and len(self.hops) != len(chain) - 1:
            raise LinkError(
                f"network {self.name!r} describes {len(self.hops)} hops but the chain "
                f"{' → '.join(chain)} has {len(chain) - 1}; "
                "give one entry of `hops` for each pair of neighbours, or none"
            )
        place = {device: index for index, device in enumerate(chain)}
        if len(place) != len(chain):
            raise LinkError(f"a device occurs twice in the chain {' → '.join(chain)}; name each once")
        links = {}
        for source, target in permutations(chain, 2):
            first, last = sorted((place[source], place[target]))
            hop = self.hops[first] if self.hops and last == first + 1 else self.default
            links[source, target] = hop.forward if place[source] == first else hop.backward
        return links


def parse_condition(name: str, mapping: Mapping[str, object]) -> Condition:
    """Read a condition from its inventory mapping.

    Raises LinkError that names the condition, the key and the value for an unknown key, a value
    that is no number or out of its range, and for jitter above the delay.
    """
    where = f"network {name!r}"
    mapping = _as_mapping(mapping, where)
    _refuse_unknown(mapping, (*SPEC_KEYS, "forward", "backward", "hops"), where)
    common = _values(mapping, where)
    default_values = tuple(common | _direction(mapping, side, where) for side in ("forward", "backward"))
    hops = []
    entries = mapping.get("hops", ())
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise LinkError(f"{where}: `hops` is {entries!r}; it must be a list, one entry per hop")
    for index, entry in enumerate(entries):
        here = f"{where}, hop {index + 1}"
        hop = _as_mapping(entry, here)
        _refuse_unknown(hop, (*SPEC_KEYS, "forward", "backward"), here)
        own = _values(hop, here)
        sides = ("forward", "backward")
        merged = [base | own | _direction(hop, side, here) for base, side in zip(default_values, sides, strict=True)]
        hops.append(_hop(merged, here))
    return Condition(name=name, default=_hop(default_values, where), hops=tuple(hops))


def parse_spec(mapping: object, where: str) -> LinkSpec:
    """Read one direction's specification; errors begin with ``where``."""
    values = _as_mapping(mapping, where)
    _refuse_unknown(values, SPEC_KEYS, where)
    return _spec(_values(values, where), where)


def _direction(mapping: Mapping[str, object], side: str, where: str) -> dict[str, float | None]:
    if side not in mapping:
        return {}
    here = f"{where}, {side}"
    inner = _as_mapping(mapping[side], here)
    _refuse_unknown(inner, SPEC_KEYS, here)
    return _values(inner, here)


def _hop(values: Sequence[dict[str, float | None]], where: str) -> Hop:
    forward, backward = (_spec(value, where) for value in values)
    return Hop(forward=forward, backward=backward)


def _spec(values: dict[str, float | None], where: str) -> LinkSpec:
    spec = msgspec.convert(values, LinkSpec)
    if spec.jitter_ms > spec.delay_ms:
        raise LinkError(
            f"{where}: jitter_ms {spec.jitter_ms:g} is above delay_ms {spec.delay_ms:g}; "
            "a packet cannot arrive before it was sent"
        )
    return spec


def _as_mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise LinkError(f"{where} is {value!r}; it must be a mapping of {', '.join(SPEC_KEYS)}")
    return value


def _refuse_unknown(mapping: Mapping[str, object], known: Sequence[str], where: str) -> None:
    unknown = [str(key) for key in mapping if key not in known]
    if unknown:
        raise LinkError(f"{where}: unknown key {', '.join(unknown)}; known keys: {', '.join(known)}")


def _values(mapping: Mapping[str, object], where: str) -> dict[str, float | None]:
    return {key: _value(key, mapping[key], where) for key in SPEC_KEYS if key in mapping}


def _value(key: str, value: object, where: str) -> float | None:
    if value is None and key == "rate_mbit":
        return None
    low, high = _LIMITS[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise LinkError(f"{where}: {key} is {value!r}; it must be a number from {low:g} to {high:g}")
    return float(value)
