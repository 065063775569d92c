"""The screen of a terminal: lines that stay, and a live bar under them."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


class RichScreen:
    """A live bar under the lines; falls back to plain lines where there is no terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._bar = Progress(
            BarColumn(bar_width=30),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        """Start drawing."""
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing; the lines stay."""
        if self._console.is_terminal:
            self._bar.stop()

    def line(self, text: str) -> None:
        """Show a line that stays."""
        self._console.print(text, markup=False, emoji=False, soft_wrap=True)

    def state(self, text: str, done: int, total: int) -> None:
        """Redraw the bar."""
        self._bar.update(self._task, description=text, completed=done, total=total)
