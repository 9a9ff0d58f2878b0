"""What settings of a search are compared by; needs neither torch nor an image."""

import numpy as np
import pandas as pd


def metric_of(name: str, scores: pd.DataFrame) -> float:
    """Judge the scores of held-out scans.

    Parameters
    ----------
    name
        ``auc``, ``log_loss`` or ``brier``.
    scores
        Columns `outcome` (0 or 1) and `probability`.

    Returns
    -------
    float
        NaN for the AUC of one class alone.
    """
    y, p = scores["outcome"].to_numpy(int), scores["probability"].to_numpy(float)
    if name == "auc":
        positives, negatives = p[y == 1], p[y == 0]
        if not (len(positives) and len(negatives)):
            return float("nan")
        above = np.sign(positives[:, None] - negatives[None, :])
        return float((above.mean() + 1) / 2)
    if name == "brier":
        return float(np.mean((p - y) ** 2))
    likely = np.clip(np.where(y == 1, p, 1 - p), 1e-12, 1)
    return float(-np.mean(np.log(likely)))
