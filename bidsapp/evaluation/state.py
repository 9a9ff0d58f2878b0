"""The state files of a run: read, checked against one another, refused by line."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bidsapp.contracts.abstention import SIGNALS
from bidsapp.contracts.modality_tables import quality_columns
from bidsapp.contracts.unit import unit_columns, with_part
from bidsapp.dataset.covariates import user_name, users_columns
from bidsapp.errors import BadData
from bidsapp.evaluation.state_checks import (
    check_complete,
    check_folds,
    integers,
    probabilities,
    refuse_duplicates,
    refuse_strangers,
    refuse_where,
)
from bidsapp.evaluation.tsv import is_missing, read_table
from bidsapp.recipes.known_names import HANDCRAFTED
from bidsapp.training.columns import LEARNING, ROLES, SCORES, SPLITS
from bidsapp.training.splits_file import splits_of

STAMPS = ("leak", "simulated")
_BY_THE_HUNDRED = ("region_", HANDCRAFTED)


def choices(columns: Iterable[str]) -> str:
    """List the columns that a person may have meant: not who it is, nor measures by the hundred."""
    there = [user_name(c) for c in users_columns(columns) if not c.startswith(_BY_THE_HUNDRED)]
    return f"there are {', '.join(there)}" if there else "it has no covariates"


@dataclass(frozen=True)
class RunState:
    """What a group run left behind, checked.

    Attributes
    ----------
    folder
        ``<output_dir>/group/<run label>``.
    cohort
        One row per unit (participant, session and, where scans have parts, part): text, `outcome`
        as int 0/1, covariates as text.
    exclusions
        Who is not in the cohort and why; empty where the file is absent.
    splits
        `repeat` and `fold` as int, `participant_id`, `role`; where variants have splits of their
        own, `variant`.
    scores
        Held-out scores: `repeat`, `fold`, `outcome` as int, `probability` as float in 0..1.
    measures
        Numbers of every scan of the cohort, in its order: quality, regions; None where the run
        has none.
    inner
        Scores of the people of inner splits, as `scores`; None where the run has none.
    crossfit
        Scores of each fold's training people by networks that did not see them, as `scores` with
        `inner`, the inner fold; None where the run has none.
    distances
        How far held-out people are from those that their fold was trained on: `variant`, unit,
        `repeat`, `fold`, and a column for each signal; None where the run has none.
    """

    folder: Path
    cohort: pd.DataFrame
    exclusions: pd.DataFrame
    splits: pd.DataFrame
    scores: pd.DataFrame
    measures: pd.DataFrame | None = None
    inner: pd.DataFrame | None = None
    crossfit: pd.DataFrame | None = None
    distances: pd.DataFrame | None = None

    @property
    def measured(self) -> pd.DataFrame:
        """The cohort with its measures beside the covariates.

        A region of the user's takes the place of one of the same name. The quality of an image is
        always what the app itself says of it.
        """
        if self.measures is None:
            return self.cohort
        new = [
            name for name in self.measures if name not in self.cohort or name in quality_columns()
        ]
        old = [name for name in self.cohort if name not in new]
        return pd.concat([self.cohort[old], self.measures[new]], axis=1)

    @property
    def groups(self) -> dict[str, str] | None:
        """Participant to the group that is never divided; None where the run had none."""
        if "group" not in self.cohort:
            return None
        known = self.cohort[~self.cohort["group"].map(is_missing)]
        return dict(zip(known["participant_id"], known["group"], strict=True)) or None

    @property
    def covariates(self) -> list[str]:
        """Columns of the cohort table beyond those that the group level itself writes."""
        return users_columns(self.cohort.columns)


def read_state(folder: Path) -> RunState:
    """Read `cohort.tsv`, `exclusions.tsv`, `splits.tsv` and `scores.tsv` and check them.

    Raises
    ------
    NoInput
        A file is missing.
    BadData
        A value, a row or the agreement between files is wrong; the message names file and line.
    """
    folder = Path(folder)
    cohort = _read_cohort(folder / "cohort.tsv")
    splits = _read_splits(folder / "splits.tsv", cohort)
    scores = _read_scores(folder / "scores.tsv", cohort)
    check_folds(folder / "scores.tsv", scores, splits)
    check_complete(folder, scores, splits, cohort)
    excluded = folder / "exclusions.tsv"
    exclusions = (
        read_table(excluded, ["participant_id"])
        if excluded.is_file()
        else pd.DataFrame(columns=pd.Index([*unit_columns(cohort), "reason"]))
    )
    measures = _read_measures(folder / "measures.tsv", cohort)
    path = folder / "inner_scores.tsv"
    inner = _typed_scores(path, cohort, (), ("fold",)) if path.is_file() else None
    crossfit = read_crossfit(folder, cohort, splits)
    apart = _read_distances(folder / "distances.tsv", cohort)
    return RunState(folder, cohort, exclusions, splits, scores, measures, inner, crossfit, apart)


def read_applied(folder: Path) -> RunState:
    """Read the files of a run in which nothing was trained: a model applied to new people.

    There are no splits: nobody of them was seen by the model. Files of a run that trained are read
    too, without theirs.

    Raises
    ------
    NoInput, BadData
        As `read_state`.
    """
    folder = Path(folder)
    cohort = _read_cohort(folder / "cohort.tsv")
    scores = _read_scores(folder / "scores.tsv", cohort)
    nobody = pd.DataFrame(columns=pd.Index(SPLITS))
    measures = _read_measures(folder / "measures.tsv", cohort)
    excluded = folder / "exclusions.tsv"
    exclusions = read_table(excluded, ["participant_id"]) if excluded.is_file() else nobody
    return RunState(folder, cohort, exclusions, nobody, scores, measures)


def _read_cohort(path: Path) -> pd.DataFrame:
    cohort = read_table(path, ("participant_id", "session_id", "outcome"))
    refuse_duplicates(path, cohort, unit_columns(cohort))
    return cohort.assign(outcome=integers(path, cohort, "outcome", (0, 1)))


def _read_splits(path: Path, cohort: pd.DataFrame) -> pd.DataFrame:
    splits = read_table(path, SPLITS)
    refuse_strangers(path, splits, cohort, ["participant_id"])
    refuse_where(path, splits, ~splits["role"].isin(ROLES), "role", f"expected one of {ROLES}")
    splits = splits.assign(
        repeat=integers(path, splits, "repeat"), fold=integers(path, splits, "fold")
    )
    variant = ["variant"] if "variant" in splits else []
    refuse_duplicates(path, splits, [*variant, "repeat", "fold", "participant_id"])
    return splits


def _read_measures(path: Path, cohort: pd.DataFrame) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    key = unit_columns(cohort)
    table = read_table(path, key)
    refuse_strangers(path, table, cohort, key)
    refuse_duplicates(path, table, key)
    rows = table.set_index(key).reindex(pd.MultiIndex.from_frame(cohort[key]))
    absent = rows.isna().all(axis=1).to_numpy()
    if len(rows.columns) and absent.any():
        who = " ".join(cohort[key].loc[cohort.index[absent][0]])
        raise BadData(f"{path}: {who!r} of cohort.tsv has no row; rerun the group level")
    return rows.set_axis(cohort.index)


def _read_distances(path: Path, cohort: pd.DataFrame) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    key = unit_columns(cohort)
    table = read_table(path, ["variant", *key, "repeat", "fold"])
    refuse_strangers(path, table, cohort, key)
    refuse_duplicates(path, table, ["variant", *key, "repeat", "fold"])
    numbers = {
        name: pd.to_numeric(table[name], errors="coerce") for name in SIGNALS if name in table
    }
    places = {name: integers(path, table, name) for name in ("repeat", "fold")}
    return table.assign(**places, **numbers)


def _read_scores(path: Path, cohort: pd.DataFrame) -> pd.DataFrame:
    scores = _typed_scores(path, cohort, ())
    key = unit_columns(cohort)
    known = cohort.set_index(key)["outcome"]
    truth = known.reindex(pd.MultiIndex.from_frame(scores[key])).to_numpy()
    refuse_where(
        path, scores, scores["outcome"] != truth, "outcome", "cohort.tsv has the other outcome"
    )
    return scores


def read_permuted_scores(path: Path, cohort: pd.DataFrame) -> pd.DataFrame:
    """Read held-out scores of models that were trained on permuted outcomes.

    Returns
    -------
    pandas.DataFrame
        `permutation` and the columns of `scores.tsv`; `outcome` is the permuted one.

    Raises
    ------
    BadData
        A value or row is wrong; the message names file and line.
    """
    scores = _typed_scores(path, cohort, ("permutation",))
    return scores.assign(permutation=integers(path, scores, "permutation"))


def read_crossfit(folder: Path, cohort: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame | None:
    """Read `crossfit_scores.tsv`, and refuse a score by a network that saw whom it scores.

    Returns
    -------
    pandas.DataFrame or None
        `inner` and the columns of `scores.tsv`; None where the run has no such file.

    Raises
    ------
    BadData
        A value or row is wrong; a person is scored in a fold that does not train on them, or by a
        network that `crossfit_splits.tsv` has trained on them. The message names file and line.
    """
    path, inside = folder / "crossfit_scores.tsv", folder / "crossfit_splits.tsv"
    if not path.is_file():
        return None
    scores = _typed_scores(path, cohort, ("inner",), ("fold",))
    scores = scores.assign(inner=integers(path, scores, "inner"))
    own = read_table(inside, ("variant", "repeat", "fold", "inner", "participant_id", "role"))
    own = own.assign(**{name: integers(inside, own, name) for name in ("repeat", "fold", "inner")})
    tested = own[own["role"] == "test"]
    key = ["variant", "repeat", "fold", "inner", "participant_id"]
    apart = pd.MultiIndex.from_frame(scores[key]).isin(pd.MultiIndex.from_frame(tested[key]))
    for variant, rows in scores.groupby("variant", sort=False):
        learned = splits_of(splits, str(variant))
        learned = learned[learned["role"].isin(LEARNING)]
        there = pd.MultiIndex.from_frame(learned[key[1:3] + key[4:]])
        inner = pd.MultiIndex.from_frame(rows[key[1:3] + key[4:]]).isin(there)
        wrong = ~(inner & apart[scores["variant"] == variant])
        if wrong.any():
            row = rows[wrong].iloc[0]
            raise BadData(
                f"{path}: line {rows.index[wrong][0]}: {row['participant_id']} is scored by inner "
                f"network {row['inner']} of repeat {row['repeat']}, fold {row['fold']}, which does "
                "not hold them out; rerun the group level"
            )
    return scores


def _typed_scores(
    path: Path, cohort: pd.DataFrame, extra: tuple[str, ...], within: tuple[str, ...] = ()
) -> pd.DataFrame:
    # the stamps are for people who open the file: they are worked out from the recipe anew
    key = unit_columns(cohort)
    needed = with_part(SCORES, key)
    scores = read_table(path, (*extra, *needed), optional=STAMPS).drop(
        columns=list(STAMPS), errors="ignore"
    )
    if scores.empty:
        raise BadData(f"{path}: line 2: no scores; rerun the group level")
    refuse_where(path, scores, scores["variant"] == "", "variant", "expected a name")
    scores = scores.assign(
        repeat=integers(path, scores, "repeat"),
        fold=integers(path, scores, "fold"),
        outcome=integers(path, scores, "outcome", (0, 1)),
        probability=probabilities(path, scores),
    )
    refuse_strangers(path, scores, cohort, key)
    refuse_duplicates(path, scores, [*extra, *key, "variant", "repeat", *within])
    return scores
