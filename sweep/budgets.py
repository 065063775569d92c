"""Budgets: how much a sweep measures, by one word.

A budget gives options their values where none is given for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from sweep.errors import OptionError

BudgetName = Literal["quick", "normal", "paper"]
BUDGET_NAMES = get_args(BudgetName)
DEFAULT_BUDGET = "normal"

BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "quick": {"repeats": 1, "most_repeats": 1, "batches": 16, "cell_s": 6.0},
    "normal": {"repeats": 3, "most_repeats": 10, "target_percent": 5.0, "batches": 16, "cell_s": 10.0},
    # five runs of eight batches of eight images, none of them shortened: as published
    "paper": {"repeats": 5, "most_repeats": 5, "batch": (8,), "batches": 8, "window": (1, 4), "cell_s": 0.0},
}


def fill_in(given: Mapping[str, Any]) -> dict[str, Any]:
    """Add to the parsed options that were `given` what their budget says of the others.

    Of ``repeats`` and ``most_repeats`` a given one moves the budget's other one: ``repeats=12`` alone is also the
    most, ``most_repeats=2`` alone also the least.  Raises OptionError where both are given and contradict each other.
    """
    preset = BUDGETS[given.get("budget", DEFAULT_BUDGET)]
    values = {**preset, **given}
    least, most = values["repeats"], values["most_repeats"]
    if most < least:
        if "repeats" in given and "most_repeats" in given:
            raise OptionError(
                f"option `most_repeats`: got `{most}`, which is less than the least, repeats={least}; "
                f"remedy: most_repeats={least} or more, or fewer repeats"
            )
        values["most_repeats" if "repeats" in given else "repeats"] = least if "repeats" in given else most
    return values
