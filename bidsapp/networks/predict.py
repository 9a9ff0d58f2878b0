"""From images to probabilities: the forward pass that training, scoring and bundles share."""

import numpy as np
import torch

from bidsapp.representation.device import autocast
from bidsapp.representation.device_cohort import DeviceCohort, normalise


def place(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """Move a network to a device, its weights laid out channels last, as its inputs will be."""
    volumes = any(weight.dim() == 5 for weight in network.parameters())
    order = torch.channels_last_3d if volumes else torch.channels_last
    return network.to(device, memory_format=order)  # type: ignore[call-overload]


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
    mean: torch.Tensor,
    sd: torch.Tensor,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 6,
) -> np.ndarray:
    """Give the logit of each image; the network's mode is left as it was found.

    Parameters
    ----------
    rows
        Row numbers of the cohort.
    mean, sd
        Numbers of the z-score for every row of the cohort, shape (N, C), on the device.
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
            x = normalise(images, mean[index], sd[index])
            x = x.contiguous(memory_format=torch.channels_last_3d)
            with autocast(cohort.device, dtype):
                logits.append(logit_of(network(x)).float())
    network.train(was_training)
    return torch.cat(logits).double().cpu().numpy() if logits else np.empty(0)


def probability(logits: np.ndarray) -> np.ndarray:
    """Logistic function, 0 to 1, without overflow."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(logits, np.float64)))
