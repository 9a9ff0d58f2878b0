"""How each normalisation compares with the others of its output folder."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from bidsapp.contracts.measure import FAIL, WARN, Measure, compared_measures
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.prepared import Prepared

FEWEST = 8  # images below which nobody is called unusual
UNUSUAL = 3.5  # of the modified z score, the cut-off of Iglewicz and Hoaglin
_MAD_TO_SD = 1.4826
_MEAN_TO_SD = 1.2533


@dataclass(frozen=True)
class Line:
    """One image among the others.

    Attributes
    ----------
    image
        The image.
    values
        Measure to value.
    z
        Measure to modified z score against the images made alike; empty where they are too few.
    """

    image: Prepared
    values: Mapping[str, float]
    z: Mapping[str, float] = field(default_factory=dict)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What is compared between images of its kind, in the order of pages."""
        return compared_of(self.image)

    @property
    def trouble(self) -> Mapping[str, float]:
        """Measure to how far it lies from the others on the side where trouble lies, 0 and up."""
        found = {}
        for measure in self.measures:
            if measure.key in self.z:
                z = self.z[measure.key]
                side = {"low": -z, "high": z, "both": abs(z)}[measure.bad]
                found[measure.key] = max(0.0, side)
        return found

    @property
    def unusual(self) -> float:
        """The largest `trouble`; 0 where there is none."""
        return max(self.trouble.values(), default=0.0)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What images have in common that are made alike, whatever part of a person each is."""
        labels = {name: text for name, text in self.image.names.labels.items() if name != "part"}
        return (
            self.image.modality,
            tuple(sorted(labels.items())),
            str(self.image.settings.get("speed")),
        )

    @property
    def verdict(self) -> str:
        """``pass``, ``warn`` or ``fail``."""
        return str(self.image.quality["verdict"])


def compared_of(image: Prepared) -> tuple[Measure, ...]:
    """List the numbers of a unit that are compared with those of others."""
    return compared_measures(modality_named(image.modality).measures_for(image.settings))


def compared(images: Sequence[Prepared]) -> list[Line]:
    """Compare every image with those made alike: outliers first.

    Images are alike that share space, resolution and speed. The order is by verdict, the worst
    first, then by how unusual the numbers are.

    References
    ----------
    Iglewicz and Hoaglin, How to Detect and Handle Outliers, ASQC 1993 (modified z score).
    """
    groups: dict[tuple[Any, ...], list[Line]] = defaultdict(list)
    for image in images:
        quality = image.quality
        values = {measure.key: measure.number(quality) for measure in compared_of(image)}
        known = {key: value for key, value in values.items() if value is not None}
        line = Line(image, known)
        groups[line.kind].append(line)
    lines = [line for group in groups.values() for line in _scored(group)]
    order = {FAIL: 0, WARN: 1}
    return sorted(lines, key=lambda line: (order.get(line.verdict, 2), -line.unusual))


def _scored(lines: Sequence[Line]) -> list[Line]:
    if len(lines) < FEWEST:
        return list(lines)
    z: list[dict[str, float]] = [{} for _ in lines]
    for measure in lines[0].measures:
        known = [line.values[measure.key] for line in lines if measure.key in line.values]
        if not known:
            continue
        middle, spread = centre_and_spread(known)
        for place, line in enumerate(lines):
            if measure.key in line.values:
                distance = line.values[measure.key] - middle
                z[place][measure.key] = distance / spread if spread else 0.0
    return [Line(line.image, line.values, own) for line, own in zip(lines, z, strict=True)]


def centre_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Median, and a robust standard deviation.

    The median absolute deviation, scaled; where more than half of the values are one and the same
    the mean absolute deviation instead, and 0 where all are.
    """
    middle = median(values)
    distances = [abs(value - middle) for value in values]
    spread = _MAD_TO_SD * median(distances)
    return middle, spread or _MEAN_TO_SD * fmean(distances)
