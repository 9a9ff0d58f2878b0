"""What site alone tells, and what harmonisation in the fold leaves of it in regional values."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bidsapp.dataset.covariates import users_column
from bidsapp.dataset.groups import one_spelling
from bidsapp.errors import BadData
from bidsapp.evaluation.baseline_models import BASELINES
from bidsapp.evaluation.chance import CHANCE
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.state import RunState
from bidsapp.evaluation.tsv import is_missing
from bidsapp.representation.combat import fit_sites

COLUMNS = ("told", "by", "harmonised", "auc", "n", "note")
FOLDS = 5
FEWEST = 10
"""People of a site that takes part."""


def site_table(state: RunState, plan: EvaluationSettings) -> pd.DataFrame:
    """Tell site and outcome by regional values, as they are and harmonised in the fold.

    Regional values are harmonised by ComBat (`combat.fit_sites`), fitted on the training people of
    each of `FOLDS` folds, which are drawn for this table (stratified by what is told). Site is told
    by a ridge regression of regional values, outcome by that and by the site alone.

    Parameters
    ----------
    state
        Of a run; its measures hold the regional values.
    plan
        Its ``site`` names the column.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`: AUC over held-out people, of several sites the mean of each against the
        rest; .5 is chance. Empty where no site is named, or fewer than two have `FEWEST` people.
    """
    nothing = pd.DataFrame(columns=pd.Index(COLUMNS))
    cohort = state.measured.drop_duplicates("participant_id")
    column = users_column(map(str, cohort.columns), plan.site) if plan.site else None
    if column is None:
        return nothing
    texts = cohort[column].map(lambda text: "" if is_missing(text) else one_spelling(str(text)))
    sizes = texts[texts != ""].value_counts()
    kept = texts.isin(sizes.index[sizes >= FEWEST])
    if (sizes >= FEWEST).sum() < 2 or cohort.loc[kept, "outcome"].nunique() < 2:
        return nothing
    own = cohort[kept]
    names, site = np.unique(texts[kept], return_inverse=True)
    outcome = own["outcome"].to_numpy(int)
    values = _regions(own)
    rows = [("outcome", "site", "", _told(np.eye(len(names))[site], outcome, None, plan.seed))]
    for what, truth in (("site", site), ("outcome", outcome)) if values.shape[1] else ():
        for label, sites in (("no", None), ("yes", site)):
            rows.append((what, "regional values", label, _told(values, truth, sites, plan.seed)))
    left = len(cohort) - len(own)
    about = f"{len(names)} sites of {FEWEST} people or more"
    about += f"; {left} people of others are left out" if left else ""
    table = []
    for told, by, label, (auc, why) in rows:
        low = by == "site" and auc < CHANCE
        below = "below .5 as every fold has the same share of positives" if low else ""
        notes = "; ".join(filter(None, [why, below, about]))
        table.append((told, by, label, auc, len(own), notes))
    return pd.DataFrame(table, columns=pd.Index(COLUMNS))


def _regions(people: pd.DataFrame) -> np.ndarray:
    """(n, V) regional values that everybody has."""
    columns = BASELINES["regions"].columns(list(map(str, people.columns)), (), None)
    numbers = people[columns].apply(pd.to_numeric, errors="coerce")
    whole = numbers.loc[:, numbers.notna().all() & (numbers.nunique() > 1)]
    return whole.to_numpy(float)


def _told(
    values: np.ndarray, truth: np.ndarray, site: np.ndarray | None, seed: int
) -> tuple[float, str]:
    """AUC of what is told of held-out people; NaN with the reason where it cannot be."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if np.bincount(truth).min() < FOLDS:
        return float("nan"), f"fewer than {FOLDS} people of a class"
    chance = np.zeros((len(truth), truth.max() + 1))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(values, truth)
    for train, test in folds:
        try:
            given = values if site is None else _harmonised(values, site, train)
        except BadData as error:
            return float("nan"), str(error)
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
        chance[test] = model.fit(given[train], truth[train]).predict_proba(given[test])
    several = chance.shape[1] > 2
    found = roc_auc_score(truth, chance if several else chance[:, 1], multi_class="ovr")
    return float(found), ""


def _harmonised(values: np.ndarray, site: np.ndarray, train: Sequence[int]) -> np.ndarray:
    """Harmonise everybody by what the training people of a fold tell."""
    known = np.bincount(site[train], minlength=site.max() + 1)
    if known.min() < 2:
        raise BadData("a site has fewer than two training people in a fold")
    rows, none = values[train], np.zeros((len(values), 0))
    found = fit_sites(lambda: rows, site[train], none[train], [slice(0, values.shape[1])])
    made = [found.harmonised(v, int(s), n) for v, s, n in zip(values, site, none, strict=True)]
    return np.array(made)
