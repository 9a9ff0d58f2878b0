"""What all modalities have together: channels, quality columns and sources, by name."""

from collections.abc import Mapping
from functools import cache

from bidsapp.contracts.modality import import_modality, modality_packages
from bidsapp.contracts.product import Channel
from bidsapp.errors import UsageError


@cache
def _channels(packages: tuple[str, ...]) -> Mapping[str, Channel]:
    return {
        name: channel
        for package in packages
        for name, channel in import_modality(package).channels().items()
    }


def channel_named(name: str) -> Channel:
    """Say what is known of a channel; names are one modality's alone.

    Raises
    ------
    UsageError
        No modality has such a channel.
    """
    known = _channels(tuple(modality_packages().values()))
    if name not in known:
        raise UsageError(f"representation.channels: {name!r} is not one of {', '.join(known)}")
    return known[name]


def quality_columns() -> frozenset[str]:
    """Name every column of a group run that says how a unit was prepared: verdict and numbers."""
    return _quality_columns(tuple(modality_packages().values()))


@cache
def _quality_columns(packages: tuple[str, ...]) -> frozenset[str]:
    measures = (measure for package in packages for measure in import_modality(package).measures)
    return frozenset({"quality", *(f"quality_{one.key}" for one in measures if one.confound)})


def quality_titles() -> Mapping[str, str]:
    """Name the columns of quality numbers with the titles that a reader knows them by."""
    return _quality_titles(tuple(modality_packages().values()))


@cache
def _quality_titles(packages: tuple[str, ...]) -> Mapping[str, str]:
    measures = (measure for package in packages for measure in import_modality(package).measures)
    return {f"quality_{one.key}": one.title for one in measures}


def confound_flags() -> Mapping[str, str]:
    """Name the measures that are a yes or no of how an image came to be, with their titles."""
    return _confound_flags(tuple(modality_packages().values()))


@cache
def _confound_flags(packages: tuple[str, ...]) -> Mapping[str, str]:
    measures = (measure for package in packages for measure in import_modality(package).measures)
    return {one.key: one.title for one in measures if one.confound and one.kind == "flag"}


def unusual_measures() -> Mapping[str, tuple[str, float]]:
    """Name the measures that are compared with those of training people: title, and how many SD."""
    return _unusual_measures(tuple(modality_packages().values()))


@cache
def _unusual_measures(packages: tuple[str, ...]) -> Mapping[str, tuple[str, float]]:
    measures = (measure for package in packages for measure in import_modality(package).measures)
    return {one.key: (one.title, one.unusual_sd) for one in measures if one.unusual_sd is not None}


def source_names() -> frozenset[str]:
    """Name the sources of every modality: keys of ``--bids-filter-file``."""
    packages = modality_packages().values()
    return frozenset(one.name for package in packages for one in import_modality(package).sources)
