"""What each network of a run adds to the clinical columns, or to another network: tables, words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.fitted import leaking, stamp_text
from bidsapp.drawing.wording import joined
from bidsapp.errors import BadData
from bidsapp.evaluation.added_value import COLUMNS, TEST, added_value, reclassified
from bidsapp.evaluation.comparisons import holm
from bidsapp.evaluation.held_out import HeldOut
from bidsapp.evaluation.settings import CLINICAL, WITH_IMAGE, EvaluationSettings
from bidsapp.evaluation.stacking import Stack, clinical_lacking, stacked_scores, with_image
from bidsapp.evaluation.state import RunState
from bidsapp.evaluation.verdicts import ALPHA, verdict
from bidsapp.training.splits_file import splits_of

NO_INDEX = (
    "No net reclassification index is given: it rises with markers that tell nothing, and its "
    "tests call them useful (Hilden & Gerds 2014, doi:10.1002/sim.5804; Pepe et al. 2015, "
    "doi:10.1007/s12561-014-9118-0)."
)
SHOWN = "shown to add to what is known"
ADDS, TELLS, NOTHING, WORSE, UNKNOWN = "adds", "tells something", "not shown", "worse", "unknown"
"""What is found of an added value."""
TABLE = (*COLUMNS[:-2], "p_holm", "n", "beyond", "found", "note")


@dataclass(frozen=True)
class Added:
    """The added value that a run measured.

    Attributes
    ----------
    table
        Columns `TABLE`: for each pair of models a row of every measure; `found` in the row of the
        AUC.
    scores
        Held-out scores of the clinical and the stacked models, in the columns of `scores.tsv`.
    reclassification
        Who changes the class of risk, by outcome, for each pair.
    skipped
        What was asked for and could not be had -> why.
    """

    table: pd.DataFrame
    scores: pd.DataFrame
    reclassification: pd.DataFrame
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Tables to write, by name; none where nothing was measured."""
        if self.table.empty:
            return {}
        return {
            "added_value": self.table,
            "added_value_scores": self.scores,
            "reclassification": self.reclassification,
        }


def added_values(
    state: RunState, plan: EvaluationSettings, layouts: Mapping[str, HeldOut]
) -> Added:
    """Fit the clinical and the stacked models of a run, and measure what each network adds.

    Parameters
    ----------
    state
        The run.
    plan
        Its settings; ``clinical`` and ``stack`` say what is asked for.
    layouts
        How the people of each variant were held out.

    Returns
    -------
    Added
        Empty where nothing was asked for.
    """
    work = _Work(state, plan, layouts)
    scored = [str(name) for name in state.scores["variant"].drop_duplicates()]
    if plan.clinical:
        why = clinical_lacking(state.measured, plan.clinical)
        if why:
            work.skipped["added value"] = why
        else:
            for name in scored:
                work.beyond_clinic(name)
    for name, members in plan.stack.items():
        if set(members) <= set(scored):
            work.beyond_first(name, members)
    return work.result()


class _Work:
    """The models and pairs of a run, as they come."""

    def __init__(
        self, state: RunState, plan: EvaluationSettings, layouts: Mapping[str, HeldOut]
    ) -> None:
        self.state, self.plan, self.layouts = state, plan, layouts
        self.scores: dict[str, pd.DataFrame] = {}
        self.gains: list[pd.DataFrame] = []
        self.changed: list[pd.DataFrame] = []
        self.skipped: dict[str, str] = {}

    def beyond_clinic(self, name: str) -> None:
        """Measure what a network adds to the clinical columns."""
        plan = self.plan
        own = "variant" in self.state.splits and name != plan.base
        clinical = f"{name}/{CLINICAL}" if own else CLINICAL
        one = Stack(clinical, plan.clinical, (), plan.clinical_model)
        both = Stack(with_image(name), plan.clinical, (name,), plan.clinical_model)
        self._pair(one, both, name, (name,), joined([_plain(c) for c in plan.clinical]))

    def beyond_first(self, name: str, members: Sequence[str]) -> None:
        """Measure what the other networks of a stack add to the first."""
        smaller = self.state.scores[self.state.scores["variant"] == members[0]]
        self.scores.setdefault(members[0], smaller)
        one = Stack(members[0], (), (members[0],))
        self._pair(one, Stack(name, (), tuple(members)), members[0], members[1:], members[0])

    def _pair(
        self, one: Stack, both: Stack, variant: str, added: Sequence[str], beyond: str
    ) -> None:
        try:
            for stack in (one, both):
                if stack.name not in self.scores:
                    self.scores[stack.name] = self._fitted(stack, variant)
        except BadData as error:
            self.skipped[f"added value of {joined(list(added))}"] = str(error)
            return
        smaller, larger = self.scores[one.name], self.scores[both.name]
        image = self.state.scores[self.state.scores["variant"].isin(list(added))]
        how = self.layouts[variant]
        limits = self.plan.net_benefit_range
        gains = added_value(smaller, larger, image, how, limits, self.plan.level)
        about = {"first": one.name, "second": both.name}
        self.gains.append(gains.assign(**about, beyond=beyond))
        self.changed.append(reclassified(smaller, larger, limits).assign(**about))

    def _fitted(self, stack: Stack, variant: str) -> pd.DataFrame:
        crossfit = self.state.crossfit
        there = set() if crossfit is None else set(crossfit["variant"])
        lacking = [name for name in stack.variants if name not in there]
        if lacking:
            raise BadData(
                f"there are no scores of training people by inner networks of {joined(lacking)} "
                "(crossfit_scores.tsv); run the group level again, which keeps what is trained"
            )
        splits = splits_of(self.state.splits, variant)
        known = self.state.scores if crossfit is None else crossfit
        return stacked_scores(self.state.measured, splits, stack, self.state.scores, known)

    def result(self) -> Added:
        """Put tables together; p is corrected for the pairs of a measure."""
        empty = pd.DataFrame(columns=pd.Index(TABLE))
        if not self.gains:
            return Added(empty, empty, empty, self.skipped)
        table = pd.concat(self.gains, ignore_index=True)
        table["p_holm"] = np.nan
        for measure in ("auc", TEST):
            chosen = table["measure"] == measure
            table.loc[chosen, "p_holm"] = holm(table.loc[chosen, "p"].to_numpy(dtype=float))
        table["found"] = ""
        for _, rows in table.groupby(["first", "second"], sort=False):
            place = rows.index[rows["measure"] == "auc"]
            table.loc[place, "found"] = found_of(rows)
        networks = set(self.state.scores["variant"])
        mine = [rows for name, rows in self.scores.items() if name not in networks]
        changed = pd.concat(self.changed, ignore_index=True)
        columns = ["first", "second", *[c for c in changed if c not in ("first", "second")]]
        return Added(
            table[list(TABLE)],
            pd.concat(mine, ignore_index=True),
            changed[columns],
            self.skipped,
        )


