"""Components of real BOLD as predictors: nothing to find, something planted, and what a leak makes.

python -m tests.benchmarks.rest_components DATA null [--seeds 20]
    sex of 24 people (at chance in these data) from the strength of eight components chosen by the
    outcome: everything fitted in the fold, the ICA alone on everybody, or ICA and choice on
    everybody, as printed in Teh et al. (2022)
python -m tests.benchmarks.rest_components DATA planted [--seeds 5]
    one network made stronger in half of the people: AUC, and the component whose loss costs most
python -m tests.benchmarks.rest_components DATA network [--seeds 5]
    the same by the network, the maps and the training of recipe ``rest``, components fitted in
    the fold
python -m tests.benchmarks.rest_components DATA strength [--seeds 5]
    the same with the network stronger by half, twice, three and four times, beside what the
    planted component's own strength tells where everything is known and nothing is trained

DATA is the folder of the real data (rest24_mni10mm). The classifier is a logistic regression on
the strengths of the components; in the planted study of z maps and with an L1 penalty, as one of
twenty components differs. A network of convolutions would take hours for the same.
"""

import argparse
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bidsapp.representation.components.dual_regression import dual_regression
from bidsapp.representation.components.group_ica import GroupComponents, group_ica
from bidsapp.representation.components.matching import correlations
from bidsapp.representation.components.reduction import reduce_person
from bidsapp.representation.components.selection import by_outcome, difference, strengths
from bidsapp.representation.components.whitening import pair_products
from tests.unit import rest24

COMPONENTS, CHOSEN, FOLDS, STARTS = 20, 8, 6, 3
FACTORS = (1.5, 2.0, 3.0, 4.0)
RIDGE: dict[str, Any] = {"C": 0.1}
SPARSE: dict[str, Any] = {"C": 1.0, "l1_ratio": 1.0, "solver": "liblinear"}
Series = tuple[np.ndarray, ...]


def in_percent(data: Path) -> Series:
    """Series of all people in percent of each voxel's mean: scanner units mean nothing."""
    return tuple(100 * (one / one.mean(axis=0) - 1) for one in rest24.series(data))


def fit(
    reductions: list[np.ndarray], products: np.ndarray, rows: np.ndarray, starts: int = STARTS
) -> GroupComponents:
    """Group ICA of some people, from starts of their own."""
    return group_ica(
        reductions, rows, COMPONENTS, (0, *rows.tolist()), starts=starts, products=products
    )


def strength_of(found: GroupComponents, series: Series, values: Literal["beta", "z"]) -> np.ndarray:
    """Strength of every component in every person, (N, C)."""
    maps = [dual_regression(found.maps, one, values).maps for one in series]
    return np.concatenate([strengths(one[None], found.maps) for one in maps])


def held_out(
    series: Series, outcome: np.ndarray, seed: int, how: str, choose: bool = True
) -> tuple[float, np.ndarray]:
    """Pooled AUC of held-out people, and the loss of AUC without each component of its fold.

    `how` is ``strict``, ``ica`` (ICA on everybody) or ``paper`` (ICA and choice on everybody).
    """
    reductions = [reduce_person(one).components for one in series]
    products = pair_products(reductions)
    everybody = np.arange(len(series))
    # betas differ twofold between people whatever their outcome, with the scale of their signal
    kind: Literal["beta", "z"] = "beta" if choose else "z"
    whole = (
        None if how == "strict" else strength_of(fit(reductions, products, everybody), series, kind)
    )
    scores = np.empty(len(series))
    hidden = np.zeros((COMPONENTS, len(series)))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    reference = fit(reductions, products, everybody).maps
    for train, test in folds.split(everybody, outcome):
        place = np.arange(COMPONENTS)
        if whole is None:
            found = fit(reductions, products, train)
            values = strength_of(found, series, kind)
            place = np.abs(correlations(found.maps, reference)).argmax(axis=1)
        else:
            values = whole
        seen = everybody if how == "paper" else train
        kept = place.argsort(kind="stable")
        if choose:
            kept = by_outcome(difference(values[seen], outcome[seen]), CHOSEN)
        penalty = RIDGE if choose else SPARSE
        model = make_pipeline(StandardScaler(), LogisticRegression(**penalty))
        model.fit(values[train][:, kept], outcome[train])
        scores[test] = model.decision_function(values[test][:, kept])
        hidden[:, test] = scores[test]
        for column, number in enumerate(kept):
            without = values[test][:, kept].copy()
            without[:, column] = values[train][:, number].mean()
            hidden[place[number], test] = model.decision_function(without)
    auc = float(roc_auc_score(outcome, scores))
    return auc, auc - np.array([roc_auc_score(outcome, one) for one in hidden])


