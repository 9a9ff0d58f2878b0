"""How long a phase was read out, counted in the lines that an image has now."""

from collections.abc import Mapping
from math import inf
from typing import Any

from bidsapp.errors import BadData

# Lines and times that differ by no more are the same.
_SAME = 0.05


def readout_of(metadata: Mapping[str, Any], lines: int) -> tuple[float, str]:
    """Give the read-out time by which a field displaces an image, and what was assumed.

    Parameters
    ----------
    metadata
        Of the image: ``TotalReadoutTime`` or ``EffectiveEchoSpacing`` in seconds, and
        ``ReconMatrixPE`` where it is there.
    lines
        Of the image along its phase.

    Returns
    -------
    seconds : float
        Times the field in Hz: the displacement in the image's lines.
    assumed : str
        A sentence; empty where nothing was.

    Raises
    ------
    BadData
        Neither time is there, or one is no time of an echo-planar image in seconds.

    Notes
    -----
    BIDS: ``TotalReadoutTime = EffectiveEchoSpacing * (ReconMatrixPE - 1)``, of the image as it was
    reconstructed. A field displaces by Hz times the spacing of a field of view, however many lines
    that is divided into: of an image that was resampled since, the spacing still holds, and the
    time is that of as many spacings as it has lines now. Only ReconMatrixPE says that an image was
    resampled. Where both times are there and contradict each other the spacing is kept, as the
    time is defined by it.
    """
    total, spacing = (
        _seconds(metadata, key) for key in ("TotalReadoutTime", "EffectiveEchoSpacing")
    )
    before = _lines(metadata)
    if total is None and spacing is None:
        raise BadData(
            "The field map needs TotalReadoutTime, or EffectiveEchoSpacing, in seconds in the "
            "series' JSON."
        )
    of, assumed = lines if before is None else before, []
    if total and spacing and abs(total / (spacing * (of - 1)) - 1) > _SAME:
        assumed.append(
            f"Its TotalReadoutTime of {total:g} s is not EffectiveEchoSpacing times lines less one "
            f"({spacing:g} s × {of - 1} = {spacing * (of - 1):.4g} s): the spacing was kept, as "
            "BIDS defines the time by it."
        )
    elif abs(of / lines - 1) <= _SAME:
        return _checked(total or (spacing or 0.0) * (lines - 1)), ""
    now = _checked((spacing or (total or 0.0) / (of - 1)) * (lines - 1))
    if abs(of / lines - 1) > _SAME:
        assumed.append(
            f"Its ReconMatrixPE is {of}, the image has {lines} lines along the phase: it was taken "
            f"as resampled, and read out in {now:.4g} s."
        )
    return now, " ".join(assumed)


def _lines(metadata: Mapping[str, Any]) -> int | None:
    """Say how many lines the image had that the JSON was written for; None where it does not."""
    told = metadata.get("ReconMatrixPE")
    if isinstance(told, int | float) and 1.5 < told < inf:  # of one line there is no train
        return round(told)
    return None


def same_readout(told: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether images were read out in the same time by their JSON, as far as it is told.

    Parameters
    ----------
    told
        Image, for messages, to its metadata; a ``TotalReadoutTime`` of 0 tells nothing.

    Raises
    ------
    BadData
        A time is no number above 0.
    """
    times: list[float] = []
    for name, metadata in told.items():
        time = metadata.get("TotalReadoutTime") or None
        if time is None:
            continue
        if isinstance(time, bool) or not isinstance(time, int | float) or not 0 < time < inf:
            raise BadData(
                f"{name}: TotalReadoutTime is {time!r} in its JSON; seconds are expected."
            )
        times.append(float(time))
    return not times or max(times) / min(times) - 1 <= _SAME


def _seconds(metadata: Mapping[str, Any], key: str) -> float | None:
    told = metadata.get(key)
    if told is None:
        return None
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 < told < 1:
        looks = ""
        if isinstance(told, int | float) and 1 <= told < 1000:
            looks = f" It looks like milliseconds: write {told / 1000:g}."
        raise BadData(
            f"{key} is {told!r} in the series' JSON; the field map needs seconds, 0 to 1.{looks}"
        )
    return float(told)


def _checked(seconds: float) -> float:
    if not 0 < seconds < 1:
        raise BadData(
            f"The series would be read out in {seconds:g} s by its JSON (EffectiveEchoSpacing "
            "times lines); less than 1 s is expected. Is it in milliseconds?"
        )
    return seconds
