"""Say which device everybody was waiting for when time ran out."""

from __future__ import annotations

from collections.abc import Mapping

from stage_runtime.formats.cell import Cell
from stage_runtime.wire.messages import Error, Progress


def blame_setup(cell: Cell, seen: Mapping[int, Progress]) -> Error:
    """Name the first device that has not loaded its blocks, by the last sign of life of each stage."""
    for stage, told in enumerate(cell.stages):
        last = seen.get(stage)
        if last is None:
            return _timeout(cell, stage, "did not answer the cell's configuration")
        if last.phase == "loading":
            return _timeout(cell, stage, f"was still loading blocks [{told.first}, {told.last})")
    return _timeout(cell, len(cell.stages) - 1, "did not get ready")


def blame_batch(cell: Cell, seen: Mapping[int, Progress], index: int) -> Error:
    """Name the device where batch ``index``, the oldest without a result, was last on its way to."""
    for stage, told in enumerate(cell.stages):
        last = seen.get(stage)
        if last is None:
            return _timeout(cell, stage, f"gave no sign of life; batch {index} has no result")
        if last.computed > index:
            continue
        if last.received > index:
            return _timeout(cell, stage, f"was still computing batch {index}")
        source = cell.stages[stage - 1].device if stage else told.device
        return _timeout(cell, stage, f"had not received batch {index} from {source}; the link is too slow or down")
    return _timeout(cell, len(cell.stages) - 1, f"computed batch {index}, but its result did not come back")


def blame_alone(cell: Cell, seen: Mapping[int, Progress]) -> Error:
    """Name the device that was computing alone, else the last."""
    for stage in range(len(cell.stages)):
        last = seen.get(stage)
        if last is None:
            return _timeout(cell, stage, "gave no sign of life while the stages computed alone")
        if last.phase == "alone":
            return _timeout(cell, stage, "was still computing alone")
    return _timeout(cell, len(cell.stages) - 1, "did not say that it had computed alone")


def blame_figures(cell: Cell, seen: Mapping[int, Progress]) -> Error:
    """Name the first device that has not begun to finish, else the last."""
    for stage in range(1, len(cell.stages)):
        last = seen.get(stage)
        if last is None or last.phase != "finishing":
            return _timeout(cell, stage, "did not send its figures")
    return _timeout(cell, len(cell.stages) - 1, "did not send its figures")


def _timeout(cell: Cell, stage: int, what: str) -> Error:
    device = cell.stages[stage].device
    reason = f"{device} {what} when the cell's {cell.timeout_s:g} s were over"
    return Error(device=device, reason=reason, status="timeout")
