"""What is done, what runs and how long it will take: one line at the foot of a terminal."""

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

_FEWEST = 3  # pieces of work after which the time left can be told
_SHOWN = 3  # labels of what runs
_CLEAR = "\r\x1b[2K"


class StatusLine:
    """Tells of pieces of work; on a terminal also what runs and the time left.

    Where the output is no terminal nothing is drawn, and of work that went well nothing is said:
    a log holds what needs somebody's eyes, and the summary.

    Parameters
    ----------
    total
        How many pieces there are.
    unit
        What they are called, such as ``images``.
    every
        Whether work that went well is told of in any case.
    draw
        Whether the line is drawn; where others draw on the terminal, the time left is told with
        each piece instead.
    stream
        Where it is written; standard output by default.
    clock
        Seconds, rising.
    """

    def __init__(
        self,
        total: int,
        unit: str,
        *,
        every: bool = False,
        draw: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._unit = total, unit
        self._finished, self._worked = 0, 0
        self._stream = stream or sys.stdout
        self._every = every or self._stream.isatty()
        self._draws = draw and self._stream.isatty()
        self._clock = clock
        self._began = clock()
        self._running: dict[str, str] = {}

    def started(self, label: str, step: str = "") -> None:
        """Tell that a piece, or a step of it, has begun."""
        self._running.pop(label, None)
        self._running[label] = step
        self._draw()

    def stopped(self, label: str) -> None:
        """Tell that nothing of a piece runs at the moment."""
        self._running.pop(label, None)
        self._draw()

    def finished(self, label: str, text: str, *, trouble: bool = False) -> None:
        """Tell how a piece ended; `trouble` is told of in any case."""
        self._running.pop(label, None)
        self._finished += 1
        self._worked += 1
        if trouble or self._every:
            left = "" if self._draws else self.time_left()
            line = f"[{self._finished}/{self._total}] {label}: {text}"
            self._print(line + (f" ({left})" if left else ""))
        self._draw()

    def skipped(self) -> None:
        """Count a piece that was done already, or that ended in a way told elsewhere."""
        self._finished += 1
        self._draw()

    def clear(self) -> None:
        """Take the line away, before something else is printed or at the end."""
        if self._draws:
            self._stream.write(_CLEAR)
            self._stream.flush()

    def _print(self, text: str) -> None:
        self.clear()
        print(text, file=self._stream, flush=True)

    def _draw(self) -> None:
        if not self._draws or self._finished >= self._total:
            return
        parts = [f"{self._finished} of {self._total} {self._unit} done"]
        if self._running:
            latest = list(self._running.items())[-_SHOWN:]
            named = ", ".join(f"{label} {step}".strip() for label, step in latest)
            more = len(self._running) - len(latest)
            parts.append(f"running {named}" + (f" and {more} more" if more else ""))
        left = self.time_left()
        if left:
            parts.append(left)
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(_CLEAR + " · ".join(parts)[:width])
        self._stream.flush()

    def time_left(self) -> str:
        """Say how long the rest will take, judged by what was done; empty where it is not known."""
        if self._worked < _FEWEST or self._finished >= self._total:
            return ""
        spent = (self._clock() - self._began) / self._worked
        return f"about {readable(spent * (self._total - self._finished))} left"


def readable(seconds: float) -> str:
    """Write a duration as ``40 s``, ``12 min`` or ``3 h 20 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
