"""How much a variant's forecast loses without each component, matched across folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import expit

from bidsapp.representation.components.matching import match
from bidsapp.saliency.component_effects import FILE, ComponentEffects
from bidsapp.saliency.component_names import Likeness

if TYPE_CHECKING:
    from bidsapp.saliency.plan import ExplainStep

DRAWS = 2000
NOTE = (
    "components.tsv: each component is taken away from held-out people (the training people's mean "
    "map in its place) and the networks are asked again. Components of folds are matched with "
    "those of the first fold; a pair no more alike than the first fold's map flipped counts as "
    "not found."
)


@dataclass(frozen=True)
class Joined:
    """Effects of all folds under the names of the first fold's components.

    Attributes
    ----------
    names
        Shape (C,).
    maps
        Of the first fold, (C, *space).
    rows
        A row per held-out scan: participant_id, outcome, repeat.
    full
        Its probability, shape (N,).
    without
        That without each component, shape (C, N); `full` where its fold has no such component.
    r, null
        ``|r|`` of the pair in each fold, and what the same map flipped reaches, (folds, C).
    number, sign
        Of the fold's component that goes with each of the first's, and whether its map is that of
        the first (1) or turned round (-1), (folds, C).
    found
        Whether a fold has the component and its network is given it, booleans, (folds, C).
    """

    names: tuple[str, ...]
    maps: np.ndarray
    rows: pd.DataFrame
    full: np.ndarray
    without: np.ndarray
    r: np.ndarray
    null: np.ndarray
    found: np.ndarray
    number: np.ndarray
    sign: np.ndarray

    @property
    def same(self) -> bool:
        """Whether all folds have the same components, in the same order."""
        return bool(self.found.all() and (self.number == np.arange(len(self.names))).all())


def read_effects(steps: "Sequence[ExplainStep]") -> Joined | None:
    """Read and join what every fold of a variant wrote; None where there are no components."""
    own = [step for step in steps if step.kind == "test" and (step.folder / FILE).is_file()]
    if not own:
        return None
    parts = [
        (
            step.task.table.iloc[step.task.rows("test")].assign(repeat=step.task.repeat),
            ComponentEffects.read(step.folder / FILE),
        )
        for step in own
    ]
    return join_effects(parts)


def join_effects(parts: Sequence[tuple[pd.DataFrame, ComponentEffects]]) -> Joined:
    """Match every fold's components with the first fold's.

    Parameters
    ----------
    parts
        Of each fold: the rows of its held-out scans (participant_id, outcome, repeat) and its
        effects.
    """
    first = parts[0][1]
    inside = np.any([effects.maps.any(axis=0) for _, effects in parts], axis=0)
    count, scans = len(first.names), sum(len(rows) for rows, _ in parts)
    r, null = np.zeros((len(parts), count)), np.zeros((len(parts), count))
    found = np.zeros((len(parts), count), bool)
    number, sign = np.full((len(parts), count), -1), np.ones((len(parts), count))
    full, without, at = np.empty(scans), np.empty((count, scans)), 0
    for fold, (rows, effects) in enumerate(parts):
        pairs = match(effects.maps[:, inside], first.maps[:, inside], inside)
        r[fold, pairs.references], null[fold, pairs.references] = np.abs(pairs.r), pairs.null
        number[fold, pairs.references] = pairs.components
        sign[fold, pairs.references] = np.where(pairs.r < 0, -1, 1)
        here = slice(at, at + len(rows))
        full[here] = expit(effects.logits)
        without[:, here] = full[here]
        for component, reference, same in zip(
            pairs.components, pairs.references, pairs.above_null, strict=True
        ):
            found[fold, reference] = same and effects.seen[component]
            if found[fold, reference]:
                without[reference, here] = expit(effects.without[component])
        at += len(rows)
    rows = pd.concat([part[["participant_id", "outcome", "repeat"]] for part, _ in parts])
    return Joined(
        first.names,
        first.maps,
        rows.reset_index(drop=True),
        full,
        without,
        r,
        null,
        found,
        number,
        sign,
    )


def component_table(
    joined: Joined,
    seed: int,
    names: Mapping[str, str] = MappingProxyType({}),
    like: Mapping[str, Likeness] = MappingProxyType({}),
) -> pd.DataFrame:
    """Say of each component how much AUC is lost without it, the largest loss first.

    Parameters
    ----------
    joined
        Of a variant.
    seed
        Of the bootstrap over people.
    names
        Of components that have one.
    like
        The named map that a component is matched with, of those that were fitted on people.

    Returns
    -------
    pandas.DataFrame
        Columns of ``saliency/components``.
    """
    people, place = np.unique(joined.rows["participant_id"], return_inverse=True)
    outcome, repeat = joined.rows["outcome"].to_numpy(), joined.rows["repeat"].to_numpy()
    scores = np.vstack([joined.full, joined.without])
    wins, pairs = np.zeros((len(scores), len(people), len(people))), np.zeros((len(people),) * 2)
    for one in np.unique(repeat):
        positive = np.flatnonzero((outcome == 1) & (repeat == one))
        negative = np.flatnonzero((outcome == 0) & (repeat == one))
        cells = np.ix_(place[positive], place[negative])
        ahead = scores[:, positive, None] - scores[:, None, negative]
        np.add.at(pairs, cells, 1.0)
        for number, block in enumerate(0.5 * (np.sign(ahead) + 1)):
            np.add.at(wins[number], cells, block)
    rng = np.random.default_rng([seed, 3])
    weights = rng.multinomial(len(people), np.full(len(people), 1 / len(people)), DRAWS)
    loss = _loss(wins, pairs, np.ones((1, len(people))))[:, 0]
    drawn = _loss(wins, pairs, weights.astype(float))
    drawn = drawn[:, np.isfinite(drawn).all(axis=0)]
    limits = (
        np.quantile(drawn, (0.025, 0.975), axis=1)
        if drawn.size
        else np.full((2, len(loss)), np.nan)
    )
    folds = joined.found.sum(axis=0)
    table = pd.DataFrame(
        {
            "component": joined.names,
            "network": [names.get(name) for name in joined.names],
            "auc_loss": np.where(folds > 0, loss, np.nan),
            "ci_low": np.where(folds > 0, limits[0], np.nan),
            "ci_high": np.where(folds > 0, limits[1], np.nan),
            "folds": folds,
            "r": joined.r.mean(axis=0),
            "null": joined.null.mean(axis=0),
            "network_r": [like[name].r if name in like else np.nan for name in joined.names],
            "network_null": [like[name].null if name in like else np.nan for name in joined.names],
        }
    )
    order = np.argsort(-table["auc_loss"].fillna(-np.inf), kind="stable")
    return table.iloc[order].reset_index(drop=True)


def _loss(wins: np.ndarray, pairs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUC of the first scores less that of each of the others, (C, B), people weighted (B, M)."""
    total = np.einsum("bj,bj->b", weights @ pairs, weights)
    won = np.array([np.einsum("bj,bj->b", weights @ one, weights) for one in wins])
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = won / total
    lost: np.ndarray = auc[0] - auc[1:]
    return lost
