"""A bundle applied to new people."""

from dataclasses import dataclass

import numpy as np
import torch

from bidsapp.errors import BadData
from bidsapp.networks.bundle import Bundle
from bidsapp.networks.predict import place, predict_logits, probability
from bidsapp.representation.device import precision_dtype, resolve_device, steady
from bidsapp.representation.device_cohort import DeviceCohort


@dataclass(frozen=True)
class Prediction:
    """What a bundle says of N images with its M models.

    Attributes
    ----------
    per_model
        Probabilities 0 to 1, shape (N, M).
    mean
        The answer: their mean, shape (N,).
    sd
        Their standard deviation (divisor M − 1; NaN for a single model), shape (N,).
    """

    per_model: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


def predict(
    bundle: Bundle, arrays: np.ndarray, device: str = "auto", batch_size: int | None = None
) -> Prediction:
    """Apply every model of a bundle to images.

    Parameters
    ----------
    bundle
        From `load_bundle`.
    arrays
        Images as `bidsapp.representation.sample.read_sample` makes them with the bundle's recipe:
        shape (N, C, X, Y, Z), before the z-score.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>``.
    batch_size
        Images at once; the recipe's where not given.

    Raises
    ------
    BadData
        If the images have another shape than the bundle reads, or are not finite.
    """
    expected = (len(bundle.channels), *bundle.window.shape)
    if arrays.ndim != 5 or arrays.shape[1:] != expected:
        raise BadData(
            f"model {bundle.name} reads images of shape {expected} (channels, x, y, z), "
            f"got {arrays.shape[1:]}; normalise with the bundle's recipe"
        )
    # Training saw float16 images: new people must pass the same rounding.
    stored = np.asarray(arrays, np.float16)
    if not np.isfinite(stored).all():
        raise BadData(f"model {bundle.name}: the images hold NaN, infinite or too large values")
    where = resolve_device(device)
    dtype = precision_dtype(bundle.recipe.training.precision, where)
    cohort = DeviceCohort(stored, where)
    rows, size = np.arange(len(stored)), batch_size or bundle.recipe.training.batch_size
    columns = []
    with steady(where):
        for model in bundle.models:
            mean, spread = (torch.from_numpy(x).to(where) for x in model.zscore.numbers(stored))
            network = place(bundle.network(model), where)
            logits = predict_logits(network, cohort, rows, mean, spread, dtype, size)
            columns.append(probability(logits))
    per_model = np.stack(columns, axis=1)
    several = per_model.shape[1] > 1
    sd = per_model.std(axis=1, ddof=1) if several else np.full(len(per_model), np.nan)
    return Prediction(per_model, per_model.mean(axis=1), sd)
