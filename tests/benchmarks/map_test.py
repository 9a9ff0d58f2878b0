"""Error rate of the voxelwise comparison of maps of networks, by where its p comes from.

Run as ``OMP_NUM_THREADS=1 python -m tests.benchmarks.map_test``; whole studies of linear networks
(ridge) and of small ones (a hidden layer of four), on images that say nothing of the outcome, or
with an effect. Families: the voxels of one map, nominal level .05.
"""

import argparse
from collections import Counter
from collections.abc import Iterator

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from bidsapp.saliency.max_t import ClusterEnhancement, corrected_p, max_t, voxel_t
from bidsapp.spaces.graph import FWHM_PER_SIGMA
from tests.benchmarks.map_claims import FOLDS, block, cohort_of, folds_of, weights_of

METHODS = ("gradient", "gradient_x_input")
HIDDEN, STEPS, RATE = 4, 40, 0.003
WORLD = block()
ENHANCE = ClusterEnhancement(WORLD.space, WORLD.judged)
_SIGMA = (0, *[WORLD.fwhm / FWHM_PER_SIGMA] * 3)
_WEIGHT = gaussian_filter(np.ones((1, *WORLD.shape)), _SIGMA, mode="constant")


def smooth(maps: np.ndarray) -> np.ndarray:
    """Smooth (n, voxels) maps inside the mask."""
    block = gaussian_filter(maps.reshape(-1, *WORLD.shape), _SIGMA, mode="constant") / _WEIGHT
    return block.reshape(maps.shape)


class Linear:
    """Ridge regressions: weights of each task, a set of training rows with outcomes."""

    def __init__(self, images: np.ndarray, tasks: list[tuple[np.ndarray, np.ndarray]]) -> None:
        self._weights = [weights_of(images[rows], outcome)[:, 0] for rows, outcome in tasks]

    def gradient(self, task: int, images: np.ndarray) -> np.ndarray:
        """Slopes of the answer, (n, voxels)."""
        return np.tile(self._weights[task], (len(images), 1))


class Small:
    """Networks with a hidden layer, all tasks trained at once by Adam on the logistic loss."""

    def __init__(self, images: np.ndarray, tasks: list[tuple[np.ndarray, np.ndarray]]) -> None:
        self._mean, self._sd = images.mean(axis=0), images.std(axis=0)
        generator = torch.Generator().manual_seed(len(tasks))
        voxels, count = images.shape[1], len(tasks)
        draw = torch.randn(voxels, count * HIDDEN, generator=generator)
        first = (draw / voxels**0.5).requires_grad_(True)
        last = torch.randn(count, HIDDEN, generator=generator).requires_grad_(True)
        used, truth = torch.zeros(len(images), count), torch.zeros(len(images), count)
        for task, (rows, outcome) in enumerate(tasks):
            used[rows, task] = 1.0
            truth[rows, task] = torch.as_tensor(outcome, dtype=torch.float32)
        x = self._scaled(images)
        optimizer = torch.optim.Adam([first, last], lr=RATE)
        for _ in range(STEPS):
            optimizer.zero_grad()
            logits = (torch.tanh(x @ first).view(len(x), count, HIDDEN) * last).sum(-1)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                logits, truth, weight=used, reduction="sum"
            )
            loss.backward()
            optimizer.step()
        self._first, self._last = first.detach().view(voxels, count, HIDDEN), last.detach()

    def _scaled(self, images: np.ndarray) -> torch.Tensor:
        return torch.as_tensor((images - self._mean) / self._sd, dtype=torch.float32)

    def gradient(self, task: int, images: np.ndarray) -> np.ndarray:
        """Slopes of the answer, (n, voxels)."""
        first = self._first[:, task]
        slope = 1 - torch.tanh(self._scaled(images) @ first) ** 2
        return ((slope * self._last[task]) @ first.T).numpy() / self._sd


KINDS: dict[str, type[Linear] | type[Small]] = {"linear": Linear, "small": Small}


def in_form(slopes: np.ndarray, images: np.ndarray, method: str) -> np.ndarray:
    """Smoothed maps by a method."""
    return smooth(slopes if method == "gradient" else slopes * images)


def largest(values: np.ndarray, outcome: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Largest |t| and enhancement."""
    t, _ = voxel_t(values, outcome, None, blocks)
    return np.array([np.abs(t).max(), np.abs(ENHANCE(t)).max()])


def rejections(
    kind: str, n: int, effect: float, permutations: int, rng: np.random.Generator
) -> Iterator[tuple[str, str, str]]:
    """Yield what is rejected in one study: method, origin of p, statistic."""
    cohort = cohort_of(WORLD, n, effect, rng)
    images, outcome = cohort.images, cohort.outcome
    outcomes = [outcome, *(rng.permutation(outcome) for _ in range(permutations))]
    folds = [folds_of(one, rng) for one in outcomes]
    tasks = [
        (rows, one[rows])
        for one, fold in zip(outcomes, folds, strict=True)
        for rows in (np.flatnonzero(fold != k) for k in range(FOLDS))
    ]
    half = folds_of(outcome, rng, 2)
    tasks.append((np.flatnonzero(half == 0), outcome[half == 0]))
    networks = KINDS[kind](images, tasks)
    slopes = np.empty((len(outcomes), *images.shape))
    for pipeline, fold in enumerate(folds):
        for k in range(FOLDS):
            held_out = fold == k
            task = pipeline * FOLDS + k
            slopes[pipeline, held_out] = networks.gradient(task, images[held_out])
    other = half == 1
    own = networks.gradient(len(tasks) - 1, images[other])
    for method in METHODS:
        found = [
            largest(in_form(one, images, method), truth, fold)
            for one, truth, fold in zip(slopes, outcomes, folds, strict=True)
        ]
        null = np.array(found[1:])
        p = {"anew": [corrected_p(found[0][[i]], null[:, i])[0] for i in (0, 1)]}
        fixed = in_form(slopes[0], images, method)
        for origin, values, truth, blocks in (
            ("fixed", fixed, outcome, folds[0]),
            ("hold-out", in_form(own, images[other], method), outcome[other], None),
        ):
            test = max_t(values, truth, permutations=39, blocks=blocks, rng=rng, enhance=ENHANCE)
            p[origin] = [test.p_fwe.min(), np.min(test.p_tfce)]
        for origin, values in p.items():
            for name, value in zip(("max-T", "TFCE"), values, strict=True):
                if value <= 0.05 + 1e-6:
                    yield method, origin, name


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--people", type=int, nargs="+", default=[60])
    parser.add_argument("--networks", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--effects", type=float, nargs="+", default=[0.0, 1.5])
    parser.add_argument("--permutations", type=int, default=19)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("network    n effect  method            statistic  fixed  anew   hold-out   (SE at .05)")
    for kind in options.networks:
        for n in options.people:
            for effect in options.effects:
                counts: Counter[tuple[str, str, str]] = Counter()
                for seed in range(options.studies):
                    rng = np.random.default_rng([seed, n])
                    counts.update(rejections(kind, n, effect, options.permutations, rng))
                for method in METHODS:
                    for name in ("max-T", "TFCE"):
                        rates = [
                            counts[method, origin, name] / options.studies
                            for origin in ("fixed", "anew", "hold-out")
                        ]
                        line = "  ".join(f"{rate:.3f}" for rate in rates)
                        error = (0.05 * 0.95 / options.studies) ** 0.5
                        print(
                            f"{kind:<8}{n:>4}{effect:>7.1f}  {method:<18}{name:<10}{line}"
                            f"   ({error:.3f})",
                            flush=True,
                        )


if __name__ == "__main__":
    main()
