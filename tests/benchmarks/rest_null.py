"""Sex of 24 people at rest, and the same people with their outcomes drawn by lot, many times.

python -m tests.benchmarks.rest_null DATA pooled [--lots 199] [--seeds 4]
    the network of recipe rest: mean AUC over divisions into folds, of sex and of every lot
python -m tests.benchmarks.rest_null DATA voxnet [--lots 99] [--seeds 2]
    VoxNet on z maps, as the compact variant of teh2022 trains it (12 components, 20 epochs)

All divisions hold the same 24 people, so that their mean does not come nearer to .5 the more there
are of them: what it may be is seen in lots that are treated in the same way. Where nothing leaks
and nothing is biased the mean over lots is .5; the share of lots that reach as much as sex is the p
of sex.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from bidsapp.representation.components.dual_regression import dual_regression
from bidsapp.representation.components.group_ica import group_ica
from bidsapp.representation.components.reduction import reduce_person
from bidsapp.representation.components.whitening import pair_products
from tests.benchmarks.rest_components import FOLDS, Series, in_percent, network_scores
from tests.unit import rest24

# The bar for the mean of a null.
LEAST, MOST = 0.45, 0.55
STARTS = 1
"""Of an ICA: how stable its components are is not asked here, and one takes half the time."""
_BOX = (20, 20, 20)  # VoxNet needs 19 voxels along each axis

Auc = Callable[[np.ndarray, int], float]
"""Of outcomes, and the seed of the division into folds."""


def by_pooled(series: Series) -> Auc:
    """Everything of recipe rest's network in the fold, components too."""
    return lambda outcome, seed: network_scores(series, outcome, seed, starts=STARTS)[0]


def by_voxnet(series: Series, mask: np.ndarray) -> Auc:
    """Everything of teh2022's compact variant in the fold."""
    import torch

    from bidsapp.networks.registry import build_network
    from bidsapp.recipes import load_recipe

    recipe = load_recipe("teh2022").with_variant("compact")
    section, asked = recipe.training, recipe.representation.fitted["group_ica"]
    reductions = [reduce_person(one, asked["reduction"]).components for one in series]
    products = pair_products(reductions)
    at = tuple(np.argwhere(mask).T)

    def auc(outcome: np.ndarray, seed: int) -> float:
        labels = torch.from_numpy(outcome.astype(np.float32))
        scores = np.zeros(len(series))
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        for fold, (train, test) in enumerate(folds.split(outcome, outcome)):
            found = group_ica(
                reductions, train, asked["components"], (0, *train.tolist()),
                starts=STARTS, products=products,
            )  # fmt: skip
            whole = np.zeros((len(series), asked["components"], *_BOX), np.float32)
            for row, one in enumerate(series):
                whole[row][(slice(None), *at)] = dual_regression(found.maps, one, "z").maps
            images = torch.from_numpy(whole)
            network = build_network(recipe.network, asked["components"], fold, _BOX).train()
            optimizer = torch.optim.Adam(
                network.parameters(), section.lr.head, eps=section.epsilon,
                weight_decay=section.weight_decay,
            )  # fmt: skip
            order = torch.Generator().manual_seed(1000 * seed + fold)
            for _ in range(section.epochs):
                shuffled = torch.from_numpy(train)[torch.randperm(len(train), generator=order)]
                for rows in shuffled.split(section.batch_size):
                    optimizer.zero_grad()
                    loss = torch.nn.functional.binary_cross_entropy_with_logits
                    loss(network(images[rows])[:, 0], labels[rows]).backward()
                    optimizer.step()
            network.eval()
            with torch.no_grad():
                scores[test] = network(images[test])[:, 0].numpy()
        return float(roc_auc_score(outcome, scores))

    return auc


def lots(auc: Auc, sex: np.ndarray, count: int, seeds: int) -> bool:
    """Print what sex and lots give; whether the mean over lots lies within the bar."""
    own = np.array([auc(sex, seed) for seed in range(seeds)])
    drawn = np.empty((count, seeds))
    for lot in range(count):
        outcome = np.random.default_rng([1, lot]).permutation(sex)
        drawn[lot] = [auc(outcome, seed) for seed in range(seeds)]
    means = drawn.mean(axis=1)
    error = means.std(ddof=1) / np.sqrt(count)
    p = (1 + (means >= own.mean()).sum()) / (1 + count)
    print(
        f"outcomes by lot: mean AUC {means.mean():.3f} (standard error {error:.3f}) over {count} "
        f"lots of {seeds} divisions into folds"
    )
    print(
        f"  one lot's mean has an SD of {means.std(ddof=1):.3f}, its divisions one of "
        f"{np.sqrt(drawn.var(axis=1, ddof=1).mean()) if seeds > 1 else np.nan:.3f} about it; 95 % "
        f"of lots {np.quantile(means, 0.025):.3f} to {np.quantile(means, 0.975):.3f}"
    )
    print(f"  within {LEAST} to {MOST}: {((means > LEAST) & (means < MOST)).mean():.0%} of lots")
    print(
        f"sex: mean AUC {own.mean():.3f} over the same divisions; as much or more in "
        f"{(means >= own.mean()).sum()} of {count} lots, p = {p:.3f}"
    )
    return bool(LEAST <= means.mean() <= MOST)


def main() -> int:
    """Run what the arguments ask for; 0 where the mean over lots lies within the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("network", choices=("pooled", "voxnet"))
    parser.add_argument("--lots", type=int, default=199)
    parser.add_argument("--seeds", type=int, default=4)
    given = parser.parse_args()
    people = pd.read_csv(given.data / "rest24_mni10mm" / "participants.tsv", sep="\t")
    sex = (people["sex"] == "F").to_numpy().astype(int)
    series = in_percent(given.data)
    if given.network == "pooled":
        auc = by_pooled(series)
    else:
        auc = by_voxnet(series, rest24.mask(given.data))
    return 0 if lots(auc, sex, given.lots, given.seeds) else 1


if __name__ == "__main__":
    raise SystemExit(main())
