"""When volumes and slices were acquired: JSON against header, refused where they contradict."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bidsapp.errors import BadData
from bidsapp.visible import shortened

TR_SECONDS = (0.1, 20.0)
"""Shortest and longest time between volumes that a series of a brain has."""
# Two statements of one repetition time differ by no more than rounding.
_SAME = 0.005
_HEADER_UNITS = {8: ("seconds", 1.0), 16: ("milliseconds", 1e-3), 24: ("microseconds", 1e-6)}
_AXES = {"i": 0, "j": 1, "k": 2}
DIRECTIONS = "one of i, j, k, i-, j-, k-"
"""What is expected of a direction of an image's axes."""
AT_ONCE = "All slices are said to have been acquired at once (SliceTiming); none was shifted."
"""Note on a series whose slices have one time."""
_QUOTED = 60  # characters of what a JSON file says


@dataclass(frozen=True)
class Timing:
    """When a series was acquired.

    Attributes
    ----------
    tr
        Seconds from one volume to the next.
    slices
        Seconds from the start of a volume to each slice, in the order of the array, shape (S,);
        None where it is not known.
    axis
        Axis of the array along which the slices lie.
    notes
        What was assumed, a sentence each.
    """

    tr: float
    slices: np.ndarray | None
    axis: int
    notes: tuple[str, ...] = ()

    @property
    def apart(self) -> bool:
        """Whether slices are known to have been acquired at different times."""
        return self.slices is not None and bool(np.ptp(self.slices) > 0)

    @property
    def middle(self) -> float:
        """Seconds from the start of a volume to the middle of its acquisition."""
        if self.slices is None:
            return 0.0
        return float(self.slices.min() + self.slices.max()) / 2


def direction_of(told: Any) -> tuple[int, int] | None:
    """Give axis and sense (1, -1) of a direction as BIDS writes it; None where it is none."""
    if not isinstance(told, str) or told.removesuffix("-") not in _AXES:
        return None
    return _AXES[told.removesuffix("-")], -1 if told.endswith("-") else 1


def timing_of(
    name: str,
    metadata: Mapping[str, Any],
    shape: tuple[int, ...],
    header_tr: float,
    header_unit: int,
) -> Timing:
    """Read the times of a series, and refuse what contradicts itself.

    Parameters
    ----------
    name
        The image, for messages.
    metadata
        Of its JSON files: ``RepetitionTime``, ``SliceTiming``, ``SliceEncodingDirection``.
    shape
        Of the image, (X, Y, Z, T), in the order of the file.
    header_tr
        The header's time between volumes (pixdim[4]).
    header_unit
        Its code of the unit of time (xyzt_units & 0x38).

    Raises
    ------
    BadData
        No time between volumes is given, two of them contradict each other, one is not in
        seconds; the times of the slices are not as many as there are slices, or lie outside of
        the time between volumes.
    """
    notes: list[str] = []
    tr = _repetition_time(name, metadata, header_tr, header_unit, notes)
    direction = metadata.get("SliceEncodingDirection", "k")
    found = direction_of(direction)
    if found is None:
        raise BadData(
            f"{name}: SliceEncodingDirection is {_shown(direction)} in its JSON; {DIRECTIONS} is "
            "expected."
        )
    axis, sense = found
    times = metadata.get("SliceTiming")
    if times is None:
        notes.append("The times of slices are not given; they were not corrected.")
        return Timing(tr, None, axis, tuple(notes))
    slices = _slice_times(name, times, shape[axis], "ijk"[axis], tr)
    if sense < 0:
        slices = slices[::-1].copy()
    timing = Timing(tr, slices, axis, tuple(notes))
    return timing if timing.apart else replace(timing, notes=(*notes, AT_ONCE))


