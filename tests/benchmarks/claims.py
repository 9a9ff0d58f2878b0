"""How often each claim of a report is wrong, and how often it is made where it is right.

Run as ``python -m tests.benchmarks.claims`` (five minutes on one core), or parts of it with
``--parts``; ``OMP_NUM_THREADS=1``. Studies are drawn (`worlds`), trained and tested; every interval
and verdict comes from the code that evaluates a run. *Before* is the rule that stood earlier:
DeLong's variance as if the scores were given, pairs of all people, the protocol's name.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from bidsapp.evaluation.chance import against_chance
from bidsapp.evaluation.comparisons import compare_variants, mcnemar
from bidsapp.evaluation.delong import delong_covariance
from bidsapp.evaluation.estimates import difference_of, estimate_aucs
from bidsapp.evaluation.held_out import HeldOut, held_out
from bidsapp.evaluation.intervals import nadeau_bengio
from bidsapp.evaluation.metric_table import leading_rows
from bidsapp.evaluation.permutation import permute_outcomes
from bidsapp.evaluation.planning import EIGHT_FOLDS, auc_power
from bidsapp.evaluation.sample import pool
from bidsapp.evaluation.verdicts import verdict
from tests.benchmarks import worlds
from tests.benchmarks.worlds import Design, Learned, learn

SIZES = (60, 128)
FOLDS = 8
PERMUTATIONS = 39  # the fewest with which a test at .05 is exact


class Row(NamedTuple):
    """One share of studies, by the earlier rule and by this one."""

    claim: str
    kind: str
    n: int
    before: float
    after: float
    truth: float | None = None
    form: str = ".1%"


def half(n: int) -> np.ndarray:
    """Outcomes of which half are positive."""
    return (np.arange(n) < n // 2).astype(int)


def pooled_arrays(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Outcome and probability of everybody."""
    table = pool(rows)
    return table["outcome"].to_numpy(dtype=bool), table["probability"].to_numpy(dtype=float)


def headline(rows: pd.DataFrame, how: HeldOut) -> tuple[float, float, float]:
    """AUC that leads the report, and its limits."""
    led = leading_rows(rows, how, 0.95)
    if led:
        row = led[-1].iloc[0]
        return float(row["value"]), float(row["ci_low"]), float(row["ci_high"])
    outcome, score = pooled_arrays(rows)
    (found,), _ = estimate_aucs(outcome, score)
    return found.value, *found.limits(norm.ppf(0.975))


def single(n: int, studies: int) -> Iterator[Row]:
    """One network: does its interval hold the truth, is chance called better."""
    rng = np.random.default_rng([n, 1])
    design = worlds.cross_validation(half(n), FOLDS, rng)
    how = held_out(design.rows, design.splits)
    for distance, kind in ((0.0, "no effect"), (0.9, "effect .9 SD among 10 of noise")):
        learned = learn(design, worlds.images(half(n), 11, distance, studies, rng), distance)
        yield from _of_auc(f"8 folds, {kind}", design, learned, how, HeldOut(), n)


def _of_auc(
    kind: str, design: Design, learned: Learned, how: HeldOut, earlier: HeldOut, n: int
) -> Iterator[Row]:
    truth = float(learned.truth.mean())
    found = [
        [headline(rows, rule) for rows in worlds.tables(design, learned)] for rule in (earlier, how)
    ]
    limits = [np.array(each)[:, 1:] for each in found]
    held = [float(np.mean((each[:, 0] <= truth) & (truth <= each[:, 1]))) for each in limits]
    yield Row("interval of the AUC holds the true one", kind, n, held[0], held[1], truth)
    called = [[against_chance(*pair) for pair in each] for each in limits]
    for word in ("better", "worse"):
        if truth > 0.51 and word == "worse":
            continue
        before, after = (float(np.mean([one == word for one in each])) for each in called)
        yield Row(f'"{word} than chance"', kind, n, before, after, truth)


