"""What the runtime's small commands have in common: one JSON object, or one line of error."""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec

from stage_runtime.errors import SplitbedError


def print_answer(work: Callable[[], object]) -> int:
    """Do `work`, print its result as one line of JSON or its error on standard error; give the exit status."""
    try:
        answer = work()
    except SplitbedError as exc:
        print("error:", " ".join(str(exc).split()), file=sys.stderr)  # noqa: T201  (the command's own output)
        return 1
    print(msgspec.json.encode(answer).decode())  # noqa: T201  (the command's own output)
    return 0
