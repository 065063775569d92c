"""Room on the disk that a campaign lies on."""

from __future__ import annotations

import os
from pathlib import Path

from sweep.errors import CampaignError

# For what a play says within the second between two looks, and the rows and samples of that second.
_LEAST_BYTES = 4 * 2**20


def refuse_full_disk(folder: Path) -> None:
    """Raise CampaignError where hardly any room is left on the disk of `folder`, naming both and the remedy."""
    found = os.statvfs(folder)
    blocks = found.f_bfree if os.geteuid() == 0 else found.f_bavail  # the rest is reserved for root
    free = blocks * found.f_frsize
    if free < _LEAST_BYTES:
        raise CampaignError(
            f"{folder}: its disk is full ({free / 2**20:.1f} MiB left, at least {_LEAST_BYTES // 2**20} are needed); "
            "free some space and run again, or results=PATH on another disk"
        )
