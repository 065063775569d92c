"""What the row of a run that lost a device says of it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import Measurement


def explain(cell: Cell, measurement: Measurement, became: Mapping[str, str]) -> Measurement:
    """Add to the reason what became of the lost device's stage, as `became` tells it of each device that said so."""
    device = measurement.failed_device or cell.stages[0].device
    told = became.get(device, "it does not say what became of its stage")
    return msgspec.structs.replace(measurement, reason=f"{measurement.reason}; {device}: {told}")