def permutation(n: int, studies: int) -> Iterator[Row]:
    """Permutation of outcomes on fixed scores, where nothing is there."""
    rng = np.random.default_rng([n, 2])
    for kind, design in (
        ("8 folds", worlds.cross_validation(half(n), FOLDS, rng)),
        ("20 hold-outs of a fifth", worlds.hold_outs(half(n), 0.2, 20, rng)),
    ):
        learned = learn(design, worlds.images(half(n), 11, 0.0, studies, rng), 0.0)
        tested = [
            permute_outcomes(rows, PERMUTATIONS, rng).p <= 0.05
            for rows in worlds.tables(design, learned)
        ]
        share = float(np.mean(tested))
        yield Row("p on fixed scores ≤ .05 (no verdict)", f"{kind}, no effect", n, share, share)


def pairs(n: int, studies: int) -> Iterator[Row]:
    """Two networks of equal worth, and a network against baselines of equal and less worth."""
    rng = np.random.default_rng([n, 3])
    outcome = half(n)
    design = worlds.cross_validation(outcome, FOLDS, rng)

    def drawn(features: int, distance: float) -> np.ndarray:
        return worlds.images(outcome, features, distance, studies, rng)

    def noisy(image: np.ndarray, distance: float) -> Learned:
        return learn(design, image, distance, rng=rng, jitter=1.0)

    same, shared = drawn(11, 0.0), drawn(11, 0.9)
    other = np.concatenate([shared[..., :1], drawn(10, 0.0)], axis=2)
    equal = {
        "no effect, noise of their own": (learn(design, same, 0), learn(design, drawn(11, 0), 0)),
        "no effect, same images, another learner": (
            learn(design, same, 0),
            learn(design, same, 0, "nearest mean"),
        ),
        "no effect, few features": (learn(design, drawn(4, 0), 0), learn(design, drawn(4, 0), 0)),
        "effects of their own, .9 SD": (
            learn(design, drawn(11, 0.9), 0.9),
            learn(design, drawn(11, 0.9), 0.9),
        ),
        "the same effect, .9 SD, other noise": (
            learn(design, shared, 0.9),
            learn(design, other, 0.9),
        ),
        "same images, .9 SD, other random numbers": (noisy(shared, 0.9), noisy(shared, 0.9)),
    }
    for kind, two in equal.items():
        yield from _of_pair("rejects", kind, design, two, n, rival=False)
    nothing = drawn(11, 0.0)
    yield from _of_pair(
        '"better than the baseline"',
        "neither tells anything",
        design,
        (learn(design, nothing, 0), learn(design, drawn(4, 0), 0)),
        n,
        rival=True,
    )
    yield from _of_pair(
        '"better than the baseline"',
        "as good, each by images of its own",
        design,
        (learn(design, drawn(11, 0.9), 0.9), learn(design, drawn(4, 0.8), 0.8)),
        n,
        rival=True,
    )
    for distance in (0.9, 1.3):
        rival = learn(design, drawn(4, 0.0), 0)
        network = learn(design, drawn(11, distance), distance)
        name = f"power: baseline of noise, network with an effect of {distance:g} SD"
        yield from _of_pair(
            '"better than the baseline"', name, design, (network, rival), n, rival=True
        )


