"""What is done, what runs and how long it will take: a line on a terminal, lines in a log."""

import shutil
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self, TextIO

_FEWEST = 3  # pieces of work after which the time left can be told
_LEAST = 0.02  # share of a piece after which it can be told, where shares are known
_SHOWN = 3  # labels of what runs
_CLEAR = "\r\x1b[2K"
BEAT_S = 60.0
"""Seconds after which a log hears that work goes on."""


class StatusLine:
    """Tells of pieces of work: what is done, what runs, and the time left.

    On a terminal it is one line that is drawn anew. Where the output is no terminal (a log, Slurm,
    Docker without -t) a line is printed when a piece begins and when it ends, and at least every
    minute between. Used as a context, it ends that with the block.

    Parameters
    ----------
    total
        How many pieces there are.
    unit
        What they are called, such as ``images``.
    every
        Whether work that went well is told of on a terminal too.
    draw
        Whether the line is drawn; where others draw on the terminal, the time left is told with
        each piece instead.
    stream
        Where it is written; standard output by default.
    clock
        Seconds, rising.
    share
        Gives how much of a piece, by its label, is done, 0 to 1; None where it is not known.
    beat_s
        Seconds after which a log hears that work goes on.
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
        share: Callable[[str], float | None] | None = None,
        beat_s: float = BEAT_S,
    ) -> None:
        self._total, self._unit = total, unit
        self._finished, self._worked = 0, 0
        self._stream = stream or sys.stdout
        self._logs = not self._stream.isatty()
        self._every = every or self._stream.isatty()
        self._draws = draw and self._stream.isatty()
        self._clock = clock
        self._share = share or (lambda _: None)
        self._began = self._told = clock()
        self._running: dict[str, str] = {}
        self._begun: set[str] = set()
        self._known: dict[str, float] = {}
        self._lock = threading.RLock()
        self._over = threading.Event()
        if self._logs and total:
            arguments = (weakref.ref(self), self._over, beat_s)
            threading.Thread(target=_beat, args=arguments, daemon=True).start()

    def __enter__(self) -> Self:
        """Begin; nothing is told yet."""
        return self

    def __exit__(self, *_error: object) -> None:
        """End: the line is taken away, and a log hears no more."""
        self.close()

    def close(self) -> None:
        """Take the line away for good."""
        self._over.set()
        self.clear()

    def started(self, label: str, step: str = "") -> None:
        """Tell that a piece, or a step of it, has begun."""
        with self._lock:
            self._running.pop(label, None)
            self._running[label] = step
            if self._logs and label not in self._begun:
                self._print(f"[{self._finished}/{self._total}] {label}: begun")
            self._begun.add(label)
            self._draw()

    def stopped(self, label: str) -> None:
        """Tell that nothing of a piece runs at the moment."""
        with self._lock:
            self._running.pop(label, None)
            self._draw()

    def finished(self, label: str, text: str, *, trouble: bool = False) -> None:
        """Tell how a piece ended; `trouble` is told of in any case."""
        with self._lock:
            self._running.pop(label, None)
            self._finished += 1
            self._worked += 1
            if trouble or self._every or self._logs:
                left = "" if self._draws else self.time_left()
                line = f"[{self._finished}/{self._total}] {label}: {text}"
                self._print(line + (f" ({left})" if left else ""))
            self._draw()
            if self._finished >= self._total:
                self._over.set()

    def noted(self, label: str, status: str) -> None:
        """Tell what nipype says of a node: ``start``, ``end`` or ``exception``."""
        if status == "start":
            self.started(label)
        else:
            word = "done" if status == "end" else "failed"
            self.finished(label, word, trouble=word == "failed")

    def skipped(self) -> None:
        """Count a piece that was done already, or that ended in a way told elsewhere."""
        with self._lock:
            self._finished += 1
            self._draw()

    def clear(self) -> None:
        """Take the line away, before something else is printed or at the end."""
        if self._draws:
            self._stream.write(_CLEAR)
            self._stream.flush()

    def beat(self, least_s: float) -> None:
        """Say that work goes on, unless something was said within so many seconds."""
        with self._lock:
            if self._clock() - self._told >= least_s and self._finished < self._total:
                done = 100 * (self._finished + sum(self._shares().values())) / self._total
                self._print(f"[{done:.0f} %] " + "; ".join(self._parts()))

    def _shares(self) -> dict[str, float]:
        """Give how much is done of what runs, where that is known."""
        for label in self._running:
            one = self._share(label)
            if one is not None:  # what was reached stays: a file of it goes before the piece ends
                self._known[label] = max(self._known.get(label, 0.0), min(1.0, one))
        return {label: self._known[label] for label in self._running if label in self._known}

    def _parts(self) -> list[str]:
        parts = [f"{self._finished} of {self._total} {self._unit} done"]
        shares = self._shares() if self._logs else {}
        if self._running:
            latest = list(self._running.items())[-_SHOWN:]
            named = ", ".join(
                f"{label} {step}".strip()
                + (f" ({100 * shares[label]:.0f} %)" if label in shares else "")
                for label, step in latest
            )
            more = len(self._running) - len(latest)
            parts.append(f"running {named}" + (f" and {more} more" if more else ""))
        left = self.time_left()
        return [*parts, left] if left else parts

    def _print(self, text: str) -> None:
        self.clear()
        self._told = self._clock()
        print(text, file=self._stream, flush=True)

    def _draw(self) -> None:
        if not self._draws or self._finished >= self._total:
            return
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(_CLEAR + " · ".join(self._parts())[:width])
        self._stream.flush()

    def time_left(self) -> str:
        """Say how long the rest will take, judged by what was done; empty where it is not known."""
        part = sum(self._shares().values()) if self._logs else 0.0
        enough = self._worked >= _FEWEST or part >= _LEAST
        if not enough or self._finished >= self._total:
            return ""
        spent = (self._clock() - self._began) / (self._worked + part)
        return f"about {readable(spent * (self._total - self._finished - part))} left"


def _beat(line: "weakref.ref[StatusLine]", over: threading.Event, beat_s: float) -> None:
    """Let a line tell that work goes on, until it is over or nobody has it any more."""
    while not over.wait(min(1.0, beat_s)):
        one = line()
        if one is None:
            return
        one.beat(beat_s)
        del one


@contextmanager
def telling(text: str, beat_s: float = BEAT_S, stream: TextIO | None = None) -> Iterator[None]:
    """Say of a single piece of work that it goes on, at least every minute, in a log.

    Parameters
    ----------
    text
        What is done.
    beat_s, stream
        As for `StatusLine`.
    """
    out, began, over = stream or sys.stdout, time.monotonic(), threading.Event()

    def tell() -> None:
        while not over.wait(beat_s):
            print(f"{text}: {readable(time.monotonic() - began)} so far", file=out, flush=True)

    if not out.isatty():
        threading.Thread(target=tell, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def readable(seconds: float) -> str:
    """Write a duration as ``40 s``, ``12 min`` or ``3 h 20 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
