"""The driver's exceptions, all of them :class:`stage_runtime.errors.SplitbedError`.

::

    SplitbedError
    ├── OptionError      an option that does not exist or has a bad value
    ├── InventoryError   a chain, device or network condition that the inventory does not have
    ├── CampaignError    a results folder that cannot be used (locked, altered, unwritable)
    ├── PlayError        an inner play that could not be run at all
    └── StageError       a stage that the driver itself starts does not come up
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from stage_runtime.errors import SplitbedError


class OptionError(SplitbedError):
    """An option does not exist or has a value that is not accepted."""


class InventoryError(SplitbedError):
    """The inventory lacks something that was asked for, or has it wrong."""


class CampaignError(SplitbedError):
    """A campaign's folder cannot be used."""


class PlayError(SplitbedError):
    """An inner play could not be run."""


class StageError(SplitbedError):
    """A stage of this machine, or its link, could not be brought up; ``device`` is whose."""

    def __init__(self, device: str, reason: str) -> None:
        super().__init__(reason)
        self.device = device


def unknown(what: str, got: str, known: Iterable[str], unlisted: Iterable[str] = ()) -> str:
    """Say that `got` is no `what`, list those that are, and guess which one was meant.

    `unlisted` are accepted as well, but too many to list.
    """
    names = sorted(known)
    close = difflib.get_close_matches(got, [*names, *unlisted], n=1)
    guess = f"; did you mean `{close[0]}`?" if close else ""
    return f"unknown {what} `{got}`{guess} (accepted: {', '.join(names) or 'none'})"