def _of_pair(
    claim: str, kind: str, design: Design, two: tuple[Learned, Learned], n: int, *, rival: bool
) -> Iterator[Row]:
    how = held_out(design.rows, design.splits)
    layouts = {"network": how, "rival": how}
    old, new = [], []
    counted: tuple[list[bool], list[bool]] = ([], [])
    for rows in worlds.tables(design, *two):
        (outcome, first), (_, second) = (
            pooled_arrays(part) for _, part in rows.groupby("variant", sort=False)
        )
        found = delong_covariance(outcome, np.stack([first, second]))
        difference = found.auc[0] - found.auc[1]
        z = difference / np.sqrt([1, -1] @ found.covariance @ [1, -1])
        old.append(z > 1.96 if rival else abs(z) > 1.96)
        row = compare_variants(
            rows, ("delong",), layouts=layouts, rivals=("rival",) if rival else ()
        ).iloc[0]
        shown = verdict(row["ci_low"], row["ci_high"], row["p_holm"])
        new.append(shown == "better" if rival else shown in ("better", "worse"))
        if not rival:
            right = (np.stack([first, second]) >= 0.5) == outcome
            only = (right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum()
            for factor, into in zip((1, how.inflation), counted, strict=True):
                into.append(mcnemar(*only, factor) <= 0.05)
    truth = float(two[0].truth.mean())
    yield Row(claim, kind, n, float(np.mean(old)), float(np.mean(new)), truth)
    if not rival:
        before, after = (float(np.mean(each)) for each in counted)
        yield Row("McNemar's test rejects", kind, n, before, after, truth)


def edges(_n: int, studies: int) -> Iterator[Row]:
    """Given scores of two models near AUC 1, in few people: no cross-validation in it."""
    for n, aucs in ((24, (0.98, 0.98)), (24, (0.98, 0.8)), (60, (0.98, 0.98)), (60, (0.98, 0.8))):
        rng = np.random.default_rng([n, 4])
        outcome, truth = half(n).astype(bool), aucs[0] - aucs[1]
        old, new = [], []
        least: tuple[list[float], list[float]] = ([], [])
        for _ in range(studies):
            own = rng.normal(size=(2, n)) * np.sqrt(0.7) + np.sqrt(0.3) * rng.normal(size=n)
            score = own + np.sqrt(2) * norm.ppf(np.array(aucs))[:, None] * outcome
            found = delong_covariance(outcome, score)
            error = float(np.sqrt(max(0.0, float([1, -1] @ found.covariance @ [1, -1]))))
            difference = found.auc[0] - found.auc[1]
            old.append(abs(difference - truth) <= 1.96 * error)
            (first, second), correlation = estimate_aucs(outcome, score)
            ours = difference_of(first, second, correlation[0, 1])
            new.append(ours.interval.low <= truth <= ours.interval.high)
            if found.auc[0] == 1:
                z = abs(difference) / error if error else 0.0
                least[0].append(2 * norm.sf(z))
                least[1].append(ours.p)
        kind = f"given scores, AUCs {aucs[0]} and {aucs[1]}"
        yield Row(
            "interval of the difference holds it", kind, n, float(np.mean(old)), float(np.mean(new))
        )
        if least[0]:
            yield Row(
                "least p where one AUC is 1", kind, n, min(least[0]), min(least[1]), None, ".1g"
            )


def repeated(n: int, studies: int) -> Iterator[Row]:
    """Hold-outs drawn again and again, and repeats of a cross-validation."""
    rng = np.random.default_rng([n, 5])
    outcome = half(n)
    for times in (5, 20):
        design = worlds.hold_outs(outcome, 0.2, times, rng)
        how = held_out(design.rows, design.splits)
        for distance in (0.0, 0.9):
            learned = learn(design, worlds.images(outcome, 11, distance, studies, rng), distance)
            kind = f"{times} hold-outs of a fifth, {distance:g} SD"
            yield from _of_auc(kind, design, learned, how, HeldOut(), n)
    for distance in (0.0, 0.9):
        image = worlds.images(outcome, 11, distance, studies, rng)
        for times in (1, 10):
            design = worlds.cross_validation(outcome, FOLDS, rng, times)
            how = held_out(design.rows, design.splits)
            learned = learn(design, image, distance)
            yield from _of_repeats(f"{times} × 8 folds, {distance:g} SD", design, learned, how, n)


def _of_repeats(kind: str, design: Design, learned: Learned, how: HeldOut, n: int) -> Iterator[Row]:
    """Before: an interval that J = repeats × folds narrows, as Nadeau and Bengio's formula says."""
    times = len(design.folds) // FOLDS
    narrow = HeldOut(1 / times + FOLDS / (FOLDS - 1), how.tests, how.ratio)
    found: dict[str, list[list[tuple[float, float, float]]]] = {
        "pooled": [[], []],
        "mean": [[], []],
    }
    for rows in worlds.tables(design, learned):
        for rule, into in zip((narrow, how), found["pooled"], strict=True):
            into.append(headline(rows, rule))
        folds = rows.groupby(["repeat", "fold"])
        aucs = np.array([_auc(part) for _, part in folds])
        for tests, into in zip((float("inf"), how.tests), found["mean"], strict=True):
            into.append((aucs.mean(), *nadeau_bengio(aucs, how.ratio, 0.95, tests)))
    for name, both in found.items():
        values = [np.array(each) for each in both]
        aim = values[1][:, 0].mean() if name == "pooled" else learned.truth.mean()
        held = [np.mean((v[:, 1] <= aim) & (aim <= v[:, 2])) for v in values]
        yield Row(f"interval holds the AUC, {name}", kind, n, float(held[0]), float(held[1]))
        width = [float(np.mean(v[:, 2] - v[:, 1])) for v in values]
        yield Row(f"width of the interval, {name}", kind, n, width[0], width[1], None, ".2f")


def _auc(rows: pd.DataFrame) -> float:
    outcome = rows["outcome"].to_numpy(dtype=bool)
    rank = rows["probability"].rank().to_numpy()
    m = outcome.sum()
    return float((rank[outcome].sum() - m * (m + 1) / 2) / (m * (len(outcome) - m)))


def by_site(n: int, studies: int) -> Iterator[Row]:
    """Four sites of unlike share of positives, each with its own shift of the images."""
    rng = np.random.default_rng([n, 6])
    design, site = worlds.sites((0.2, 0.4, 0.6, 0.8), n)
    how = held_out(design.rows, design.splits)
    pooled = HeldOut(how.inflation)
    for distance in (0.0, 0.9):
        image = worlds.images(design.outcome, 11, distance, studies, rng)
        image += 0.5 * rng.normal(size=(studies, 4, 11))[:, site]
        learned = learn(design, image, distance)
        yield from _of_auc(
            f"4 sites, 20 to 80 % positive, {distance:g} SD", design, learned, how, pooled, n
        )


def plan(n: int, studies: int) -> Iterator[Row]:
    """What a plan promises, beside how often the answer was "better than chance"."""
    rng = np.random.default_rng([n, 7])
    outcome = (np.arange(n) < round(0.43 * n)).astype(int)
    design = worlds.cross_validation(outcome, FOLDS, rng)
    how = held_out(design.rows, design.splits)
    m = int(outcome.sum())
    for features, distance in ((11, 0.7), (11, 0.9), (11, 1.1), (31, 1.3)):
        learned = learn(design, worlds.images(outcome, features, distance, studies, rng), distance)
        truth = float(learned.truth.mean())
        called = np.mean([headline(rows, how)[1] > 0.5 for rows in worlds.tables(design, learned)])
        kind = f"n = {n}: the answer found an AUC of {truth:.2f} in {called:.2f} of studies"
        promised = (auc_power(truth, m, n - m), auc_power(truth, m, n - m, 0.05, EIGHT_FOLDS))
        yield Row("power that the plan promises", kind, n, promised[0], promised[1], None, ".2f")


PARTS: dict[str, Callable[[int, int], Iterator[Row]]] = {
    "single": single,
    "permutation": permutation,
    "pairs": pairs,
    "edges": edges,
    "repeated": repeated,
    "sites": by_site,
    "plan": plan,
}


def show(rows: list[Row], studies: int) -> None:
    """Print the table as Markdown: shares before and after, the latter with its standard error."""
    sizes = sorted({row.n for row in rows})
    found: dict[tuple[str, str], dict[int, Row]] = {}
    for row in rows:
        found.setdefault((row.claim, row.kind), {})[row.n] = row
    heads = " | ".join(f"n = {n}, before → after" for n in sizes)
    print(f"| claim | studies of | {heads} |\n|---|---|{'---|' * len(sizes)}")
    for (claim, kind), cells in found.items():
        truths = dict.fromkeys(
            f"{row.truth:.2f}" for row in cells.values() if row.truth is not None
        )
        told = f"{kind} (true AUC {', '.join(truths)})" if truths else kind
        texts = [_cell(cells[n], studies) if n in cells else "" for n in sizes]
        print(f"| {claim} | {told} | {' | '.join(texts)} |")


def _cell(row: Row, studies: int) -> str:
    before, after = (format(value, row.form) for value in (row.before, row.after))
    if row.form != ".1%":
        return f"{before} → {after}"
    error = 100 * np.sqrt(row.after * (1 - row.after) / studies)
    return f"{before} → {after} ± {error:.1f}"


def main() -> None:
    """Print the table of the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--studies", type=int, default=600)
    asked = parser.parse_args()
    rows: list[Row] = []
    for name in asked.parts:
        for n in SIZES if name != "edges" else (0,):
            rows += PARTS[name](n, asked.studies)
    show(rows, asked.studies)


if __name__ == "__main__":
    main()
