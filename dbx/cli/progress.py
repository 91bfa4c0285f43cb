"""A progress bar on stderr, for work longer than a second that somebody watches."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from dbx.cli.text import escape

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self, TextIO

    from dbx.cli.context import Invocation

_APPEARS_AFTER_S = 1.0
_BETWEEN_DRAWS_S = 0.1


class Progress:
    """`with Progress(total, "verifying") as bar: bar.update(n)`; n is how much has been done since the last call.

    `total` None: only a count is shown. The bar appears after a second and is erased at the end. A stream that is no
    terminal gets nothing.
    """

    def __init__(
        self,
        total: int | None,
        label: str,
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self.done = 0
        self._label = escape(label)
        self._stream = sys.stderr if stream is None else stream
        self._shown = not quiet and self._stream.isatty()
        self._now_s = now_s
        self._next_draw_s = now_s() + _APPEARS_AFTER_S
        self._drawn_width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def update(self, count: int = 1) -> None:
        """`count` more units of work are done."""
        self.done += count
        if self._shown and (now_s := self._now_s()) >= self._next_draw_s:
            self._next_draw_s = now_s + _BETWEEN_DRAWS_S
            self._draw()

    def close(self) -> None:
        """Erase the bar."""
        if self._drawn_width:
            self._put("\r" + " " * self._drawn_width + "\r")
            self._drawn_width = 0

    def _draw(self) -> None:
        # One column stays free: a character in the last one makes some terminals wrap.
        width = _columns() - 1
        if self.total:
            share = min(self.done / self.total, 1.0)
            after = f" {share:4.0%} {self.done}/{self.total}"
            room = min(width - len(self._label) - len(after) - 3, 40)
            bar = f" [{'#' * int(room * share):<{room}}]" if room >= 5 else ""
        else:
            bar, after = "", f" {self.done}"
        line = f"{self._label}{bar}{after}"[:width]
        self._put("\r" + line.ljust(self._drawn_width))
        self._drawn_width = len(line)

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            # A terminal that has gone must not stop the work that it was watching.
            self._shown = False


def progress(invocation: Invocation, total: int | None, label: str) -> Progress:
    """The bar for this invocation: none with --quiet."""
    return Progress(total, label, quiet=invocation.quiet)


def _columns() -> int:
    try:
        return os.get_terminal_size(2).columns or 80
    except OSError:
        return 80
