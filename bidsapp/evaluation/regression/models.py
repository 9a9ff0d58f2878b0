"""Logistic and linear regression: estimates with naive errors and with errors clustered by person.

A naive error takes every row as another person. Where people have several rows (visits, knees),
that makes errors too small; the clustered one (Liang & Zeger 1986, doi:10.1093/biomet/73.1.13)
lets the rows of a person go together in whatever way they do. Its tests use t and F with one
degree of freedom less than there are people (Cameron & Miller 2015, doi:10.3368/jhr.50.2.317).
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bidsapp.errors import BadData

Kind = Literal["logistic", "linear"]
INTERCEPT = "intercept"
FEW_PEOPLE = 40
"""With fewer people than this, errors clustered by person are still too small."""
_FARTHEST = 20.0  # log odds of a row by a model that is on its way to infinity


@dataclass(frozen=True)
class Fit:
    """One regression.

    Attributes
    ----------
    names
        Columns of the design, the intercept first.
    estimates
        (k,) log odds ratios per unit (logistic) or change of the outcome per unit (linear).
    errors, p
        (k,) standard errors that take rows as independent, and p of their Wald tests: normal for
        logistic, t for linear regressions.
    log_likelihood
        Of the rows, with the maximum likelihood variance in a linear regression.
    rows, people
        How many there are.
    clustered_covariance
        (k, k) of the estimates, clustered by person; None where every person has one row.
    freedom
        Residual degrees of freedom of the naive tests; infinite for logistic regressions.
    """

    names: tuple[str, ...]
    estimates: np.ndarray
    errors: np.ndarray
    p: np.ndarray
    log_likelihood: float
    rows: int
    people: int
    clustered_covariance: np.ndarray | None
    freedom: float

    @property
    def clustered_errors(self) -> np.ndarray:
        """(k,) standard errors clustered by person; the naive ones where each has one row."""
        if self.clustered_covariance is None:
            return self.errors
        return np.sqrt(np.diag(self.clustered_covariance))

    @property
    def clustered_p(self) -> np.ndarray:
        """(k,) p by t with one degree of freedom less than people; naive where each has one row."""
        from scipy.stats import t

        if self.clustered_covariance is None:
            return self.p
        return 2 * t.sf(np.abs(self.estimates / self.clustered_errors), self.people - 1)

    def interval(self, level: float, clustered: bool) -> tuple[np.ndarray, np.ndarray]:
        """Limits of the estimates, (k,) each, by the naive or the clustered errors."""
        from scipy.stats import t

        by_person = clustered and self.clustered_covariance is not None
        errors = self.clustered_errors if by_person else self.errors
        half = errors * t.ppf(0.5 + level / 2, self.people - 1 if by_person else self.freedom)
        return self.estimates - half, self.estimates + half

    def joint_test(self, names: tuple[str, ...]) -> tuple[float, float]:
        """F of some estimates together by the clustered covariance, and its p.

        Raises
        ------
        ValueError
            Every person has one row: a likelihood-ratio test serves.
        """
        from scipy.stats import f

        if self.clustered_covariance is None:
            raise ValueError("nothing is clustered")
        chosen = [self.names.index(name) for name in names]
        values = self.estimates[chosen]
        covariance = self.clustered_covariance[np.ix_(chosen, chosen)]
        statistic = float(values @ np.linalg.solve(covariance, values)) / len(chosen)
        return statistic, float(f.sf(statistic, len(chosen), self.people - 1))


def fit_regression(
    kind: Kind,
    outcome: np.ndarray,
    design: np.ndarray,
    names: tuple[str, ...],
    person: np.ndarray | None = None,
) -> Fit:
    """Fit a regression with an intercept by maximum likelihood, without a penalty.

    Parameters
    ----------
    kind
        ``logistic`` for outcomes 0 and 1, ``linear`` for numbers.
    outcome
        (n,).
    design
        (n, k - 1) without the intercept.
    names
        Of its columns.
    person
        (n,) whose row it is; absent, each row is another person's.

    Raises
    ------
    BadData
        Too few rows; one class only; columns that say the same; classes that a column tells apart
        completely, so that no estimate is finite.
    """
    y = np.asarray(outcome, float)
    X = np.column_stack([np.ones(len(y)), np.asarray(design, float).reshape(len(y), -1)])
    _require_rank(X, (INTERCEPT, *names))
    groups = np.unique(person, return_inverse=True)[1] if person is not None else np.arange(len(y))
    people = int(groups.max()) + 1
    if len(y) <= X.shape[1] + 1 or people < 2:
        raise BadData(
            f"{len(y)} complete rows of {people} people are too few for {X.shape[1]} estimates."
        )
    found = _logistic(y, X) if kind == "logistic" else _linear(y, X)
    covariance = None
    if people < len(y):
        from statsmodels.stats.sandwich_covariance import cov_cluster

        covariance = np.asarray(cov_cluster(found, groups))
    return Fit(
        names=(INTERCEPT, *names),
        estimates=np.asarray(found.params),
        errors=np.asarray(found.bse),
        p=np.asarray(found.pvalues),
        log_likelihood=float(found.llf),
        rows=len(y),
        people=people,
        clustered_covariance=covariance,
        freedom=np.inf if kind == "logistic" else float(found.df_resid),
    )


def _require_rank(X: np.ndarray, names: tuple[str, ...]) -> None:
    """Refuse columns that the columns before them, scaled to one length, give already."""
    length = np.linalg.norm(X, axis=0)
    scaled = X / np.where(length > 0, length, 1)
    for last in range(1, X.shape[1] + 1):
        if np.linalg.matrix_rank(scaled[:, :last]) < last:
            raise BadData(
                f"Column {names[last - 1]!r} is constant, or follows from the columns before it "
                f"({', '.join(names[1 : last - 1]) or 'none'}) on the rows without a missing "
                "value; leave it out."
            )


def _logistic(y: np.ndarray, X: np.ndarray) -> Any:
    from statsmodels.discrete.discrete_model import Logit

    if not (y.any() and (1 - y).any()):
        raise BadData("The outcome has one class only among the rows without a missing value.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels warns of what is refused below
        try:
            found = Logit(y, X).fit(disp=0, maxiter=200)
        except np.linalg.LinAlgError:
            raise ToldApart(_APART) from None
    fine = found.mle_retvals["converged"] and np.isfinite(found.bse).all()
    if not fine or np.abs(X @ found.params).max() > _FARTHEST:
        raise ToldApart(_APART)
    return found


class ToldApart(BadData):
    """Columns tell the two classes apart completely: no estimate, and so no test, is finite."""


def _linear(y: np.ndarray, X: np.ndarray) -> Any:
    from statsmodels.regression.linear_model import OLS

    if np.ptp(y) == 0:
        raise BadData("The outcome is the same in all rows without a missing value.")
    return OLS(y, X).fit()


_APART = (
    "A column tells the two classes of the outcome apart completely, or for some of its values: "
    "a logistic regression has no finite estimates. Leave out the column that says the outcome in "
    "other words, or join rare categories."
)
