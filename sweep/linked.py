"""Tell a cell's stages what the links between them were measured to do."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import msgspec

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import LinkDirection


def tell_links(cell: Cell, links: Iterable[LinkDirection]) -> Cell:
    """Give the cell with rate and round trip of each link to a next stage: measured, else the rate in force."""
    by_ends = {(link.source, link.target): link for link in links}
    told = []
    for stage, following in pairwise(cell.stages):
        link = by_ends.get((stage.device, following.device))
        rate = (link.bulk_mbit or link.in_force.get("rate_mbit")) if link is not None else None
        rtt = link.rtt_ms if link is not None else None
        told.append(msgspec.structs.replace(stage, link_mbit=rate, link_rtt_ms=rtt))
    return msgspec.structs.replace(cell, stages=(*told, *cell.stages[-1:]))
