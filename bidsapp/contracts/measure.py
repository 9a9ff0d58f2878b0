"""One quality number of a preparation: how it reads, its limits, what it means, what to do."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

PASS, WARN, FAIL = "pass", "warn", "fail"
INFO = "info"
"""Status of a number without a limit."""
UNKNOWN = "unknown"
"""Status of what was not measured."""

Block = Mapping[str, Any]
"""The ``Quality`` block of a sidecar: key of a measure to its value, ``verdict``, ``reasons``."""


@dataclass(frozen=True)
class Limits:
    """The lowest and the highest value that keep a limit; None where there is no such end."""

    low: float | None = None
    high: float | None = None

    def broken(self, values: Sequence[float]) -> float | None:
        """Give the limit that some value does not keep; None where all keep both."""
        if self.low is not None and not min(values) >= self.low:
            return self.low
        if self.high is not None and not max(values) <= self.high:
            return self.high
        return None

    @property
    def ends(self) -> tuple[float, ...]:
        """The limits that there are, the lower first."""
        return tuple(end for end in (self.low, self.high) if end is not None)


@dataclass(frozen=True)
class Zone:
    """A stretch of a scale: where it starts and ends (0 to 1), and its status."""

    start: float
    end: float
    status: str


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain_number(key: str) -> Callable[[Block], float | None]:
    """Make a function that takes one finite number out of a quality block."""

    def value(block: Block) -> float | None:
        found = block.get(key)
        return float(found) if isinstance(found, int | float) and math.isfinite(found) else None

    return value


@dataclass(frozen=True)
class Measure:
    """A quality number, said once for verdicts, pages, tables, dictionaries and methods texts.

    A new line in a modality's table needs no change anywhere else.

    Attributes
    ----------
    key
        Its name in the ``Quality`` block of the sidecar and, where it is compared between scans,
        as a column.
    title, short
        As a table and as a column's head name it; `short` falls back on `title`.
    meaning
        What it tells, in a sentence or two.
    kind
        ``number``; ``numbers``, several of one kind; ``flag``, true where something is wrong;
        ``names``, a list that is empty where nothing is.
    unit, digits
        How a value is written: ``%`` multiplies by 100. `digits` come after the decimal point.
    limit_digits
        The same for limits; `digits` where it is None.
    fails, warns
        Limits of a number; outside them the verdict is ``fail``, or ``warn``.
    raised
        Verdict where a flag is true or names are listed: ``warn``, ``fail``, or empty.
    zero
        What is written for 0, such as ``none``; the number where empty.
    expected
        What is expected, in words; made of the limits where empty.
    reason
        The sentence for a limit that is not kept, with ``{shown}``, ``{expected}``, ``{limit}``,
        ``{low}``, ``{high}`` and ``{value}``; made of title and limits where empty.
    advice
        What to do where it is not kept.
    bad
        Where trouble lies when scans are compared: ``low``, ``high``, ``both``; empty for a value
        that is not compared.
    of
        Takes the number that is compared out of a quality block; the value itself where None.
    on_page
        Whether it is a row of a scan's own page.
    place
        Where it stands on pages, the smallest first; equal places as in the table. The table
        itself is in the order of the sidecar.
    scale
        Ends of the scale on which it is drawn; no drawing where None.
    confound
        Whether it says how the image came out, so that a forecast made of it alone is a warning:
        such numbers are the baseline ``quality`` of a group run, and a flag among them is looked
        at by itself too, as columns of site and scanner are. Not what differs between people
        anyhow, as the size of a brain.
    unusual_sd
        From how many standard deviations of a fold's training people on a held-out image is named
        as unusual; nothing is compared where None.
    column
        Its line in data dictionaries; the title where empty.
    excludes
        Reason and detail for leaving a unit out of every cohort and prediction where it is raised
        or fails, whatever the verdict; nothing where empty.
    only
        Settings under which it is measured, key to values; always where empty.
    """

    key: str
    title: str
    meaning: str
    short: str = ""
    kind: Literal["number", "numbers", "flag", "names"] = "number"
    unit: str = ""
    digits: int = 2
    limit_digits: int | None = None
    fails: Limits = Limits()
    warns: Limits = Limits()
    raised: str = ""
    zero: str = ""
    expected: str = ""
    reason: str = ""
    advice: str = ""
    bad: Literal["low", "high", "both", ""] = ""
    of: Callable[[Block], float | None] | None = None
    on_page: bool = True
    place: int = 0
    scale: tuple[float, float] | None = None
    confound: bool = False
    unusual_sd: float | None = None
    column: str = ""
    excludes: tuple[str, str] | None = None
    only: Mapping[str, tuple[Any, ...]] | None = None

    @property
    def head(self) -> str:
        """The head of its column."""
        return self.short or self.title

    @property
    def limits(self) -> tuple[float, ...]:
        """Every limit, sorted."""
        return tuple(sorted({*self.fails.ends, *self.warns.ends}))

    def number(self, block: Block) -> float | None:
        """Take the number that is compared out of a quality block; None where there is none."""
        return (self.of or plain_number(self.key))(block)

    def fits(self, value: Any) -> bool:
        """Tell whether a value is of the kind of this measure; None, not measured, always is."""
        if value is None:
            return True
        if self.kind == "flag":
            return isinstance(value, bool)
        if self.kind == "number" and self.of is None:
            return _is_number(value)
        if self.kind == "number" and not isinstance(value, list):
            return _is_number(value)
        return isinstance(value, list) and (self.kind == "names" or all(map(_is_number, value)))

    def shown(self, value: Any) -> str:
        """Write a value: ``0.812``, ``1390 ml``, ``1.02 · 0.98``, ``left, superior``, ``yes``."""
        if self.kind == "flag":
            return "yes" if value else "no"
        if self.kind == "names":
            return ", ".join(map(str, value)) or "none"
        values = value if isinstance(value, list | tuple) else (value,)
        return " · ".join(self._written(one, self.digits) for one in values)

    def expectation(self) -> str:
        """Say what is expected, in a few words."""
        if self.expected:
            return self.expected
        if self.kind != "number" and self.kind != "numbers":
            return "none" if self.kind == "names" else "no"
        good = Limits(
            self.warns.low if self.warns.low is not None else self.fails.low,
            self.warns.high if self.warns.high is not None else self.fails.high,
        )
        each = " each" if self.kind == "numbers" else ""
        if good.low is not None and good.high is not None:
            words = f"{self._limit(good.low, False)} to {self._limit(good.high)}{each}"
        elif good.low is not None:
            words = f"at least {self._limit(good.low)}{each}"
        elif good.high is not None:
            words = f"at most {self._limit(good.high)}{each}"
        else:
            return "no limit"
        if self.warns.low is not None and self.fails.low is not None:
            words += f"; below {self._limit(self.fails.low)} fails"
        if self.warns.high is not None and self.fails.high is not None:
            words += f"; above {self._limit(self.fails.high)} fails"
        return words

    def status(self, value: Any) -> str:
        """Judge one value: `PASS`, `WARN`, `FAIL`, `INFO`, or `UNKNOWN` where it is None."""
        return self._judged(value)[0]

    def reason_for(self, value: Any) -> str:
        """Say which limit a value does not keep; empty where it keeps all."""
        status, limit = self._judged(value)
        if status not in (WARN, FAIL):
            return ""
        shown = self.shown(value)
        if not self.reason:
            return f"{self.title}: {shown} (expected {self.expectation()})."
        values = value if isinstance(value, list | tuple) else (value,)
        # numpy's numbers would be formatted alike, and are none of JSON's
        return self.reason.format(
            shown=shown,
            expected=self.expectation(),
            limit=limit,
            low=min(values, default=None),
            high=max(values, default=None),
            value=value,
        )

    def zones(self) -> tuple[Zone, ...]:
        """Divide the scale by the limits, from its low to its high end."""
        if self.scale is None:
            return ()
        low, high = self.scale
        stops = [low, *(limit for limit in self.limits if low < limit < high), high]
        return tuple(
            Zone(self._on(start), self._on(end), self.status((start + end) / 2))
            for start, end in pairwise(stops)
        )

    def marks(self, value: Any) -> tuple[float, ...]:
        """Places of the values on the scale, 0 to 1; empty where it has none."""
        if self.scale is None:
            return ()
        values = value if isinstance(value, list | tuple) else (value,)
        return tuple(min(1.0, max(0.0, self._on(one))) for one in values)

    def applies(self, settings: Mapping[str, Any]) -> bool:
        """Whether it is measured under these settings; those that are not named decide nothing."""
        return applies(self.only, settings)

    def _judged(self, value: Any) -> tuple[str, float | None]:
        if value is None:
            return UNKNOWN, None
        if self.kind in ("flag", "names"):
            return (self.raised if value else PASS) if self.raised else INFO, None
        if not self.limits:
            return INFO, None
        values = value if isinstance(value, list | tuple) else (value,)
        for limits, status in ((self.fails, FAIL), (self.warns, WARN)):
            broken = limits.broken(values)
            if broken is not None:
                return status, broken
        return PASS, None

    def _on(self, value: float) -> float:
        low, high = self.scale or (0.0, 1.0)
        return (value - low) / (high - low)

    def _limit(self, value: float, unit: bool = True) -> str:
        digits = self.digits if self.limit_digits is None else self.limit_digits
        return self._written(value, digits, unit)

    def _written(self, value: float, digits: int, unit: bool = True) -> str:
        if self.zero and not value:
            return self.zero
        if self.unit == "%":
            return f"{value:z.{digits}%}"
        return f"{value:z.{digits}f}" + (f" {self.unit}" if self.unit and unit else "")


def applies(only: Mapping[str, tuple[Any, ...]] | None, settings: Mapping[str, Any]) -> bool:
    """Whether a line of a table goes with these settings; a key that is not there decides not."""
    return all(settings[key] in among for key, among in (only or {}).items() if key in settings)


def judged(
    measures: Iterable[Measure],
    block: Block,
    doubts: Sequence[str] = (),
    faults: Sequence[str] = (),
) -> tuple[str, tuple[str, ...]]:
    """Judge a quality block by the limits of its measures.

    Parameters
    ----------
    measures
        In the order in which their reasons are given.
    block
        Key to value; what is missing or None is not judged.
    doubts
        Sentences that make the verdict at least ``warn``; they come before the other warnings.
    faults
        Sentences that make it ``fail``; they come after the other failures.

    Returns
    -------
    verdict, reasons
        ``pass``, ``warn`` or ``fail``, and a sentence for each limit that was not kept: those
        that fail first.
    """
    found: dict[str, list[str]] = {FAIL: [], WARN: list(doubts)}
    for measure in measures:
        value = block.get(measure.key)
        status = measure.status(value)
        if status in found:
            found[status].append(measure.reason_for(value))
    found[FAIL] += faults
    verdict = FAIL if found[FAIL] else WARN if found[WARN] else PASS
    return verdict, (*found[FAIL], *found[WARN])


def excluded_by(measures: Iterable[Measure], block: Block) -> tuple[str, str] | None:
    """Give reason and detail for which a unit may not be used at all; None where it may."""
    return next(
        (
            measure.excludes
            for measure in measures
            if measure.excludes and measure.status(block.get(measure.key)) in (WARN, FAIL)
        ),
        None,
    )


def compared_measures(measures: Iterable[Measure]) -> tuple[Measure, ...]:
    """List the numbers that are compared between scans, in the order of pages."""
    return tuple(sorted((one for one in measures if one.bad), key=lambda one: one.place))