def found_of(rows: pd.DataFrame) -> str:
    """Say what was found of one pair, from its rows.

    `ADDS` where the interval of the gain in AUC lies above 0 and its corrected p is below .05;
    `TELLS` where only the likelihood-ratio test finds something; `WORSE` where the interval lies
    below 0; else `NOTHING`, or `UNKNOWN` without an interval.
    """
    by_measure = {row["measure"]: row for row in rows.to_dict("records")}
    auc, test = by_measure["auc"], by_measure[TEST]
    shown = verdict(auc["ci_low"], auc["ci_high"], auc["p_holm"])
    if shown == "cannot be told":
        return UNKNOWN
    if shown == "better":
        return ADDS
    if shown == "worse":
        return WORSE
    return TELLS if test["p_holm"] < ALPHA and auc["gain"] > 0 else NOTHING


def added_sentences(added: pd.DataFrame, plan: EvaluationSettings) -> list[str]:
    """Say what each network adds, a sentence for each pair.

    Parameters
    ----------
    added
        `Added.table`, or that table as it is read from the run's folder, with its numbers.
    plan
        Of the run: names and leaks of its variants.
    """
    pairs = added.groupby(["first", "second"], sort=False)
    several = sum(CLINICAL in str(first) for (first, _), _ in pairs) > 1
    return [added_sentence(rows, plan, named=several) for _, rows in pairs]


def added_sentence(rows: pd.DataFrame, plan: EvaluationSettings, *, named: bool) -> str:
    """Say what one pair of models shows, from its rows.

    Parameters
    ----------
    named
        Whether the network is named, as there are several.
    """
    by_measure = {row["measure"]: row for row in rows.to_dict("records")}
    auc, test = by_measure["auc"], by_measure[TEST]
    second = str(auc["second"])
    if second in plan.stack:
        subject = joined(list(plan.stack[second][1:]))
        verb = "add" if len(plan.stack[second]) > 2 else "adds"
    else:
        name = second.removeprefix(WITH_IMAGE)
        subject, verb = f"the scan ({name})" if named else "the scan", "adds"
    text = f"Beyond {auc['beyond']} {subject} {verb} {_signed(auc['gain'])} AUC"
    if np.isfinite([auc["ci_low"], auc["ci_high"]]).all():
        text += f" ({_signed(auc['ci_low'])} to {_signed(auc['ci_high'])})"
    stamp = stamp_text(leaking(plan.of(second).leaks, "scores"))
    if stamp:
        sure = stamp.startswith("LEAK: ")
        why = "as held-out people were seen" if sure else "unless held-out people were not seen"
        return f"{text}: which shows nothing, {why} ({stamp.partition(':')[0]})."
    return f"{text}: {_found_words(str(auc['found']), auc, test)}."


def _found_words(found: str, auc: Mapping[Any, Any], test: Mapping[Any, Any]) -> str:
    if found == ADDS:
        return SHOWN
    if found == TELLS:
        return (
            "it tells something that is not known without it (likelihood-ratio test, p = "
            f"{test['p_holm']:.2g}), but a better forecast is not shown"
        )
    if found == WORSE:
        return "the forecast is worse with it"
    if found == UNKNOWN:
        return f"whether it adds anything cannot be told ({auc['note']})"
    return "not shown to add anything"


def _plain(column: str) -> str:
    return column.replace("_", " ")


def _signed(value: float) -> str:
    text = f"{value:.2f}"
    return f"\N{MINUS SIGN}{text[1:]}" if text.startswith("-") and float(text) else text.lstrip("-")