def _repetition_time(
    name: str,
    metadata: Mapping[str, Any],
    header_tr: float,
    header_unit: int,
    notes: list[str],
) -> float:
    unit, factor = _HEADER_UNITS.get(header_unit, ("", 1.0))
    header = header_tr * factor if math.isfinite(header_tr) and header_tr > 0 else 0.0
    if "RepetitionTime" not in metadata:
        if "VolumeTiming" in metadata:
            raise BadData(
                f"{name}: its JSON has VolumeTiming, times of single volumes; only series with "
                "one RepetitionTime can be prepared. Leave it out with --bids-filter-file."
            )
        if not header:
            raise BadData(
                f"{name}: neither its JSON (RepetitionTime) nor its header (pixdim[4]) says how "
                "many seconds lie between volumes. Write RepetitionTime into its JSON."
            )
        if not unit or not TR_SECONDS[0] <= header <= TR_SECONDS[1]:
            raise BadData(
                f"{name}: RepetitionTime is not in its JSON, and the header has {header_tr:g} "
                f"{unit or 'of no unit'} between volumes. Write RepetitionTime in seconds into "
                "its JSON."
            )
        notes.append(f"RepetitionTime is not in the JSON; the header's {header:g} s were used.")
        return header
    told = metadata["RepetitionTime"]
    if isinstance(told, bool) or not isinstance(told, int | float) or not math.isfinite(told):
        raise BadData(
            f"{name}: RepetitionTime is {told!r} in its JSON; a number of seconds is expected."
        )
    tr = float(told)
    if not TR_SECONDS[0] <= tr <= TR_SECONDS[1]:
        looks = ""
        if TR_SECONDS[0] <= tr / 1000 <= TR_SECONDS[1]:
            looks = f" It looks like milliseconds: write {tr / 1000:g}."
        raise BadData(
            f"{name}: RepetitionTime is {tr:g} s in its JSON; {TR_SECONDS[0]:g} to "
            f"{TR_SECONDS[1]:g} s are expected.{looks}"
        )
    if header and not _same(tr, header):
        if _same(tr * 1000, header) or _same(tr, header * 1000):
            notes.append(
                f"The header has {header_tr:g} {unit or 'of no unit'} between volumes, the JSON "
                f"{tr:g} s; the units of the header are wrong, and the JSON was used."
            )
        elif not unit and header_tr == 1:
            notes.append(
                f"The header has 1 without a unit between volumes; the JSON's {tr:g} s were used."
            )
        else:
            raise BadData(
                f"{name}: its JSON says that {tr:g} s lie between volumes (RepetitionTime), its "
                f"header {header:g} s (pixdim[4]). Correct the one that is wrong."
            )
    return tr


def _slice_times(name: str, times: Any, count: int, axis: str, tr: float) -> np.ndarray:
    expected = "a list of numbers of seconds is expected, one for each slice."
    if not isinstance(times, list) or not times:
        raise BadData(f"{name}: SliceTiming is {_shown(times)} in its JSON; {expected}")
    for place, time in enumerate(times, start=1):
        if isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time):
            raise BadData(
                f"{name}: SliceTiming holds {_shown(time)} in its JSON (time {place} of "
                f"{len(times)}); {expected}"
            )
    slices = np.array(times, float)
    if len(slices) != count:
        raise BadData(
            f"{name}: SliceTiming in its JSON has {len(slices)} times, the image has {count} "
            f"slices along {axis}. Correct SliceTiming or SliceEncodingDirection, or remove "
            "SliceTiming to leave slice times uncorrected."
        )
    if slices.min() < 0 or slices.max() >= tr * (1 + _SAME):
        looks = ""
        if slices.min() >= 0 and 20 * tr < slices.max() < 1000 * tr:
            looks = " They look like milliseconds: divide them by 1000."
        raise BadData(
            f"{name}: SliceTiming in its JSON runs from {slices.min():g} to {slices.max():g} s; "
            f"0 to the RepetitionTime of {tr:g} s is expected.{looks}"
        )
    return slices


def _shown(value: Any) -> str:
    return shortened(repr(value), _QUOTED)


def _same(one: float, two: float) -> bool:
    return abs(one - two) <= _SAME * max(one, two)
