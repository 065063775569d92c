"""What a sweep says when it is over, and its exit status."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from sweep.matrix import PlannedCell
from sweep.options import Options
from sweep.settling import Settling

EXIT_OK, EXIT_CELLS_FAILED, EXIT_CELLS_MISSING = 0, 1, 3
_MOST_NAMED = 5


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """The last lines and the exit status."""

    lines: tuple[str, ...]
    status: int


def close_sweep(cells: Mapping[str, PlannedCell], settling: Settling, options: Options, journal: Path) -> Closing:
    """Sum the campaign's `cells` up: those that are ok, failed, lack runs; and those that are not settled."""
    states = {cell_id: settling.state(cell_id) for cell_id in cells}
    failed = sum(state == "failed" for state in states.values())
    missing = sum(state == "missing" for state in states.values())
    ok = len(cells) - failed - missing
    lines = [f"{ok} of {len(cells)} cells ok, {failed} failed, {missing} not run; {journal}"]
    if options.repeats < options.most_repeats:
        lines.append(_how_settled(cells, settling, options))
    if failed:
        lines.append("run the failed ones again with retry_failed=true")
    if missing:
        lines.append("the same command runs the missing ones")
    status = EXIT_CELLS_MISSING if missing else EXIT_CELLS_FAILED if failed else EXIT_OK
    return Closing(lines=tuple(lines), status=status)


def _how_settled(cells: Mapping[str, PlannedCell], settling: Settling, options: Options) -> str:
    target = f"{options.target_percent:g} %"
    settled = sum(settling.state(cell_id) == "settled" for cell_id in cells)
    said = f"{settled} cell{'' if settled == 1 else 's'} settled within {target}"
    wide = {cell_id: settling.half_width(cell_id) for cell_id in cells if settling.state(cell_id) == "at_limit"}
    if not wide:
        return said
    worst = sorted(wide, key=lambda cell_id: wide[cell_id], reverse=True)[:_MOST_NAMED]
    named = ", ".join(f"{_name(cells[cell_id])} ±{100 * wide[cell_id]:.0f} %" for cell_id in worst)
    rest = f" and {len(wide) - len(worst)} more" if len(wide) > len(worst) else ""
    return (
        f"{said}, {len(wide)} at the limit of most_repeats={options.most_repeats} with a half width of over {target}: "
        f"{named}{rest}"
    )


def _name(cell: PlannedCell) -> str:
    where = f"{cell.model} {cell.chain} {cell.network} {cell.transport} {cell.split} window {cell.window}"
    return where + (f" batch {cell.batch}" if cell.batch != 1 else "")
