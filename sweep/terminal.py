"""What the driver's own commands share: the screen, and obeying the user's signals."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from contextlib import AbstractContextManager, nullcontext
from types import FrameType

from sweep.interrupt import Control
from sweep.progress import LineScreen, Screen


def open_screen() -> AbstractContextManager[Screen]:
    """Give the terminal's screen; plain lines where rich is not installed, which only this needs."""
    try:
        from sweep.rich_screen import RichScreen  # noqa: PLC0415  (see above)
    except ImportError:
        return nullcontext(LineScreen(lambda text: print(text, file=sys.stdout, flush=True)))  # noqa: T201  (the output)
    return RichScreen()


def obey_signals() -> Control:
    """Give a control that SIGINT and SIGTERM reach: once to end after the running cell, twice at once.

    What that means is said on the error stream, by a bare write: a signal may come in the midst of any other.
    """
    control = Control()

    def hear(_number: int, _frame: FrameType | None) -> None:
        control.interrupt()
        with contextlib.suppress(OSError):  # nobody may be left to read it
            os.write(2, f"\n{control.answer()}\n".encode())

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hear)
    return control
