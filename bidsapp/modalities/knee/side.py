"""Left or right: told by tables and names, seen in the anatomy, and what if they disagree.

What can be seen, the surest first: on which side of the tibia the fibula lies, or the lateral
plate of the medial one; else the shape of the bones, whose halves differ. Each bone's distances
from its centre, seen over the sphere, are split into a part that a mirror leaves and one that it
turns round, and the latter is compared with that of a known right knee. What is told against the
former is refused; against shapes, which tell less surely, it is taken and doubted.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bidsapp.errors import BadData
from bidsapp.modalities.knee.frame import Side
from bidsapp.modalities.knee.right_knee import RIGHT

_WORDS: Mapping[str, Side] = {
    **dict.fromkeys(("r", "right", "rt", "rechts", "droit", "droite", "derecha"), "R"),
    **dict.fromkeys(("l", "left", "lt", "links", "gauche", "izquierda"), "L"),
}
_IN_LABELS: Mapping[str, Side] = {"left": "L", "right": "R"}
NAMES: Mapping[str, str] = {"L": "left", "R": "right"}
_SIDED_KEYS = ("acq", "rec", "desc", "hemi", "label")
_APART = re.compile(
    "(?<![a-z])(left|right)(?![a-z])|(Left|Right)(?![a-z])|(?<![A-Z])(LEFT|RIGHT)(?![A-Z])"
)
"""A side as a word of its own: ``DESSleft``, and not ``leftover``, ``rightcoil``, ``copyright``."""
_APART_MM = 5.0
_ALIKE = 0.35
_BANDS, _WAVES = 8, 4
ASK = (
    "Write L or R into a column knee_side of sessions.tsv, scans.tsv or participants.tsv, or name "
    "it in the file (acq-DESSright), or, where all knees are of one side, "
    "--set preparation.side=R."
)


@dataclass(frozen=True)
class Seen:
    """What the anatomy says.

    Attributes
    ----------
    side
        The side.
    sure
        Whether nothing but a wrong header or label can make it wrong.
    words
        What was seen, for messages and sidecars.
    """

    side: Side
    sure: bool
    words: str


def read_side(text: str) -> Side | None:
    """Read ``R``, ``right``, ``Left knee``; None for anything else."""
    found = {_WORDS[word] for word in text.lower().replace("_", " ").split() if word in _WORDS}
    return found.pop() if len(found) == 1 else None


def side_in_name(name: str) -> Side | None:
    """Read a side from the labels of a file's name: ``acq-DESSright``, ``hemi-L``.

    Raises
    ------
    BadData
        Its labels say both.
    """
    pairs = (part.partition("-")[::2] for part in name.partition(".")[0].split("_"))
    found = {side for key, label in pairs if (side := _side_in_label(key, label))}
    if len(found) > 1:
        raise BadData(f"{name} says left and right; rename it with the side of this knee alone.")
    return found.pop() if found else None


def _side_in_label(key: str, label: str) -> Side | None:
    """Read a side that a label names by a word of its own; where that is in doubt, none."""
    if key not in _SIDED_KEYS:
        return None
    if key in ("hemi", "acq", "desc") and label.upper() in ("L", "R"):
        return "R" if label.upper() == "R" else "L"
    found = {_IN_LABELS[match[0].lower()] for match in _APART.finditer(label)}
    return found.pop() if len(found) == 1 else None


def seen_in_labels(places: Mapping[str, np.ndarray]) -> Seen | None:
    """Tell the side from where structures lie.

    Parameters
    ----------
    places
        Structure to the (3,) middle of its voxels in the scanner's millimetres, RAS+; ``tibia``
        and whatever there is of fibula, medial and lateral plates and menisci.
    """
    pairs = (
        (
            "lateral_tibial_cartilage",
            "medial_tibial_cartilage",
            "the lateral plate lies {} of the medial",
        ),
        ("lateral_meniscus", "medial_meniscus", "the lateral meniscus lies {} of the medial"),
        ("fibula", "tibia", "the fibula lies {} of the tibia"),
    )
    found = []
    for outer, inner, words in pairs:
        if outer in places and inner in places:
            step = float(places[outer][0] - places[inner][0])
            if abs(step) >= _APART_MM:
                side: Side = "R" if step > 0 else "L"
                where = "to the right" if side == "R" else "to the left"
                found.append(Seen(side, True, words.format(where)))
    if len({one.side for one in found}) > 1:
        raise BadData(
            f"The label map contradicts itself: {'; '.join(one.words for one in found)}. Correct "
            "the label table, or the header."
        )
    return found[0] if found else None


def asymmetry(radius: np.ndarray) -> np.ndarray:
    """(32,) what a mirror turns round in a bone's distances from its centre.

    Parameters
    ----------
    radius
        (rows, columns) mm over the sphere, columns from -pi to pi with 0 in front.

    Returns
    -------
    numpy.ndarray
        Amplitudes of sine waves around the axis, in bands from the joint's pole, over the mean.
    """
    columns = radius.shape[1]
    azimuth = -np.pi + (np.arange(columns) + 0.5) * 2 * np.pi / columns
    waves = np.sin(np.outer(np.arange(1, _WAVES + 1), azimuth))
    relative = np.nan_to_num(radius / np.nanmean(radius), nan=1.0)
    bands = [band.mean(0) for band in np.array_split(relative, _BANDS)]
    return np.asarray(np.stack(bands) @ waves.T * 2 / columns).ravel()


def seen_in_shapes(radii: Mapping[str, np.ndarray]) -> Seen | None:
    """Tell the side from the bones' shapes; None where they do not look like either.

    Parameters
    ----------
    radii
        Bone to its distances over the sphere, as the map of a right knee would be laid.
    """
    alike = {
        bone: float(np.corrcoef(asymmetry(radius), np.array(RIGHT[bone]))[0, 1])
        for bone, radius in radii.items()
        if bone in RIGHT
    }
    if not alike:
        return None
    mean = float(np.mean(list(alike.values())))
    if abs(mean) < _ALIKE:
        return None
    side: Side = "R" if mean > 0 else "L"
    each = ", ".join(f"{bone} {value:+.2f}" for bone, value in alike.items())
    return Seen(
        side,
        False,
        f"the bones' shapes are those of a {NAMES[side]} knee (r with a right one: {each})",
    )


def settled(told: Mapping[str, str]) -> dict[str, Side]:
    """Read what is told of a side, by where it is told.

    Raises
    ------
    BadData
        It is no side, or told differently in two places.
    """
    sides: dict[str, Side] = {}
    for where, text in told.items():
        side = read_side(text)
        if side is None:
            raise BadData(f"{where}: side {text!r} is neither L nor R. {ASK}")
        sides[where] = side
    if len(set(sides.values())) > 1:
        both = "; ".join(f"{where} says {side}" for where, side in sides.items())
        raise BadData(f"The side of the knee is told differently: {both}. Correct one.")
    return sides


def decide(told: Mapping[str, str], seen: Sequence[Seen]) -> tuple[Side, str, str]:
    """Settle the side.

    Parameters
    ----------
    told
        Where it is said to what is said there.
    seen
        What the anatomy says, the surest first.

    Returns
    -------
    side, words, doubt
        How it is known; and what speaks against it without being sure, empty where nothing does.

    Raises
    ------
    BadData
        It is told differently in two places, or against what is sure, or is neither told nor seen.
    """
    sides = settled(told)
    if not sides and not seen:
        raise BadData(f"The side of the knee is not known, and its bones do not tell. {ASK}")
    if not sides:
        return seen[0].side, f"seen: {seen[0].words}", ""
    where, side = next(iter(sides.items()))
    against = [one for one in seen if one.side != side]
    sure = [one for one in against if one.sure]
    if sure:
        raise BadData(
            f"{where} says {side}, and {sure[0].words}, as in a {NAMES[sure[0].side]} knee. "
            "Either what is told is wrong, or the image's header mirrors it; correct that one."
        )
    if against:
        doubt = (
            f"{where} says {side}, and {against[0].words}: either what is told is wrong, or the "
            "image's header mirrors it."
        )
        return side, f"told by {where}, against the bones' shapes", doubt
    return side, f"told by {where}", ""
