"""What the devices did while they measured: the stages' telemetry, over all splits and networks."""

from __future__ import annotations

import pandas as pd

from analysis.frame import stages_frame

KEYS = ("model", "chain", "transport", "batch", "window", "device")
FIGURES = (
    "cpu_percent", "device_cpu_percent", "waited_percent", "quota_throttled_percent", "stolen_percent",
    "device_memory_percent", "rss_mb", "temperature_c", "gpu_utilisation_percent", "gpu_memory_mb", "gpu_energy_j",
    "sampler_percent",
)  # fmt: skip


def devices_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per device and way of running it: the runs behind it, and the median of each figure.

    Runs that did not end ok are left out; a figure that no stage had is NaN.
    """
    stages = stages_frame(runs[runs["status"] == "ok"])
    if stages.empty:
        return pd.DataFrame(columns=[*KEYS, "runs", *FIGURES])
    stages = stages.astype(dict.fromkeys(FIGURES, "float64"))
    groups = stages.groupby(list(KEYS), sort=False)
    found = groups[list(FIGURES)].median()
    found.insert(0, "runs", groups.size())
    return found.reset_index().sort_values(list(KEYS), ignore_index=True)
