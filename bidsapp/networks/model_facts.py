"""What is said of a model beside its weights, in its metadata and on its card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ModelFacts:
    """What is said of a model beside its weights.

    Attributes
    ----------
    name
        The bundle's name (the variant's, or ``<run>-<variant>``); letters, digits, hyphens.
    version
        Of the model, ``major.minor.patch``.
    participants, scans, positive
        Size of the cohort, and how many participants are positive.
    by_scan
        Whether the outcome is one of the scan, so that `positive` counts scans.
    protocol, scored
        How people were held out, and how many were scored, from the splits that took place.
    held_out
        Metric to the text that is printed, as in ``{"AUC": "0.71 (95 % CI 0.62 to 0.80)"}``.
    stamps
        LEAK and LEAK? stamps.
    data_source
        What the cohort was, in a sentence.
    environments
        Hardware and versions that took part.
    weights
        What the networks began with, as `origin.InitialWeights.plain` gives it.
    excluded
        How many participants or scans were left out of the cohort.
    subgroups
        Subgroup to its held-out result as it is printed.
    doubts
        What weakens the held-out results, a sentence each.
    tried
        What else was tried on the same people, in a sentence.
    made_by
        Software that made the images of the cohort.
    """

    name: str
    participants: int
    scans: int
    positive: int
    held_out: Mapping[str, str]
    version: str = "1.0.0"
    stamps: tuple[str, ...] = ()
    data_source: str = ""
    environments: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    weights: Mapping[str, Any] = field(default_factory=dict)
    excluded: int = 0
    subgroups: Mapping[str, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    by_scan: bool = False
    protocol: str = ""
    scored: str = ""
    tried: str = ""
    made_by: tuple[str, ...] = ()
