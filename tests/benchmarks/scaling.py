"""What the scaling of intensities is worth, by a linear classifier that needs seconds.

Run from the repository root: ``python -m tests.benchmarks.scaling OUT PARTICIPANTS_TSV COLUMN
POSITIVE`` with an output folder of the participant level. Slabs of 30 slices are smoothed, thinned
to 4 mm and given to a ridge classifier; AUC over all held-out people, mean over five divisions
into 8 stratified folds, with the least and the largest.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from bidsapp.representation.sample import robust_scaling
from bidsapp.spaces.volume import PLANES, slab

SLICES = 30
FOLDS = 8
DIVISIONS = 5
PENALTY = 1000.0


def of_the_window(volume: np.ndarray) -> np.ndarray:
    """Mean 0 and standard deviation 1 over all voxels, background included."""
    return (volume - volume.mean()) / volume.std()


def of_the_brain(volume: np.ndarray) -> np.ndarray:
    """Mean 0 and standard deviation 1 over the brain; background 0."""
    brain = volume != 0
    return np.where(brain, (volume - volume[brain].mean()) / volume[brain].std(), 0)


SCALINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "min-max, as normalised": lambda volume: volume,
    "mean of the brain 1": lambda volume: volume / volume[volume != 0].mean(),
    "z-score of the whole image": of_the_window,
    "z-score of the brain, background 0": of_the_brain,
    "median and IQR of the brain, background 0 (ours)": robust_scaling,
}


def auc(features: np.ndarray, outcome: np.ndarray, division: int) -> float:
    """AUC over all held-out people of one division into folds."""
    scores = np.zeros(len(outcome))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=division)
    for train, test in folds.split(features, outcome):
        centred = (features - features[train].mean(axis=0)) / features[train].std()
        model = RidgeClassifier(alpha=PENALTY).fit(centred[train], outcome[train])
        scores[test] = model.decision_function(centred[test])
    return float(roc_auc_score(outcome, scores))


def main() -> None:
    """Print a line for each scaling, a column for each plane."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("normalised", type=Path)
    parser.add_argument("participants", type=Path)
    parser.add_argument("column")
    parser.add_argument("positive")
    options = parser.parse_args()
    table = pd.read_csv(options.participants, sep="\t", dtype=str)
    images, outcomes = [], []
    for person, value in zip(table["participant_id"], table[options.column], strict=True):
        for path in sorted(options.normalised.glob(f"{person}/**/*_desc-preproc_T1w.nii.gz")):
            images.append(nib.Nifti1Image.load(path))
            outcomes.append(value == options.positive)
    volumes = [np.asarray(image.dataobj, np.float32) for image in images]
    brains = [float(volume[volume != 0].mean()) for volume in volumes]
    print(f"{len(volumes)} images; mean of the brain {min(brains):.2f} to {max(brains):.2f}")
    print("| scaling | " + " | ".join(PLANES) + " |")
    print("|---" * (len(PLANES) + 1) + "|")
    for name, scale in SCALINGS.items():
        cells = []
        for plane in PLANES:
            window = slab(volumes[0].shape, images[0].affine, plane, SLICES)
            blocks = [gaussian_filter(window.cut(scale(v)), 1.0)[::2, ::2, ::2] for v in volumes]
            features = np.stack(blocks).reshape(len(blocks), -1)
            found = [auc(features, np.array(outcomes), i) for i in range(DIVISIONS)]
            cells.append(f"{np.mean(found):.3f} ({min(found):.3f}–{max(found):.3f})")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
