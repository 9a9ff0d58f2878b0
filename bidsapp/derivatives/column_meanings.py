"""What a column holds, and the words for the columns that many tables of a run share.

Each ``*_meanings`` beside this file has a dictionary of tables, which `dictionaries` gathers and
writes. A key is a table's name without ``.tsv``; tables in a folder of the run stand with
that folder before them. A ``*`` stands for any letters. What a table does not say itself is
looked up in `SHARED`, unless the table takes any column (``*``), whose name may be that of a shared
one by chance.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """One column: what it holds, its unit, and what its values mean where they are words."""

    description: str
    units: str = ""
    levels: dict[str, str] = field(default_factory=dict)


TRUE = {"true": "yes", "false": "no"}
CALIBRATED = {
    "calibrated": Column(
        "How many of people with such a probability have the outcome, by a regression on people "
        "whom the model had not seen; holds for people like them. n/a where the bundle has none, "
        "and of who is unlike the training people.",
        "1",
    ),
    "calibrated_low": Column("Lower limit of its 95 % interval.", "1"),
    "calibrated_high": Column("Upper limit of its 95 % interval.", "1"),
}
_DECISIONS = {
    "accuracy": "share of right decisions",
    "balanced_accuracy": "mean of sensitivity and specificity",
    "sensitivity": "share of the positives who are called positive",
    "specificity": "share of the negatives who are called negative",
    "precision": "share of positives among those called positive",
    "negative_predictive_value": "share of negatives among those called negative",
    "f1": "harmonic mean of precision and sensitivity",
    "mcc": "Matthews correlation coefficient, -1 to 1",
    "plr": "positive likelihood ratio, sensitivity / (1 - specificity)",
    "nlr": "negative likelihood ratio, (1 - sensitivity) / specificity",
    "macro_precision": "mean over the classes of the precision",
    "macro_f1": "mean over the classes of the F1 score",
    "macro_plr": "mean over the classes of the positive likelihood ratio",
    "macro_nlr": "mean over the classes of the negative likelihood ratio",
}
METRICS = {
    "auc": "area under the ROC curve; 0.5 is chance, 1 perfect",
    "auc@retrained": "the value of auc, with the interval that allows for training on other "
    "people; it leads where people who are tested train other folds",
    "auc@within": "area under the ROC curve over pairs of the same fold; where folds cannot be "
    "compared, it leads",
    "average_precision": "average precision; by chance the share of positives",
    "brier": "mean squared difference of probability and outcome; 0 is perfect",
    "brier_skill": "1 less the Brier score over that of the share of positives; 0 is no skill",
    "calibration_slope": "slope of the outcome's log odds on those of the probability; ideal 1",
    "calibration_intercept": "intercept of the outcome's log odds on those of the probability, "
    "with slope 1; ideal 0",
    "calibration_error": "mean distance of probability and observed share over bins",
    **{name: f"{words}, at the recipe's threshold" for name, words in _DECISIONS.items()},
    **{f"{name}@fitted": f"{words}, at a fitted threshold" for name, words in _DECISIONS.items()},
}

SHARED = {
    "participant_id": Column("Participant, with sub-."),
    "session_id": Column("Session, with ses-; n/a where the image has none."),
    "part_id": Column("Part that the row is about: an injection, C6L; a knee, R."),
    "variant": Column("Variant, ensemble or baseline, by its name in recipe.yaml."),
    "repeat": Column("Repeat of the cross-validation, from 0."),
    "fold": Column("Fold within the repeat, from 0."),
    "outcome": Column("The outcome.", levels={"0": "negative", "1": "positive"}),
    "probability": Column(
        "Probability of a positive outcome, by a model that was not trained on this person.", "1"
    ),
    "metric": Column(
        "Which number it is; @fitted marks decisions at a threshold that was fitted, as "
        "evaluation.fitted_threshold of recipe.yaml says.",
        levels=METRICS,
    ),
    "value": Column("Its value; n/a where it is not defined, for the reason in note."),
    "ci_low": Column("Lower limit of the interval, of the level that recipe.yaml says."),
    "ci_high": Column("Upper limit of the interval."),
    "ci_method": Column("How the interval was made."),
    "n": Column("People or scans that enter, one score each.", "1"),
    "p": Column("p value of the test, not corrected.", "1"),
    "auc": Column("Area under the ROC curve of held-out scores; 0.5 is chance.", "1"),
    "threshold": Column("From this probability on a person is called positive.", "1"),
    "note": Column("What else must be known, or why there is no value."),
    "leak": Column(
        "LEAK and the step that saw held-out people, LEAK? and one that may have; n/a where none "
        "did."
    ),
    "simulated": Column("SIMULATED and what was planted into the images: not a real result."),
}

SCAN = {name: SHARED[name] for name in ("participant_id", "session_id", "part_id", "simulated")}
"""Columns of a table with a row a scan."""