def planted(
    series: Series, maps: np.ndarray, number: int, positive: np.ndarray, factor: float
) -> Series:
    """Make one network stronger in some people: its own part of their series, times a factor.

    Its part is that which no other component explains: course and map of a dual regression on all
    components. On this one alone, both would hold what all networks share, and all be stronger.
    """
    found = []
    for person, stronger in zip(series, positive, strict=True):
        own = dual_regression(maps, person, "beta")
        more = (factor - 1) * np.outer(own.courses[:, number], own.maps[number])
        found.append(person + more.astype(np.float32) if stronger else person)
    return tuple(found)


def null(data: Path, seeds: int) -> None:
    """Sex, which these data do not hold, by seeds of the division into folds."""
    people = pd.read_csv(data / "rest24_mni10mm" / "participants.tsv", sep="\t")
    outcome = (people["sex"] == "F").to_numpy().astype(int)
    series = in_percent(data)
    for how in ("strict", "ica", "paper"):
        begin = time.process_time()
        found = [held_out(series, outcome, seed, how)[0] for seed in range(seeds)]
        print(
            f"{how:7} mean AUC {np.mean(found):.3f} (SD {np.std(found):.3f}, "
            f"{min(found):.2f} to {max(found):.2f}) over {seeds} seeds; "
            f"{(time.process_time() - begin) / seeds:.1f} s a seed",
            flush=True,
        )


def shuffled(data: Path, seeds: int) -> None:
    """Outcomes drawn by lot: what is found where there can be nothing."""
    series = in_percent(data)
    for how in ("strict", "paper"):
        found = []
        for seed in range(seeds):
            outcome = np.random.default_rng(seed).permutation([0, 1] * 12)
            found.append(held_out(series, outcome, seed, how)[0])
        print(
            f"outcome by lot, {how:7} mean AUC {np.mean(found):.3f} (SD {np.std(found):.3f})",
            flush=True,
        )


