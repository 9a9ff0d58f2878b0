"""What the columns of tables mean that figures are drawn from."""

from bidsapp.derivatives.column_meanings import Column

FIGURES: dict[str, dict[str, Column]] = {
    "figures/roc": {
        "false_positive_rate": Column("Share of the negatives who are called positive.", "1"),
        "true_positive_rate": Column("Share of the positives who are called positive.", "1"),
    },
    "figures/roc_band": {
        "false_positive_rate": Column("Share of the negatives who are called positive.", "1"),
        "ci_low": Column("Lower limit of the true positive rate there.", "1"),
        "ci_high": Column("Upper limit of the true positive rate there.", "1"),
    },
    "figures/precision_recall": {
        "recall": Column("Share of the positives who are called positive.", "1"),
        "precision": Column("Share of positives among those called positive.", "1"),
    },
    "figures/calibration": {
        "bin": Column("Group of people with like probabilities, from 1."),
        "probability": Column("Mean probability of the group.", "1"),
        "observed": Column("Share of positives in the group.", "1"),
    },
    "figures/decision_curve": {
        "net_benefit": Column("True positives less false ones weighted by the odds, per person."),
        "treat_all": Column("Net benefit of treating everybody."),
        "treat_none": Column("Net benefit of treating nobody: 0."),
    },
    "figures/permutation_null": {
        "auc": Column("AUC of the same scores under one permutation of the outcomes.", "1"),
    },
    "figures/pipeline_null": {
        "permutation": Column("Number of the permutation, from 1."),
        "auc": Column("AUC of networks trained anew on these permuted outcomes.", "1"),
    },
    "figures/score_distribution": {
        "low": Column("Lower edge of the bin of probabilities.", "1"),
        "high": Column("Upper edge of the bin.", "1"),
        "positive": Column("Positives in the bin.", "1"),
        "negative": Column("Negatives in the bin.", "1"),
    },
    "figures/confusion": {
        "rule": Column("The threshold: its value, or fitted."),
        "words": Column("How the threshold was come by."),
        "tp": Column("Positives called positive.", "1"),
        "fn": Column("Positives called negative.", "1"),
        "fp": Column("Negatives called positive.", "1"),
        "tn": Column("Negatives called negative.", "1"),
    },
}
