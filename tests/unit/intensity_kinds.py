"""The units and offsets in which files hold one and the same image."""

from collections.abc import Callable

import nibabel as nib
import numpy as np

Make = Callable[[np.ndarray, np.ndarray, np.ndarray], nib.Nifti1Image]


def _as_floats(change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Make:
    def make(values: np.ndarray, brain: np.ndarray, affine: np.ndarray) -> nib.Nifti1Image:
        return nib.Nifti1Image(change(values, brain).astype(np.float32), affine)

    return make


def _slope(values: np.ndarray, brain: np.ndarray, affine: np.ndarray) -> nib.Nifti1Image:
    whole = np.round(values / values.max() * 60_000).astype(np.uint16)
    image = nib.Nifti1Image(whole, affine)
    image.header.set_slope_inter(float(values.max()) / 60_000, -500)
    return image


KINDS: dict[str, Make] = {
    "minus1024": _as_floats(lambda values, brain: values - 1024),
    "half": _as_floats(lambda values, brain: values / values.max() - 0.5),
    "zwhole": _as_floats(lambda values, brain: (values - values.mean()) / values.std()),
    "zbrain": _as_floats(
        lambda values, brain: (values - values[brain].mean()) / values[brain].std()
    ),
    "nano": _as_floats(lambda values, brain: values * (1e-9 / values.max())),
    "micro": _as_floats(lambda values, brain: values * (1e-6 / values.max())),
    "unit": _as_floats(lambda values, brain: values / values.max()),
    "giga": _as_floats(lambda values, brain: values * (1e9 / values.max())),
    "slope": _slope,
}
"""Name to image, made of values (x, y, z), the brain among them, and the affine."""