def planted_study(data: Path, seeds: int, factor: float) -> None:
    """One network stronger in half of the people."""
    series = in_percent(data)
    reductions = [reduce_person(one).components for one in series]
    products = pair_products(reductions)
    plain = fit(reductions, products, np.arange(len(series)))
    aucs, firsts = [], []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        outcome = rng.permutation([0, 1] * (len(series) // 2))
        number = seed % 5  # the five most stable
        made = planted(series, plain.maps, number, outcome == 1, factor)
        auc, loss = held_out(made, outcome, seed, "strict", choose=False)
        again = [reduce_person(one).components for one in made]
        reference = fit(again, pair_products(again), np.arange(len(made)))
        target = int(np.abs(correlations(reference.maps, plain.maps[[number]]))[:, 0].argmax())
        strong = strength_of(reference, made, "z")[:, target]
        one, other = strong[outcome == 1], strong[outcome == 0]
        size = (one.mean() - other.mean()) / np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 2)
        aucs.append(auc)
        firsts.append(int(loss.argmax()) == target)
        print(
            f"seed {seed}: difference of {size:.1f} SD; AUC {auc:.3f}; first by occlusion: "
            f"{firsts[-1]} (loss {loss[target]:.3f}, largest other "
            f"{np.delete(loss, target).max():.3f})",
            flush=True,
        )
    print(
        f"amplitude times {factor:g} in half of {len(series)} people: AUC of .9 or more in "
        f"{sum(auc >= 0.9 for auc in aucs)} of {seeds} seeds, first by occlusion in {sum(firsts)}"
    )


def network_scores(
    series: Series,
    outcome: np.ndarray,
    seed: int,
    reference: np.ndarray | None = None,
    starts: int = STARTS,
) -> tuple[float, np.ndarray]:
    """Pooled AUC of the recipe's network, and the loss without each of the reference's maps.

    Without a reference nothing is left out, and the losses are zeros.
    """
    import torch

    from bidsapp.networks.registry import build_network
    from bidsapp.recipes import load_recipe

    recipe = load_recipe("rest")
    section, labels = recipe.training, torch.from_numpy(outcome.astype(np.float32))
    reductions = [reduce_person(one).components for one in series]
    products = pair_products(reductions)
    hidden = np.zeros((COMPONENTS + 1, len(series)))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for fold, (train, test) in enumerate(folds.split(outcome, outcome)):
        found = fit(reductions, products, train, starts).maps
        maps = [dual_regression(found, one, "effect").maps for one in series]
        images = torch.from_numpy(np.stack(maps))[..., None, None]
        network: Any = build_network(recipe.network, COMPONENTS, fold).train()
        # nothing of the pool is learned: it is the same in every step
        pooled = network.pool(images)
        optimizer = torch.optim.Adam(
            network.parameters(), section.lr.head, weight_decay=section.weight_decay
        )
        for _ in range(section.epochs):
            optimizer.zero_grad()
            logits = network.fc(network.gate(network.norm(pooled[train])))
            loss = torch.nn.functional.binary_cross_entropy_with_logits
            loss(logits[:, 0], labels[train]).backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            hidden[:, test] = network(images[test])[:, 0].numpy()
            if reference is None:
                continue
            place = np.abs(correlations(found, reference)).argmax(axis=1)
            for number in range(COMPONENTS):
                without = images[test].clone()
                without[:, number] = images[train][:, number].mean(dim=0)
                hidden[1 + place[number], test] = network(without)[:, 0].numpy()
    aucs = np.array([roc_auc_score(outcome, one) for one in hidden])
    return float(aucs[0]), aucs[0] - aucs[1:]


def known_strength(series: Series, maps: np.ndarray, number: int, outcome: np.ndarray) -> float:
    """AUC of one component's strength, where maps and component are known: nothing is trained."""
    found = strength_of_maps(maps, series)
    return float(roc_auc_score(outcome, found[:, number]))


def strength_of_maps(maps: np.ndarray, series: Series) -> np.ndarray:
    """Strength of given components in every person, as effects, (N, C)."""
    effects = [dual_regression(maps, one, "effect").maps for one in series]
    return np.concatenate([strengths(one[None], maps) for one in effects])


def network_study(data: Path, seeds: int, factor: float) -> None:
    """One network stronger in half of the people, by the network that recipe rest trains."""
    series = in_percent(data)
    reductions = [reduce_person(one).components for one in series]
    plain = fit(reductions, pair_products(reductions), np.arange(len(series)))
    aucs, firsts, known = [], [], []
    for seed in range(seeds):
        outcome = np.random.default_rng(seed).permutation([0, 1] * (len(series) // 2))
        number = seed % 5
        made = planted(series, plain.maps, number, outcome == 1, factor)
        again = [reduce_person(one).components for one in made]
        reference = fit(again, pair_products(again), np.arange(len(made))).maps
        target = int(np.abs(correlations(reference, plain.maps[[number]]))[:, 0].argmax())
        auc, loss = network_scores(made, outcome, seed, reference)
        aucs.append(auc)
        firsts.append(int(loss.argmax()) == target)
        known.append(known_strength(made, plain.maps, number, outcome))
        print(
            f"seed {seed}: AUC {auc:.3f}; first by occlusion: {firsts[-1]} (loss "
            f"{loss[target]:.3f}, largest other {np.delete(loss, target).max():.3f}); the known "
            f"component's own strength {known[-1]:.3f}",
            flush=True,
        )
    print(
        f"amplitude times {factor:g} in half of {len(series)} people: mean AUC "
        f"{np.mean(aucs):.3f}, .9 or more in {_many(aucs)} of {seeds} seeds, first by occlusion in "
        f"{sum(firsts)}; known component: {np.mean(known):.3f}, .9 or more in {_many(known)}"
    )


def _many(aucs: list[float]) -> int:
    return sum(auc >= 0.9 for auc in aucs)


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("study", choices=("null", "lot", "planted", "network", "strength"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--factor", type=float, default=2.0)
    arguments = parser.parse_args()
    if arguments.study == "null":
        null(arguments.data, arguments.seeds)
    elif arguments.study == "lot":
        shuffled(arguments.data, arguments.seeds)
    elif arguments.study == "network":
        network_study(arguments.data, arguments.seeds, arguments.factor)
    elif arguments.study == "strength":
        for factor in FACTORS:
            network_study(arguments.data, arguments.seeds, factor)
    else:
        planted_study(arguments.data, arguments.seeds, arguments.factor)


if __name__ == "__main__":
    main()
