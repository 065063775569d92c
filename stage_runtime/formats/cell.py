"""The cell: one (model, chain, cut, network, transport, batch, window, engine, codec)."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from stage_runtime.formats.manifest import Granularity
from stage_runtime.formats.ready import make_ready

CELL_SCHEMA = 1
SILENCE_S = 15.0
"""How long a neighbour may be silent unless a cell says otherwise: longer than 5 s without a link have effects."""

TransportName = Literal["tcp", "rpc"]
EngineName = Literal["eager", "channels_last", "onnxruntime", "cudagraphs", "best"]
"""What computes a stage; ``best`` is whichever of the others a short trial on the device finds fastest."""
CodecName = Literal["none", "fp16", "int8", "lossless", "auto"]
"""What an activation is written as between stages; ``auto`` is whichever of the others takes least time."""


class CellStage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage of a cell: the device, where it listens, and its blocks ``[first, last)``.

    ``first == last`` is a stage without blocks: it passes its input on.  The first stage
    feeds the inputs; an empty first stage is how the input is sent to another device.  ``link_mbit`` is the measured
    rate of the link to the next stage, by which codec ``auto`` chooses, and ``link_rtt_ms`` its measured round trip,
    which with the rate says how much is let be on its way; None where there is no link or it is not known.
    """

    device: str
    address: str
    port: int
    first: int
    last: int
    link_mbit: float | None = None
    link_rtt_ms: float | None = None


class Cell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a chain needs to run one cell once.

    ``cut`` are the split points (strictly increasing block indices); ``split`` is their label:
    ``P3``, ``P3+P9``, or ``only:<device>`` for a reference point.  ``chain`` is the chain's
    name in the inventory and ``devices`` its devices in order; ``stages`` are those that take part.
    ``manifest_id`` and ``inputs_id`` name what must already lie on the devices.  ``batches``
    are measured, after ``warmup`` that are not; at most ``window`` are in flight.  With ``tls`` its stages talk under
    TLS alone.  A stage of which nothing is heard
    for ``silence_s`` seconds ends the cell.
    """

    schema: int = CELL_SCHEMA
    cell_id: str
    repeat: int
    model: str
    granularity: Granularity
    cut: tuple[int, ...]
    split: str
    chain: str
    devices: tuple[str, ...]
    network: str
    transport: TransportName
    engine: EngineName
    codec: CodecName
    batch: int
    batches: int
    warmup: int
    window: int
    manifest_id: str
    inputs_id: str
    seed: int
    timeout_s: float
    stages: tuple[CellStage, ...]
    tls: bool = False
    silence_s: float = SILENCE_S


def cell_id(definition: dict[str, object]) -> str:
    """Hash what defines a cell to 16 hexadecimal digits, whatever the order of its keys."""
    canonical = msgspec.json.encode(definition, order="deterministic")
    return hashlib.sha256(canonical).hexdigest()[:16]


make_ready(Cell)
