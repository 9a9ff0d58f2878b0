"""Denoise a series: confounds, frequencies and outliers in one call, as they have to be."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.errors import BadData
from bidsapp.modalities.bold.confounds import MOTION
from bidsapp.modalities.bold.strategies import Strategy

if TYPE_CHECKING:
    import pandas as pd

# With fewer degrees of freedom a series says nothing any more.
LEAST_FREEDOM = 5
# Volumes that nilearn's filter (Butterworth, fifth order, both ways) needs, by how many limits.
_FILTERED = {0: 0, 1: 22, 2: 34}
# Voxels that are cleaned at once, so that memory stays small.
_CHUNK = 32768


@dataclass(frozen=True)
class Cleaned:
    """A denoised series.

    Attributes
    ----------
    series
        float32, shape (T', V), mean 0 over time; T' volumes are left.
    kept
        Numbers of these volumes, shape (T',).
    freedom
        Degrees of freedom that are left to a voxel.
    """

    series: np.ndarray
    kept: np.ndarray
    freedom: int


def wanted_columns(strategy: Strategy) -> list[str]:
    """List the columns, by fMRIPrep's names, that a strategy regresses out."""
    if not strategy.motion:
        return []
    wanted = list(MOTION)
    means = ["white_matter", "csf"] * strategy.tissues
    means += ["global_signal"] * strategy.global_signal
    wanted += [f"{one}_derivative1" for one in MOTION] * strategy.derivatives
    wanted += [f"{one}_power2" for one in wanted] * strategy.squares
    wanted += means
    for prefix in ("w_comp_cor_", "c_comp_cor_"):
        wanted += [f"{prefix}{number:02d}" for number in range(strategy.compcor)]
    return wanted


def chosen_columns(table: "pd.DataFrame", strategy: Strategy, name: str = "") -> list[str]:
    """List the columns of a confounds table that a strategy regresses out.

    Parameters
    ----------
    table
        With fMRIPrep's column names.
    strategy
        What is wanted.
    name
        The table, for messages.

    Raises
    ------
    BadData
        Columns are missing; they are named.
    """
    wanted = wanted_columns(strategy)
    missing = [column for column in wanted if column not in table.columns]
    if missing:
        raise BadData(
            f"{name or 'the confounds'}: column(s) {', '.join(missing[:6])} are missing; choose "
            "another preparation.confounds, or make the derivatives again"
        )
    return wanted


def check_length(
    volumes: int,
    strategy: Strategy,
    tr: float,
    band_pass_hz: tuple[float | None, float | None],
    name: str = "",
) -> None:
    """Refuse a series that is too short to be denoised, whatever its voxels are.

    Parameters
    ----------
    volumes
        Of the series.
    strategy, tr, band_pass_hz, name
        As of `clean`.

    Raises
    ------
    BadData
        The filter needs more volumes, or confounds and band-pass leave no freedom.
    """
    _check_filter(volumes, band_pass_hz, name)
    _check_freedom(volumes, volumes, len(wanted_columns(strategy)), tr, band_pass_hz, name)


def censored(table: "pd.DataFrame", strategy: Strategy) -> np.ndarray:
    """Say which volumes a strategy leaves out, booleans (T,); those not in steady state always."""
    out = np.zeros(len(table), bool)
    for column in table.columns:
        if column.startswith("non_steady_state_outlier"):
            out |= table[column].to_numpy() > 0
    limits = {"framewise_displacement": strategy.fd_mm, "std_dvars": strategy.std_dvars}
    for column, limit in limits.items():
        if limit is not None:
            # The first volume has no volume before it; NaN is no outlier.
            out |= table[column].to_numpy(float) > limit
    return out


def clean(
    series: np.ndarray,
    table: "pd.DataFrame",
    strategy: Strategy,
    tr: float,
    band_pass_hz: tuple[float | None, float | None] = (None, None),
    name: str = "",
) -> Cleaned:
    """Denoise a series by one call of nilearn.

    Confounds and signals are filtered alike, and volumes left out are bridged before the filter
    and taken away after it: done one after the other these steps bring back what the one before
    took out (Lindquist et al. 2019, doi:10.1002/hbm.24528).

    Parameters
    ----------
    series
        Values over the brain, shape (T, V).
    table
        Confounds, T rows.
    strategy
        What is taken out.
    tr
        Seconds between volumes.
    band_pass_hz
        Lowest and highest frequency that are kept; None for no limit.
    name
        The series, for messages.

    Raises
    ------
    BadData
        Columns are missing or hold no numbers, too few volumes are left, or nothing would be left
        of the series' freedom.
    """
    if len(table) != len(series):
        raise BadData(
            f"{name or 'the series'}: {len(series)} volumes, and its confounds have "
            f"{len(table)} rows"
        )
    values, kept, freedom = _left(table, strategy, tr, band_pass_hz, name)
    matrix = _cleaning(len(series), kept, values, tr, band_pass_hz).astype(np.float32)
    cleaned = np.empty((len(kept), series.shape[1]), np.float32)
    for first in range(0, series.shape[1], _CHUNK):
        part = slice(first, first + _CHUNK)
        # the mean is taken out in either case; without it float32 is exact enough
        mean = series[:, part].mean(axis=0, dtype=np.float64)
        cleaned[:, part] = matrix @ (series[:, part] - mean).astype(np.float32)
    return Cleaned(cleaned, kept, freedom)


def _cleaning(
    volumes: int,
    kept: np.ndarray,
    confounds: np.ndarray,
    tr: float,
    band_pass_hz: tuple[float | None, float | None],
) -> np.ndarray:
    """Give nilearn's cleaning as a matrix (T', T): what it makes of a 1 in each volume.

    It is the same for all voxels, and linear: bridging, detrending, filter and projection are.
    """
    from nilearn.signal import clean as clean_signals

    low, high = band_pass_hz
    cleaned = clean_signals(
        np.eye(volumes),
        detrend=True,
        standardize=None,
        sample_mask=kept if len(kept) < volumes else None,
        confounds=confounds if confounds.shape[1] else None,
        filter="butterworth" if low is not None or high is not None else False,
        high_pass=low,
        low_pass=high,
        t_r=tr,
    )
    return np.asarray(cleaned)


def check_confounds(
    table: "pd.DataFrame",
    strategy: Strategy,
    tr: float,
    band_pass_hz: tuple[float | None, float | None],
    name: str = "",
) -> None:
    """Refuse confounds with which `clean` could not denoise a series; the series is not needed."""
    _left(table, strategy, tr, band_pass_hz, name)


def _left(
    table: "pd.DataFrame",
    strategy: Strategy,
    tr: float,
    band_pass_hz: tuple[float | None, float | None],
    name: str,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Give the chosen confounds, the numbers of volumes that are kept, and the freedom left."""
    _check_filter(len(table), band_pass_hz, name)
    values = _numbers(table[chosen_columns(table, strategy, name)], name)
    kept = np.flatnonzero(~censored(table, strategy))
    confounds = values.shape[1]
    return (
        values,
        kept,
        _check_freedom(len(table), len(kept), confounds, tr, band_pass_hz, name),
    )


def _check_filter(volumes: int, band_pass_hz: tuple[float | None, float | None], name: str) -> None:
    """Refuse fewer volumes than nilearn's filter needs."""
    needed = _FILTERED[sum(limit is not None for limit in band_pass_hz)]
    if volumes < needed:
        raise BadData(
            f"{name or 'the series'}: {volumes} volumes; preparation.band_pass_hz needs "
            f"at least {needed}. Leave the person out, or choose null for both of its limits"
        )


def _check_freedom(
    volumes: int,
    kept: int,
    confounds: int,
    tr: float,
    band_pass_hz: tuple[float | None, float | None],
    name: str,
) -> int:
    """Give the degrees of freedom that are left, and refuse too few."""
    freedom = _freedom(kept, confounds, tr, band_pass_hz)
    if freedom < LEAST_FREEDOM:
        left = f"{volumes} volumes"
        if kept < volumes:
            left = f"{kept} of {volumes} volumes are left after scrubbing"
        also, other = "", ""
        if any(band_pass_hz):
            also, other = " and the band-pass", " or preparation.band_pass_hz"
        raise BadData(
            f"{name or 'the series'}: {left}, and {confounds} confounds{also} leave "
            f"{max(freedom, 0)} degrees of freedom; at least {LEAST_FREEDOM} are needed. Leave "
            f"the person out, or choose another preparation.confounds{other}"
        )
    return freedom


def _freedom(
    volumes: int, confounds: int, tr: float, band_pass_hz: tuple[float | None, float | None]
) -> int:
    low, high = band_pass_hz
    nyquist = 0.5 / tr
    share = (min(high or nyquist, nyquist) - (low or 0.0)) / nyquist
    return int(np.floor(volumes * max(share, 0.0))) - confounds - 2


def _numbers(chosen: "pd.DataFrame", name: str) -> np.ndarray:
    """Give confounds as numbers; a first row without a difference takes the second's."""
    try:
        values = chosen.to_numpy(float, copy=True)
    except ValueError as error:
        raise BadData(f"{name or 'the confounds'}: a column holds text ({error})") from error
    if not values.shape[1]:
        return values
    first = ~np.isfinite(values[0])
    values[0, first] = values[1, first]
    rows, columns = np.nonzero(~np.isfinite(values))
    if len(rows):
        raise BadData(
            f"{name or 'the confounds'}: column {chosen.columns[columns[0]]} has no number in row "
            f"{rows[0] + 1} of the volumes; only the first may lack one. Make it again"
        )
    return values
