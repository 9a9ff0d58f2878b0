"""How strong the penalty of recipe rest's network should be, on synthetic people alone.

python -m tests.benchmarks.rest_penalty [--cohorts 8] [--first 0] [--effect 1.0] [--scale 0.3]
    24 people of 150 volumes a cohort, on a grid of 8 mm: eight networks at places that differ by
    some millimetres, with strengths of their own (log SD .3), one stronger in half of the people,
    in noise; `--scale` is the log SD of how strong all networks of a person are. Maps of the
    networks and twelve of nothing are given, as recipe rest has it. AUC of six folds by penalty,
    and that of the stronger network's own strength, where all is known and nothing is trained.
"""

import argparse

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, map_coordinates
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from bidsapp.modalities.bold.phantom import PLANTED
from bidsapp.modalities.bold.synthetic import NETWORKS, network_maps, standard_scene
from bidsapp.networks.registry import build_network
from bidsapp.recipes import load_recipe
from bidsapp.representation.components.dual_regression import dual_regression
from bidsapp.representation.components.selection import strengths

PEOPLE, VOLUMES, FOLDS = 24, 150, 6
PENALTIES = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
_MM, _SHAPE, _ORIGIN = 8, (20, 24, 20), (-78, -112, -70)
_NOTHING = 12
_TARGET = list(NETWORKS).index(PLANTED)


class Brain:
    """The voxels of the template's brain, and networks at any of their places."""

    def __init__(self) -> None:
        scene = standard_scene()
        self._inverse, self._fields = np.linalg.inv(scene.affine), network_maps().fields
        grid = np.moveaxis(np.indices(_SHAPE), 0, -1).reshape(-1, 3) * _MM + _ORIGIN
        bright = map_coordinates(scene.fields[0], self._at(grid), order=1)
        self.inside = (bright > 0.3).reshape(_SHAPE)
        self.points = grid[bright > 0.3]

    def _at(self, points: np.ndarray) -> np.ndarray:
        return (self._inverse @ np.column_stack([points, np.ones(len(points))]).T)[:3]

    def networks(self, moved: np.ndarray | float = 0.0) -> np.ndarray:
        """Networks whose voxels lie elsewhere by so many mm, (networks, voxels)."""
        at = self._at(self.points + moved)
        return np.stack([map_coordinates(one, at, order=1) for one in self._fields])

    def smooth(self, rng: np.random.Generator, count: int, width: float) -> np.ndarray:
        """Maps of smooth noise, SD about 1, (count, voxels)."""
        drawn = (gaussian_filter(rng.standard_normal(_SHAPE), width) for _ in range(count))
        return np.stack([one[self.inside] / one.std() for one in drawn])


def person(rng: np.random.Generator, brain: Brain, stronger: float, scale: float) -> np.ndarray:
    """One person's series, (volumes, voxels)."""
    moved = brain.smooth(rng, 3, 2).T * 4
    size = np.exp(0.3 * rng.standard_normal(len(NETWORKS)) + scale * rng.standard_normal())
    size[_TARGET] *= 1 + stronger
    courses = gaussian_filter(rng.standard_normal((VOLUMES, len(NETWORKS))), (1, 0))
    series = courses / courses.std(axis=0) * size @ brain.networks(moved)
    drift = gaussian_filter(rng.standard_normal((VOLUMES, 25)), (1, 0))
    series += 0.25 * drift @ brain.smooth(rng, 25, 1)
    return np.asarray(series + rng.standard_normal(series.shape), np.float32)


def cohort_aucs(brain: Brain, seed: int, effect: float, scale: float) -> list[float]:
    """AUC by each of `PENALTIES`, and that of the known network, of one cohort."""
    rng = np.random.default_rng([11, seed])
    outcome = rng.permutation([0, 1] * (PEOPLE // 2))
    series = [person(rng, brain, effect * positive, scale) for positive in outcome]
    given = brain.networks()
    nothing = brain.smooth(np.random.default_rng(3), _NOTHING, 2)
    maps = np.concatenate([given, nothing])
    own = np.stack([dual_regression(maps, one, "effect").maps for one in series])
    known = float(roc_auc_score(outcome, strengths(own, maps)[:, _TARGET]))
    images = torch.from_numpy(own)[..., None, None]
    recipe, labels = load_recipe("rest"), torch.from_numpy(outcome.astype(np.float32))
    scores = np.zeros((len(PENALTIES), PEOPLE))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(outcome, outcome)
    for fold, (train, test) in enumerate(folds):
        for place, penalty in enumerate(PENALTIES):
            network = build_network(recipe.network, len(maps), fold).train()
            pooled = network.pool(images)  # type: ignore[operator]
            rest = torch.nn.Sequential(network.norm, network.gate, network.fc)  # type: ignore[arg-type]
            optimizer = torch.optim.Adam(
                network.parameters(), recipe.training.lr.head, weight_decay=penalty
            )
            for _ in range(recipe.training.epochs):
                optimizer.zero_grad()
                loss = torch.nn.functional.binary_cross_entropy_with_logits
                loss(rest(pooled[train])[:, 0], labels[train]).backward()
                optimizer.step()
            network.eval()
            with torch.no_grad():
                scores[place, test] = rest(pooled[test])[:, 0].numpy()
    return [*(float(roc_auc_score(outcome, one)) for one in scores), known]


def main() -> None:
    """Print the mean AUC of each penalty over cohorts."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.rest_penalty")
    parser.add_argument("--cohorts", type=int, default=8)
    parser.add_argument("--first", type=int, default=0, help="seed of the first cohort")
    parser.add_argument("--effect", type=float, default=1.0, help="1 is twice as strong")
    parser.add_argument("--scale", type=float, default=0.3)
    given = parser.parse_args()
    brain, seeds = Brain(), range(given.first, given.first + given.cohorts)
    found = np.array([cohort_aucs(brain, seed, given.effect, given.scale) for seed in seeds])
    names = [*(f"penalty {value:g}" for value in PENALTIES), "known network, nothing trained"]
    print(
        f"{given.cohorts} cohorts from {given.first} on, one network {1 + given.effect:g} times as "
        f"strong, strength of all varies by {given.scale:g}"
    )
    for name, own in zip(names, found.T, strict=True):
        print(
            f"{name}: mean AUC {own.mean():.3f} (SD {own.std(ddof=1):.3f}), .9 or more in "
            f"{(own >= 0.9).sum()}; beside penalty 0.05 {(own - found[:, 0]).mean():+.3f}"
        )


if __name__ == "__main__":
    main()
