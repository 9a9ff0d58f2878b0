"""The models without a network: what each is, what columns it takes, how it is fitted in a fold."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.modality_tables import quality_columns
from bidsapp.dataset.covariates import user_name, users_column, users_columns
from bidsapp.evaluation.connectome import PREFIX, TangentClassifier
from bidsapp.evaluation.tsv import is_missing, numeric
from bidsapp.recipes.known_names import HANDCRAFTED

_SEED = 0


def _majority() -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=1000)


def _ridge() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=0.01, max_iter=2000)


def _connectome() -> Any:
    return TangentClassifier(_ridge())


def _mild_ridge() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=0.1, max_iter=2000)


def _random_forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=300, n_jobs=1, random_state=_SEED)


def _xgboost() -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(
        n_estimators=200,
        max_depth=3,
        learning_rate=0.05,
        subsample=0.8,
        colsample_bytree=0.8,
        n_jobs=1,
        random_state=_SEED,
    )


@dataclass(frozen=True)
class Baseline:
    """One model without a network.

    Attributes
    ----------
    estimator
        Makes an unfitted scikit-learn classifier.
    columns
        Picks its columns of the cohort table from (all columns, predictors, site): those that the
        user names by `users_column`, else by the names that the user has for them. A name that
        nothing has is given as it is.
    confound
        Whether it knows nothing of the illness: if it predicts, the network may predict by it.
    needs
        What it needs, for the message where that is missing.
    by_name
        Whether the recipe names its columns: then none may be one of the app's own.
    scan
        Whether its columns are measured in the scan.
    as_is
        Whether its estimator is given the columns as they are, neither filled in nor scaled.
    """

    estimator: Callable[[], Any]
    columns: Callable[[Sequence[str], Sequence[str], str | None], list[str]]
    confound: bool = False
    needs: str = ""
    by_name: bool = False
    scan: bool = False
    as_is: bool = False


def _predictors(columns: Sequence[str], predictors: Sequence[str], _site: str | None) -> list[str]:
    return [users_column(columns, name) or name for name in predictors]


def _age_sex(columns: Sequence[str], _predictors: Sequence[str], _site: str | None) -> list[str]:
    return [
        name
        for name in users_columns(columns)
        if user_name(name).lower() in ("age", "sex", "gender")
    ]


# A user's own columns of how much a head moved; motion_sickness is none.
_MOTION = re.compile(r"(framewise_displacement|motion_(fd|mean|max|rms)).*", re.IGNORECASE)
# Of regions the numbered ones too, which the measures of an atlas brought along are called.
_REGION = re.compile(r"region_((intensity|volume|connectivity)_.+|\d+)")


def _quality(columns: Sequence[str], _predictors: Sequence[str], _site: str | None) -> list[str]:
    return [name for name in columns if name in quality_columns() or _MOTION.fullmatch(name)]


def _motion(columns: Sequence[str], _predictors: Sequence[str], _site: str | None) -> list[str]:
    return [name for name in columns if name == "quality_fd_mean" or _MOTION.fullmatch(name)]


def _regions(columns: Sequence[str], _predictors: Sequence[str], _site: str | None) -> list[str]:
    return [name for name in columns if _REGION.fullmatch(name)]


def _connectivity(
    columns: Sequence[str], _predictors: Sequence[str], _site: str | None
) -> list[str]:
    return [name for name in columns if name.startswith(PREFIX)]


def _handcrafted(
    columns: Sequence[str], _predictors: Sequence[str], _site: str | None
) -> list[str]:
    return [name for name in columns if name.startswith(HANDCRAFTED)]


def _site(columns: Sequence[str], _predictors: Sequence[str], site: str | None) -> list[str]:
    return [users_column(columns, site) or site] if site else []


def _nothing(_columns: Sequence[str], _predictors: Sequence[str], _site: str | None) -> list[str]:
    return []


_FEATURES = f"columns {HANDCRAFTED}* in measures.tsv or cohort.tsv"
_ASK = "columns named under evaluation.predictors"
BASELINES = {
    "majority": Baseline(_majority, _nothing),
    "age_sex": Baseline(_logistic, _age_sex, needs="columns age and sex in the cohort table"),
    "logistic": Baseline(_logistic, _predictors, needs=_ASK, by_name=True),
    "random_forest": Baseline(_random_forest, _predictors, needs=_ASK, by_name=True),
    "xgboost": Baseline(_xgboost, _predictors, needs=_ASK, by_name=True),
    "regions": Baseline(
        _ridge, _regions, needs="columns region_* in measures.tsv or cohort.tsv", scan=True
    ),
    "connectome": Baseline(
        _connectome,
        _connectivity,
        needs=f"columns {PREFIX}* in measures.tsv, which are measured of series",
        scan=True,
        as_is=True,
    ),
    "handcrafted": Baseline(_mild_ridge, _handcrafted, needs=_FEATURES, scan=True),
    "handcrafted_forest": Baseline(_random_forest, _handcrafted, needs=_FEATURES, scan=True),
    "quality": Baseline(
        _logistic,
        _quality,
        confound=True,
        needs="columns quality, quality_* or motion_mean* in measures.tsv or cohort.tsv",
        scan=True,
    ),
    "motion": Baseline(
        _logistic,
        _motion,
        confound=True,
        needs="columns quality_fd_mean, framewise_displacement* or motion_mean* in measures.tsv "
        "or cohort.tsv",
        scan=True,
    ),
    "site": Baseline(
        _logistic,
        _site,
        confound=True,
        needs="a column named under evaluation.site",
        by_name=True,
    ),
}


def does_without(name: str) -> str:
    """Say what a baseline does without: the scan, or only a network that looks at it."""
    own = BASELINES.get(name.rpartition("/")[2])
    return "which needs the scan and no network" if own and own.scan else "which needs no scan"


def design_table(
    cohort: pd.DataFrame, columns: Sequence[str]
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Text columns as numbers where all or nearly all their values are, else as categories.

    Returns
    -------
    table, numbers, categories
        The typed columns, and the names of each kind. Without any column the table has one
        constant column, so that a model of the intercept alone can be fitted.
    """
    typed: dict[str, Any] = {}
    numbers, categories = [], []
    for name in columns:
        values = numeric(cohort[name])
        if values is None:
            categories.append(name)
            typed[name] = ["missing" if is_missing(v) else str(v) for v in cohort[name]]
        else:
            numbers.append(name)
            typed[name] = values.to_numpy()
    if not columns:
        typed, numbers = {"intercept": np.ones(len(cohort))}, ["intercept"]
    return pd.DataFrame(typed, index=cohort.index), numbers, categories


def in_fold_model(
    model: Any, numbers: Sequence[str], categories: Sequence[str], fewest: int | None = None
) -> Any:
    """Wrap a classifier so that imputation, encoding and scaling are fitted with it.

    Numbers: median, with a column that says where one was missing, then unit variance.
    Categories: one column each; values unseen in training are all zeros. With `fewest`, those of
    fewer training rows share a column, and unseen ones are counted among them.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    steps: Mapping[str, tuple[Any, list[str]]] = {
        "numbers": (make_pipeline(fill, StandardScaler()), list(numbers)),
        "categories": (
            OneHotEncoder(
                handle_unknown="ignore" if fewest is None else "infrequent_if_exist",
                min_frequency=fewest,
                sparse_output=False,
            ),
            list(categories),
        ),
    }
    return make_pipeline(
        ColumnTransformer(
            [(name, step, chosen) for name, (step, chosen) in steps.items() if chosen]
        ),
        model,
    )
