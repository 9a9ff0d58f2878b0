"""How many people a regression of p parameters needs: the criteria of Riley et al. 2018.

Riley RD, Snell KIE, Ensor J, et al. Minimum sample size for developing a multivariable prediction
model: part II, binary and time-to-event outcomes. Stat Med 2019; 38: 1276-96,
doi:10.1002/sim.7992. They are made for regressions, whose parameters can be counted; the weights of
a network cannot be taken for such parameters.
"""

import numpy as np
import pandas as pd

from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.stacking import Design, clinical_lacking

SHRINKAGE = 0.9
OPTIMISM = 0.05
MARGIN = 0.05
MOST = 1000
CRITERIA = (
    "shrinkage of 10 % at most",
    "optimism of Nagelkerke's R² of .05 at most",
    "the share of positives known to ±.05",
)


def cox_snell(auc: float, prevalence: float) -> float:
    """Give the R² of Cox and Snell that goes with an AUC, scores being normal in each class.

    The log odds of such scores are linear in them, so that the gain in log-likelihood is an
    integral (Gauss-Hermite); what `pmsampsize` simulates (Riley et al. 2021,
    doi:10.1002/sim.8806).
    """
    from scipy.special import expit, ndtri

    distance = float(np.sqrt(2) * ndtri(auc))
    node, weight = np.polynomial.hermite_e.hermegauss(80)
    weight = weight / weight.sum()
    prior = np.log(prevalence / (1 - prevalence))
    gain = 0.0
    for share, mean, truth in ((prevalence, distance, 1), (1 - prevalence, 0.0, 0)):
        chance = expit(prior + distance * (node + mean) - distance**2 / 2)
        mine = chance if truth else 1 - chance
        gain += share * float(weight @ np.log(np.maximum(mine, 1e-300)))
    null = prevalence * np.log(prevalence) + (1 - prevalence) * np.log(1 - prevalence)
    return float(1 - np.exp(-2 * (gain - null)))


def people_needed(parameters: int, r2: float, prevalence: float) -> tuple[int, int, int]:
    """Give how many people each of the three `CRITERIA` asks for.

    Parameters
    ----------
    parameters
        Coefficients of the regression, without the intercept.
    r2
        Its R² of Cox and Snell, as it is expected in new people.
    prevalence
        Share of positives.
    """
    null = prevalence * np.log(prevalence) + (1 - prevalence) * np.log(1 - prevalence)
    largest = 1 - np.exp(2 * null)
    second = r2 / (r2 + OPTIMISM * largest)

    def at(shrinkage: float) -> int:
        return int(np.ceil(parameters / ((shrinkage - 1) * np.log(1 - r2 / shrinkage))))

    margin = (1.96 / MARGIN) ** 2 * prevalence * (1 - prevalence)
    return at(SHRINKAGE), at(float(second)), int(np.ceil(margin))


def parameters_borne(people: int, r2: float, prevalence: float) -> int:
    """Give how many parameters a regression on these people may have by the first two criteria."""
    fitting = [p for p in range(1, MOST) if max(people_needed(p, r2, prevalence)[:2]) <= people]
    return max(fitting, default=0)


def riley_words(positives: int, negatives: int, parameters: int, auc: float) -> str:
    """Say what the criteria ask for, and how many parameters these people bear, in sentences.

    Parameters
    ----------
    positives, negatives
        People of each class.
    parameters
        Of the regression; 0 where none is planned.
    auc
        Expected of it.
    """
    people = positives + negatives
    if min(positives, negatives) < 1:
        return "Riley's criteria: too few of a class for anything."
    share = positives / people
    r2 = cox_snell(auc, share)
    borne = parameters_borne(people, r2, share)
    words = (
        f"Riley's criteria (2019, doi:10.1002/sim.7992) for a regression of AUC {auc:.2f} where "
        f"{share:.0%} are positive: {people} people bear {borne} parameter{'s' * (borne != 1)}"
    )
    if parameters:
        needed = people_needed(parameters, r2, share)
        told = ", ".join(f"{n} for {what}" for n, what in zip(needed, CRITERIA, strict=True))
        verdict = "enough" if max(needed) <= people else "too few"
        words += f"; {parameters} need {max(needed)} ({told}): {people} are {verdict}"
    return f"{words}. The weights of a network are no such parameters; its AUC's precision counts."


def regression_parameters(cohort: pd.DataFrame, plan: EvaluationSettings) -> int:
    """Count the parameters of the regression on clinical columns and a network's logit.

    One for each column of numbers, one for each category beyond the first, one for the logit; 0
    where no clinical column is named, or one cannot be used.
    """
    names = plan.clinical or plan.predictors
    if not names or clinical_lacking(cohort, names):
        return 0
    design = Design.of(cohort, names)
    levels = sum(design.table[name].nunique() - 1 for name in design.categories)
    return len(design.numbers) + int(levels) + bool(plan.clinical)
