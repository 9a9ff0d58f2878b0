"""What moves with the head, the heart and the scanner: confounds under fMRIPrep's names."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
RADIUS_MM = 50.0
"""Rotations are counted as millimetres at this distance from the centre (Power et al. 2012)."""
FD_LIMIT_MM, DVARS_LIMIT = 0.5, 1.5
"""Volumes beyond either are outliers, as fMRIPrep counts them."""
PERIOD_CUT_S = 128.0
"""Slower waves are drift, not signal."""
# Components that are written for each tissue.
_COMPONENTS = 10
_COMPCOR = {"WM": "w", "CSF": "c", "combined": "a"}
"""fMRIPrep's names of tissues, and the letters that their components begin with."""


@dataclass(frozen=True)
class Confounds:
    """Confounds of a series.

    Attributes
    ----------
    table
        A row for each volume, with fMRIPrep's column names; NaN where a difference to the volume
        before is not defined.
    about
        What the JSON file beside the table says, column by column.
    """

    table: "pd.DataFrame"
    about: dict[str, dict[str, Any]]


def confounds_of(
    parameters: np.ndarray,
    series: np.ndarray,
    white: np.ndarray,
    fluid: np.ndarray,
    tr: float,
    steady: int = 0,
) -> Confounds:
    """Compute the confounds of a series.

    Parameters
    ----------
    parameters
        Translations in mm and rotations in rad, shape (T, 6).
    series
        Motion-corrected values over the brain, shape (T, V), not smoothed.
    white, fluid
        White matter and fluid of the ventricles among the voxels, booleans (V,).
    tr
        Seconds between volumes.
    steady
        Number of the first volume in steady state.

    Returns
    -------
    Confounds
        Motion with its differences and squares, framewise displacement, DVARS, means of brain
        and tissues, aCompCor of each tissue and of both, cosines, one column for each outlier.
    """
    import pandas as pd

    columns: dict[str, np.ndarray] = {}
    for name, values in zip(MOTION, parameters.T, strict=True):
        columns |= _expanded(name, values)
    columns["framewise_displacement"] = framewise_displacement(parameters)
    columns["std_dvars"], columns["dvars"] = dvars(series)
    means = {"global_signal": np.ones(series.shape[1], bool), "white_matter": white, "csf": fluid}
    for name, inside in means.items():
        if inside.any():
            columns |= _expanded(name, series[:, inside].mean(axis=1, dtype=np.float64))
    about: dict[str, dict[str, Any]] = {}
    cosines = _cosines(series, tr, steady)
    for number, values in enumerate(cosines.T):
        columns[f"cosine{number:02d}"] = values
    for tissue, inside in zip(_COMPCOR, (white, fluid, white | fluid), strict=True):
        found, told = _compcor(series, inside, tissue, tr, steady)
        columns |= found
        about |= told
    for number in range(steady):
        columns[f"non_steady_state_outlier{number:02d}"] = _spike(len(series), number)
    table = pd.DataFrame(columns)
    outliers = np.flatnonzero(
        (table["framewise_displacement"] > FD_LIMIT_MM) | (table["std_dvars"] > DVARS_LIMIT)
    )
    for number, volume in enumerate(outliers):
        table[f"motion_outlier{number:02d}"] = _spike(len(series), int(volume))
    return Confounds(table, about)


def framewise_displacement(parameters: np.ndarray) -> np.ndarray:
    """Sum the moves from the volume before, in mm, rotations on a sphere of 50 mm; (T,).

    Source: Power et al. (2012), doi:10.1016/j.neuroimage.2011.10.018. NaN for the first volume.
    """
    moves = np.abs(np.diff(parameters, axis=0))
    moves[:, 3:] *= RADIUS_MM
    return np.concatenate([[np.nan], moves.sum(axis=1)])


