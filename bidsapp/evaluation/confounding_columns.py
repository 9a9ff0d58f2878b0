"""Networks beside what single columns of scanner, site or of the images' own history predict."""

from collections.abc import Mapping, Sequence

import pandas as pd

from bidsapp.evaluation.baselines import column_scores
from bidsapp.evaluation.comparisons import compare_variants
from bidsapp.evaluation.confounds import confound_check
from bidsapp.evaluation.held_out import HeldOut, held_out, splits_behind
from bidsapp.evaluation.separation import suspects
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.state import RunState


def with_columns(
    confounds: pd.DataFrame,
    cohort: pd.DataFrame,
    state: RunState,
    networks: pd.DataFrame,
    variants: Sequence[str],
    alone: pd.DataFrame,
    plan: EvaluationSettings,
    layouts: Mapping[str, HeldOut],
) -> pd.DataFrame:
    """Compare networks with each column of scanner, site or flag that goes with the outcome, too.

    These comparisons are a family of their own: what was asked for is not corrected for them.

    Parameters
    ----------
    confounds
        `confound_check` of what was asked for.
    cohort
        The cohort table, with its flags (`image_flags.with_flags`).
    state, networks, variants
        Of the run; scores of its networks.
    alone
        `separation_table` of `cohort`.
    plan, layouts
        As `confound_check` and `compare_variants` take them.
    """
    asked = [plan.site] if plan.site and "site" in plan.baselines else []
    scored = column_scores(cohort, state.splits, suspects(alone, asked), plan.base)
    names = [str(name) for name in scored["variant"].drop_duplicates()]
    if not names:
        return confounds
    scores = pd.concat([networks, scored], ignore_index=True)
    pairs = [(variant, name) for variant in variants for name in names]
    layouts = {
        **layouts,
        **{
            str(name): held_out(rows, splits_behind(state.splits, str(name), plan), state.groups)
            for name, rows in scored.groupby("variant", sort=False)
        },
    }
    compared = compare_variants(
        scores, ["delong"], plan.threshold, plan.level, pairs, layouts, names
    )
    found = confound_check(scores, compared, variants, names, plan.level, layouts)
    return pd.concat([confounds, found], ignore_index=True) if len(confounds) else found
