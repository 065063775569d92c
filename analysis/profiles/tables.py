"""Costs as tables: a data frame for files, and what the terminal shows."""

from __future__ import annotations

import pandas as pd
from rich import box
from rich.table import Table

from analysis.numbers import number
from analysis.profiles.costs import DeviceCosts, ModelCosts

_KIB = 2**10
_MIB = 2**20


def blocks_frame(model: ModelCosts) -> pd.DataFrame:
    """Return one row per device, batch size and block."""
    return pd.DataFrame.from_records(
        [
            {
                "model": model.model,
                "granularity": model.granularity,
                "manifest_id": model.manifest_id,
                "device": one.device,
                "accelerator": one.accelerator,
                "batch": one.batch,
                "block": cost.index,
                "name": cost.name,
                "ms": cost.ms,
                "ms_sd": cost.ms_sd,
                "passes": one.passes,
                "share": cost.share,
                "output_bytes_per_sample": block.output_bytes_per_sample,
                "parameter_bytes": block.parameter_bytes,
                "peak_activation_bytes": cost.peak_bytes,
            }
            for one in model.costs
            for block, cost in zip(model.blocks, one.blocks, strict=True)
        ]
    )


def blocks_table(model: ModelCosts, batch: int) -> Table:
    """Return the blocks at one batch size: time, share and peak memory on each device, and the bytes."""
    costs = model.of_batch(batch)
    table = Table(
        title=f"{model.model} · {len(model.blocks)} blocks · batch {batch}",
        title_style="bold",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_footer=True,
    )
    table.add_column("", "", justify="right")
    table.add_column("block", "all")
    table.add_column("out KiB", "", justify="right", no_wrap=True)
    parameters = sum(block.parameter_bytes for block in model.blocks)
    table.add_column("params KiB", number(parameters / _KIB), justify="right", no_wrap=True)
    for one in costs:
        table.add_column(f"{one.device} ms", number(one.blocks_ms), justify="right", no_wrap=True)
        table.add_column("share", "", justify="right", no_wrap=True)
        table.add_column("peak MiB", number(one.peak_bytes / _MIB), justify="right", no_wrap=True)
    for place, block in enumerate(model.blocks):
        own = [one.blocks[place] for one in costs]
        measured = [
            text for cost in own for text in (number(cost.ms), f"{cost.share:.1%}", number(cost.peak_bytes / _MIB))
        ]
        crossing = number(block.output_bytes_per_sample / _KIB)
        table.add_row(str(block.index), block.name, crossing, number(block.parameter_bytes / _KIB), *measured)
    return table


def whole_lines(model: ModelCosts, batch: int) -> list[str]:
    """Say how the blocks' sum compares with passes that were not marked, a line per device."""
    return [_whole_line(one) for one in model.of_batch(batch)]


def _whole_line(one: DeviceCosts) -> str:
    return (
        f"{one.device}: blocks add up to {number(one.blocks_ms)} ms, a pass without marks takes "
        f"{number(one.whole_ms)} ms ({one.marks_percent:+.1f} %; {one.passes} passes of each)"
    )


def splits_line(model: ModelCosts) -> str:
    """Name the split points that send fewer bytes than all before them, with the share of the time before them."""
    told = []
    for split in model.splits:
        if split.fewer:
            shares = "/".join(f"{share:.0%}" for share in split.share_before.values())
            told.append(f"{split.label} {number(split.bytes_per_sample / _KIB)} KiB after {shares}")
    devices = "/".join(model.devices)
    if not told:
        return "no split point sends fewer bytes than the input"
    return f"fewer bytes than at every earlier point (KiB per image, share of the time before it on {devices}): " + (
        ", ".join(told)
    )