def dvars(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square of the change from the volume before, standardised and plain; (T,) each.

    Parameters
    ----------
    series
        Shape (T, V).

    Notes
    -----
    As nipype's `compute_dvars`, which goes through the voxels one by one: Nichols (2013), Notes
    on creating a standardized version of DVARS; the values are scaled to a median of 1000.
    """
    values = np.asarray(series, np.float32)
    robust = np.subtract(*np.percentile(values, (75, 25), axis=0, method="lower")) / 1.349
    scale = 1000 / np.median(values)
    values, robust = values[:, robust > 0] * np.float32(scale), robust[robust > 0] * scale
    centred = values - values.mean(axis=0, dtype=np.float64).astype(np.float32)
    along = np.einsum("tv,tv->v", centred[1:], centred[:-1], dtype=np.float64)
    ar1 = along / np.einsum("tv,tv->v", centred, centred, dtype=np.float64)
    expected = (np.sqrt(2 * (1 - ar1)) * robust).mean()
    change = np.diff(values, axis=0)
    plain = np.sqrt(np.einsum("tv,tv->t", change, change, dtype=np.float64) / values.shape[1])
    return np.insert(plain / expected, 0, np.nan), np.insert(plain, 0, np.nan)


def steady_volumes(table: "pd.DataFrame", *, changes: bool = False) -> np.ndarray:
    """Say which volumes a table of confounds counts as in steady state, booleans (T,).

    Parameters
    ----------
    table
        With a column ``non_steady_state_outlier..`` for each volume that is not.
    changes
        Whether what is looked at are differences to the volume before: the one after such a volume
        is then left out, too, and the first.
    """
    names = [name for name in table.columns if str(name).startswith("non_steady_state_outlier")]
    out = np.asarray(table[names].to_numpy(float).any(axis=1))
    if changes:
        out |= np.insert(out[:-1], 0, True)
    return np.asarray(~out)


def steady_start(data: np.ndarray) -> int:
    """Find the first volume in steady state, from the mean of the first fifty (X, Y, Z, T)."""
    from nipype.algorithms.confounds import is_outlier

    return int(is_outlier(data[..., :50].mean(axis=(0, 1, 2), dtype=np.float64)))


def _expanded(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Add the difference to the volume before, and the squares of both."""
    change = np.insert(np.diff(values), 0, np.nan)
    return {
        name: values,
        f"{name}_derivative1": change,
        f"{name}_derivative1_power2": change**2,
        f"{name}_power2": values**2,
    }


def _cosines(series: np.ndarray, tr: float, steady: int) -> np.ndarray:
    from nipype.algorithms.confounds import cosine_filter

    _, basis = cosine_filter(series[steady:, :1].T.astype(float), tr, PERIOD_CUT_S)
    if not basis.size:
        return np.empty((len(series), 0))
    return np.vstack([np.zeros((steady, basis.shape[1])), basis])


def _compcor(
    series: np.ndarray, inside: np.ndarray, tissue: str, tr: float, steady: int
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
    """Principal components of a tissue; after drift is taken out, as fMRIPrep does."""
    import nibabel as nib
    from nipype.algorithms.confounds import compute_noise_components

    wanted = min(_COMPONENTS, len(series) - steady - 1)
    letter = _COMPCOR[tissue]
    values = series[steady:, inside].T.astype(np.float64)
    values = values[np.ptp(values, axis=1) > 0]
    if len(values) < wanted:
        return {}, {}
    everything = nib.Nifti1Image(np.ones((len(values), 1, 1), np.uint8), np.eye(4))
    components, _, facts = compute_noise_components(
        values[:, None, None],
        [everything],
        wanted,
        "cosine",
        period_cut=PERIOD_CUT_S,
        repetition_time=tr,
        mask_names=[tissue],
    )
    columns, about = {}, {}
    for number, component in enumerate(components.T):
        name = f"{letter}_comp_cor_{number:02d}"
        columns[name] = np.concatenate([np.zeros(steady), component])
        about[name] = {
            "Method": "aCompCor",
            "Mask": tissue,
            "Retained": True,
            "SingularValue": float(facts["singular_value"][number]),
            "VarianceExplained": float(facts["variance_explained"][number]),
            "CumulativeVarianceExplained": float(facts["cumulative_variance_explained"][number]),
        }
    return columns, about


def _spike(volumes: int, number: int) -> np.ndarray:
    column = np.zeros(volumes)
    column[number] = 1
    return column
