"""From images to probabilities: the forward pass that training, scoring and bundles share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bidsapp.errors import BadData
from bidsapp.networks.bundle import Bundle
from bidsapp.networks.bundle_models import FoldModel
from bidsapp.networks.features import captured
from bidsapp.representation.device import autocast, precision_dtype, resolve_device, steady
from bidsapp.representation.device_cohort import DeviceCohort, PerBatch
from bidsapp.representation.image_rows import ImageRows
from bidsapp.representation.sample import lengthened


def place(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """Move a network to a device, its weights laid out channels last, as its inputs will be."""
    volumes = any(weight.dim() == 5 for weight in network.parameters())
    order = torch.channels_last_3d if volumes else torch.channels_last
    return network.to(device, memory_format=order)  # type: ignore[call-overload]


def channels_last(images: torch.Tensor) -> torch.Tensor:
    """Lay volumes (B, C, X, Y, Z), or pictures (B, C, X, Y), out with their channels last."""
    order = torch.channels_last_3d if images.ndim == 5 else torch.channels_last
    return images.contiguous(memory_format=order)


def logit_of(outputs: torch.Tensor) -> torch.Tensor:
    """Give the log odds of a positive outcome, (B,) float32 at least.

    Parameters
    ----------
    outputs
        Of a network: (B, 1) the log odds, or (B, 2) a number for each class, whose difference
        they are, as the softmax has it.
    """
    if outputs.dtype in (torch.bfloat16, torch.float16):
        outputs = outputs.float()
    return outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs.flatten()


def in_batches(rows: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cut row numbers into batches; a last batch of one joins the one before.

    A batch of one would leave batch normalisation nothing to normalise over in small networks.
    """
    batches = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        last = batches.pop()
        batches[-1] = np.concatenate([batches[-1], last])
    return batches


def predict_logits(
    network: torch.nn.Module,
    cohort: DeviceCohort,
    rows: np.ndarray,
    prepare: PerBatch,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 6,
) -> np.ndarray:
    """Give the logit of each image; the network's mode is left as it was found.

    Parameters
    ----------
    rows
        Row numbers of the cohort.
    prepare
        What is done to a batch before the network gets it, for every row of the cohort.
    dtype
        bfloat16 for autocast, float32 for none.

    Returns
    -------
    numpy.ndarray
        float64, one logit per row asked for.
    """
    was_training = network.training
    network.eval()
    batches = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    logits = []
    with torch.inference_mode():
        for index, images in zip(batches, cohort.batches(batches), strict=True):
            x = channels_last(prepare(images, index))
            with autocast(cohort.device, dtype):
                logits.append(logit_of(network(x)).float())
    network.train(was_training)
    return torch.cat(logits).double().cpu().numpy() if logits else np.empty(0)


def probability(logits: np.ndarray) -> np.ndarray:
    """Logistic function, 0 to 1, without overflow."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(logits, np.float64)))


@dataclass(frozen=True)
class Prediction:
    """What a bundle says of N images with its M models.

    Attributes
    ----------
    per_model
        Probabilities 0 to 1, shape (N, M).
    mean
        The answer: their mean, shape (N,); recalibrated where the bundle was.
    sd
        Their standard deviation (divisor M − 1; NaN for a single model), shape (N,).
    features
        For each model what its last layer was given, shape (N, d).
    """

    per_model: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    features: tuple[np.ndarray, ...] = ()


def stacked(bundle: Bundle, samples: Sequence[np.ndarray]) -> np.ndarray:
    """Put people's images into one array as a bundle reads them, (N, C, X, Y, Z).

    Parameters
    ----------
    bundle
        Of the model.
    samples
        One a person, (C, X, Y, Z); series may differ in the number of their volumes.

    Raises
    ------
    BadData
        A series has more volumes than a network that reads volumes was trained on.
    """
    if not bundle.volumes:
        return np.stack(samples)
    longest = max(map(len, samples))
    volumes = longest if bundle.any_length else bundle.volumes
    try:
        return np.stack([lengthened(sample, volumes) for sample in samples])
    except BadData as error:
        raise BadData(f"model {bundle.name}: a series has {error}") from error


def predict(
    bundle: Bundle,
    arrays: np.ndarray,
    device: str = "auto",
    batch_size: int | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> Prediction:
    """Apply every model of a bundle to images.

    Parameters
    ----------
    bundle
        From `load_bundle`.
    arrays
        Images as `bidsapp.representation.sample.read_sample` makes them with the bundle's recipe:
        shape (N, C, X, Y, Z), before anything that is fitted.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>``.
    batch_size
        Images at once; as many as each model was trained with where not given.
    columns
        Column to the text of each image's person, where the networks read columns
        (``network.covariates``).

    Raises
    ------
    BadData
        If the images have another shape than the bundle reads, or are not finite; if a column
        that the networks read is not given.
    """
    expected = (len(bundle.inputs), *bundle.space.shape)
    if bundle.any_length and arrays.ndim > 1:
        expected = (arrays.shape[1], *bundle.space.shape)
    if arrays.shape[1:] != expected:
        raise BadData(
            f"model {bundle.name} reads images of shape {expected} (channels first), "
            f"got {arrays.shape[1:]}; prepare them with the bundle's recipe"
        )
    # Training saw float16 images: new people must pass the same rounding.
    stored = np.asarray(arrays, np.float16)
    if not np.isfinite(stored).all():
        raise BadData(f"model {bundle.name}: the images hold NaN, infinite or too large values")
    where = resolve_device(device)
    whole = DeviceCohort(ImageRows(stored, columns=columns or {}), where)
    answers, features = [], []
    with steady(where):
        for model in bundle.models:
            # as its fold was trained and scored, which another's search may do otherwise
            training = bundle.recipe_of(model).training
            dtype = precision_dtype(training.precision, where)
            size = batch_size or training.batch_size
            network = place(bundle.network(model), where)
            with captured(network) as kept:
                logits = [
                    predict_logits(network, cohort, rows, prepare, dtype, size)
                    for cohort, rows, prepare in _as_fitted(model, whole, size)
                ]
            answers.append(probability(np.concatenate(logits)))
            features.append(np.concatenate(kept))
    per_model = np.stack(answers, axis=1)
    several = per_model.shape[1] > 1
    sd = per_model.std(axis=1, ddof=1) if several else np.full(len(per_model), np.nan)
    return Prediction(per_model, bundle.answers(per_model), sd, tuple(features))


def _as_fitted(
    model: FoldModel, whole: DeviceCohort, size: int
) -> Iterator[tuple[DeviceCohort, np.ndarray, PerBatch]]:
    """Give people's images as a model's steps leave them: all at once, or so many as are stored."""
    everybody = np.arange(len(whole.images))
    parts = [everybody]
    if model.fitted.at_once:  # what these steps give may be larger than the images: a batch each
        parts = [everybody[k : k + size] for k in range(0, len(everybody), size)] or parts
    for part in parts:
        cohort = whole
        if model.fitted.at_once:
            cohort = DeviceCohort(model.fitted.stored(whole.images.picked(part)), whole.device)
        rows = np.arange(len(cohort.images))
        yield cohort, rows, PerBatch.of(whole.device, model.fitted, cohort.images)
