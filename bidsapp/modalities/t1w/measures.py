"""What to do about a normalisation that is doubtful or failed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bidsapp.modalities.t1w.bright import BRIGHT
from bidsapp.modalities.t1w.quality import (
    AFFINE_SCALE,
    EDGE_MM2,
    FAIL,
    FOLDED_WARN,
    LOCAL_NCC_FAIL,
    LOCAL_NCC_WARN,
    LOCAL_RADIUS,
    NCC_FAIL,
    PASS,
    VOLUME_ML,
    WARN,
)

_ADVICE = {
    "ncc": (
        "Switch between participant and template in the registration mosaic. A brain that is "
        "tilted, upside down or mirrored has a wrong header: convert it again from the DICOM "
        "files. A brain of another contrast is not a T1w image: choose the right file with "
        "--bids-filter-file."
    ),
    "local_ncc": (
        "Follow the inner contour in the registration mosaic. If only details miss, run again with "
        "--speed precise. If large lesions, enlarged ventricles or motion cause it, decide "
        "whether the participant belongs in the analysis."
    ),
    "brain_volume_ml": (
        "Look at the brain mask on the native image. Where it is wrong, give the app an image that "
        "is skull-stripped already: it is recognised. Where it is right, check the voxel sizes in "
        "the header."
    ),
    "affine_scales": (
        "Check the voxel sizes in the header, then the brain mask: a mask with neck or without "
        "part of the brain makes the affine stretch."
    ),
    "folded_fraction": (
        "Look for sharp dark spots in the volume-change maps. Where they lie in a region of "
        "interest, do not use that region of the log-Jacobian map."
    ),
    "cut_faces": (
        "Look at the border of the native image. If only a rim of the mask touches it, nothing is "
        "lost; if part of the brain was not scanned, choose another scan with "
        "--bids-filter-file or leave the participant out."
    ),
    "rescued": (
        "Settle left and right before anything that depends on the side: compare with the DICOM "
        "files or a marker, repair the header, and run again."
    ),
}
_OTHERWISE = (
    "Read the reasons above, then look at both mosaics. If the header leaves left and right open, "
    "compare with the DICOM files before anything that depends on the side."
)
_AFTER_FAIL = (
    "If it cannot be mended, do nothing: the group level leaves the participant out by itself and "
    "says why in exclusions.tsv."
)
_AFTER_WARN = (
    "If the overlays look right, go on: the group level keeps the participant. If they do not, "
    "leave the participant out with --participant-label."
)


def advice(quality: Mapping[str, Any], rows: Sequence["Row"]) -> list[str]:
    """Sentences that say what to do; empty for a pass."""
    verdict = quality.get("verdict")
    if verdict not in (WARN, FAIL):
        return []
    flagged = {row.key for row in rows if row.status in (WARN, FAIL)}
    steps = [text for key, text in _ADVICE.items() if key in flagged]
    if len(quality.get("reasons", ())) > len(flagged) or not steps:
        steps.append(_OTHERWISE)
    return [*steps, _AFTER_FAIL if verdict == FAIL else _AFTER_WARN]


INFO = "info"  # a number without a limit
UNKNOWN = "unknown"  # not measured


@dataclass(frozen=True)
class Zone:
    """A stretch of a scale: where it starts and ends (0 to 1), and its status."""

    start: float
    end: float
    status: str


@dataclass(frozen=True)
class Row:
    """One line of the quality table.

    `marks` are the positions of the values on the scale that `zones` divide, 0 to 1.
    """

    key: str
    name: str
    value: str
    expected: str
    meaning: str
    status: str
    zones: tuple[Zone, ...] = ()
    marks: tuple[float, ...] = ()


def quality_rows(quality: Mapping[str, Any]) -> list[Row]:
    """Lay out what ``Quality.plain()`` gives, in the order in which it should be read."""
    return [
        _local_ncc(quality.get("local_ncc")),
        _ncc(quality.get("ncc")),
        _volume(quality.get("brain_volume_ml")),
        _scales(quality.get("affine_scales")),
        _folded(quality.get("folded_fraction")),
        _bright(quality.get("bright_share")),
        _faces(quality.get("cut_faces")),
        _rescued(quality.get("rescued")),
        _dice(quality.get("mask_dice")),
    ]


def _scale(low: float, high: float, *stops: tuple[float, str]) -> tuple[Zone, ...]:
    """Divide a scale: each stop is where a zone ends and its status."""
    zones, start = [], low
    for end, status in stops:
        zones.append(Zone((start - low) / (high - low), (end - low) / (high - low), status))
        start = end
    return tuple(zones)


def _on(low: float, high: float, *values: float) -> tuple[float, ...]:
    return tuple(min(1.0, max(0.0, (value - low) / (high - low))) for value in values)


def _row(
    key: str,
    name: str,
    value: Any,
    shown: Callable[[Any], str],
    status: Callable[[Any], str],
    expected: str,
    meaning: str,
    scale: tuple[float, float] | None = None,
    stops: tuple[tuple[float, str], ...] = (),
) -> Row:
    if value is None:
        return Row(key, name, "–", expected, meaning, UNKNOWN)
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    zones = _scale(*scale, *stops) if scale else ()
    marks = _on(*scale, *values) if scale else ()
    return Row(key, name, shown(value), expected, meaning, status(value), zones, marks)


def _local_ncc(value: float | None) -> Row:
    return _row(
        "local_ncc",
        "Local likeness to the template (local NCC)",
        value,
        lambda number: f"{number:.3f}",
        lambda number: (
            FAIL if number < LOCAL_NCC_FAIL else WARN if number < LOCAL_NCC_WARN else PASS
        ),
        f"at least {LOCAL_NCC_WARN:.2f}; below {LOCAL_NCC_FAIL:.2f} fails",
        f"Correlation with the template in small cubes ({(2 * LOCAL_RADIUS + 1) * 2} mm), "
        "averaged: do folds and nuclei lie on each other? The best single number.",
        (0.3, 1.0),
        ((LOCAL_NCC_FAIL, FAIL), (LOCAL_NCC_WARN, WARN), (1.0, PASS)),
    )


def _ncc(value: float | None) -> Row:
    return _row(
        "ncc",
        "Likeness to the template (NCC)",
        value,
        lambda number: f"{number:.3f}",
        lambda number: FAIL if number < NCC_FAIL else PASS,
        f"at least {NCC_FAIL:.2f}",
        "Correlation with the template over the whole brain: is it the right organ, the right "
        "way up, in the right contrast?",
        (0.3, 1.0),
        ((NCC_FAIL, FAIL), (1.0, PASS)),
    )


def _volume(value: float | None) -> Row:
    low, high = VOLUME_ML
    return _row(
        "brain_volume_ml",
        "Brain volume",
        value,
        lambda number: f"{number:.0f} ml",
        lambda number: PASS if low <= number <= high else FAIL,
        f"{low:.0f} to {high:.0f} ml",
        "Volume of the brain mask on the native image. Too small: brain is missing. "
        "Too large: skull, eyes or neck are in it.",
        (400.0, 2600.0),
        ((low, FAIL), (high, PASS), (2600.0, FAIL)),
    )


def _scales(value: list[float] | None) -> Row:
    low, high = AFFINE_SCALE
    return _row(
        "affine_scales",
        "Size against the template",
        value,
        lambda numbers: " · ".join(f"{number:.2f}" for number in numbers),
        lambda numbers: PASS if low <= min(numbers) and max(numbers) <= high else FAIL,
        f"{low} to {high} each",
        "How many times larger than the template the participant is, along three perpendicular "
        "directions.",
        (0.4, 1.6),
        ((low, FAIL), (high, PASS), (1.6, FAIL)),
    )


def _folded(value: float | None) -> Row:
    return _row(
        "folded_fraction",
        "Folded tissue",
        value,
        lambda number: f"{number:.2%}",
        lambda number: WARN if number > FOLDED_WARN else PASS,
        f"at most {FOLDED_WARN:.1%}",
        "Share of the brain in which the deformation turns space inside out.",
        (0.0, 2 * FOLDED_WARN),
        ((FOLDED_WARN, PASS), (2 * FOLDED_WARN, WARN)),
    )


def _bright(value: float | None) -> Row:
    return _row(
        "bright_share",
        "Brighter than any tissue",
        value,
        lambda number: f"{number:.1%}" if number else "none",
        lambda number: INFO,
        "none, without contrast agent",
        f"Share of the brain that is brighter than its white matter, as vessels with contrast "
        f"agent are; none where it is below {BRIGHT:.1%}. Both likenesses are taken without it.",
    )


def _faces(value: list[str] | None) -> Row:
    return _row(
        "cut_faces",
        "Brain cut by the field of view",
        value,
        lambda faces: ", ".join(map(str, faces)) or "none",
        lambda faces: WARN if faces else PASS,
        "none",
        f"Sides of the image on which more than {EDGE_MM2 / 100:g} cm² of brain lie: was part of "
        "the brain not scanned?",
    )


def _rescued(value: bool | None) -> Row:
    return _row(
        "rescued",
        "Orientation found from the image",
        value,
        lambda rescued: "yes" if rescued else "no",
        lambda rescued: WARN if rescued else PASS,
        "no",
        "Whether the header's orientation had to be set aside. If so, left and right cannot be "
        "verified from the file.",
    )


def _dice(value: float | None) -> Row:
    return _row(
        "mask_dice",
        "Overlap of the brain masks (Dice)",
        value,
        lambda number: f"{number:.3f}",
        lambda number: INFO,
        "no limit",
        "Overlap of the normalised brain mask with the template's. It stays high even in most "
        "failures, so nothing hangs on it.",
    )
