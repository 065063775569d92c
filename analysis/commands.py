"""What the commands of the analysis have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable

from stage_runtime.errors import SplitbedError


def exit_status(work: Callable[[], None]) -> int:
    """Do a command's work; return 0, or 2 with the reason in one line on stderr."""
    try:
        work()
    except SplitbedError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return 2
    return 0
