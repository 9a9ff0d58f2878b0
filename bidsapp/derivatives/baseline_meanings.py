"""What the columns of tables mean that hold networks against models without an image."""

from bidsapp.derivatives.column_meanings import Column

_RIVALS = {
    "confound": Column(
        "The baseline, on the same folds; column <name> is one of site, scanner or sequence that "
        "goes with the outcome, whether it was asked for or not."
    ),
    "auc": Column("AUC of the network on held-out people.", "1"),
    "auc_confound": Column("AUC of the baseline on the same people.", "1"),
    "ci_low": Column("Lower limit of the baseline's AUC, allowing for other people.", "1"),
    "ci_high": Column("Upper limit of the baseline's AUC, allowing for other people.", "1"),
    "difference": Column(
        "AUC of the network less that of the baseline, or less .5 where the baseline is below.", "1"
    ),
    "difference_low": Column("Lower limit of the difference, paired.", "1"),
    "difference_high": Column("Upper limit of the difference, paired.", "1"),
    "p": Column("p of the paired test, widened as the AUC is, uncorrected.", "1"),
    "p_holm": Column("p after Holm's correction over the comparisons of AUCs.", "1"),
    "comparisons": Column("How many comparisons of AUCs the correction is over."),
    "verdict": Column(
        "What the difference shows; a claim needs the interval and the corrected p below .05.",
        levels={
            "better": "above 0, after correction too",
            "better, uncorrected": "above 0 only before correction",
            "no difference shown": "its interval holds 0",
            "worse, uncorrected": "below 0 only before correction",
            "worse": "below 0, after correction too",
            "cannot be told": "it has no interval",
        },
    ),
    "flagged": Column(
        "Whether the baseline, scores as given, beats chance and the network is not shown to beat "
        "the baseline: a doubt needs less than a claim.",
        levels={"True": "yes", "False": "no"},
    ),
}

BASELINES: dict[str, dict[str, Column]] = {
    "tables/added_value": {
        "first": Column("Model without what may add: clinical, or a variant."),
        "second": Column("Model with it: clinical + <variant>, or the name of a stack."),
        "measure": Column(
            "What is measured.",
            levels={
                "auc": "area under the ROC curve",
                "brier": "Brier score; a gain is a fall",
                "log_likelihood": "mean log-likelihood of a person, natural logarithm",
                "net_benefit": "net benefit, averaged over evaluation.net_benefit_range",
                "likelihood_ratio": "test of the network's held-out logit beside the first model's",
            },
        ),
        "value_first": Column("The measure of the first model."),
        "value_second": Column("The measure of the second model."),
        "gain": Column("By how much the second model is better; below 0 it is worse."),
        "ci_low": Column("Lower limit of the gain, allowing for training on other people."),
        "ci_high": Column("Upper limit of the gain, allowing for training on other people."),
        "statistic": Column("z of the gain in AUC; chi-square of the likelihood-ratio test."),
        "p": Column("Two-sided p, uncorrected.", "1"),
        "p_holm": Column("p after Holm's correction over the pairs, for each measure.", "1"),
        "n": Column("How many people.", "1"),
        "beyond": Column("What is known without it, in words."),
        "found": Column(
            "What is found of the pair; in the row of the AUC.",
            levels={
                "adds": "the interval of the gain in AUC lies above 0, after correction too",
                "tells something": "only the likelihood-ratio test finds something",
                "not shown": "neither does",
                "worse": "the interval lies below 0",
                "unknown": "there is no interval",
            },
        ),
    },
    "tables/added_value_scores": {
        "probability": Column("Held-out probability of the clinical or stacked model.", "1"),
    },
    "tables/reclassification": {
        "first": Column("Model without what may add."),
        "second": Column("Model with it."),
        "risk_first": Column("Class of risk by the first model."),
        "risk_second": Column("Class of risk by the second model."),
        "n": Column("How many people, or scans.", "1"),
    },
    "tables/confounds": _RIVALS,
    "tables/baselines": _RIVALS,
    "tables/unusual": {
        "repeat": Column("Repeat of the cross-validation.", "1"),
        "fold": Column("Fold that held the image out.", "1"),
        "column": Column("Measure, as a column of measures.tsv."),
        "value": Column("Its value, in its unit."),
        "mean": Column("Mean of the fold's training people."),
        "sd": Column("Their standard deviation."),
        "away": Column("How many of these the value lies from the mean, signed.", "1"),
    },
    "tables/baseline_scores": {
        "probability": Column("Held-out probability of the baseline, on the same folds.", "1"),
    },
}
