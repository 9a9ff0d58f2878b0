"""What the columns of the tables of nested regressions mean."""

from bidsapp.derivatives.column_meanings import SHARED, Column

REGRESSION: dict[str, dict[str, Column]] = {
    "regression/coefficients": {
        "model": Column(
            "The regression.", levels={"smaller": "base columns", "larger": "with those added"}
        ),
        "term": Column("Column; column[value] is a category against the one first in order."),
        "estimate": Column(
            "Logistic: change of the log odds per unit of the column; linear: of the outcome."
        ),
        "se": Column("Standard error, rows taken as independent."),
        "p": Column("p of the Wald test by that error.", "1"),
        "ci_low": Column("Lower limit by that error."),
        "ci_high": Column("Upper limit by that error."),
        "odds_ratio": Column("Odds ratio per unit of the column (logistic).", "1"),
        "se_clustered": Column("Standard error clustered by person; n/a with one row a person."),
        "p_clustered": Column("p by that error, of t with one degree of freedom less than people."),
        "ci_low_clustered": Column("Lower limit by that error."),
        "ci_high_clustered": Column("Upper limit by that error."),
    },
    "regression/tests": {
        "test": Column("Test of the larger against the smaller model."),
        "statistic": Column("Chi-square; F for the Wald test.", "1"),
        "freedom": Column("Its degrees of freedom, of F the first.", "1"),
        "p": Column("p, two-sided, uncorrected.", "1"),
        "rows": Column("Rows on which it rests.", "1"),
        "people": Column("People on which it rests.", "1"),
        "note": Column("What the reader has to know."),
    },
    "regression/auc": {
        "model": Column(
            "The regression.",
            levels={
                "smaller": "base columns",
                "larger": "with those added",
                "difference": "larger minus smaller, paired",
            },
        ),
        "auc": Column("AUC of held-out people, pooled over the folds, or the difference.", "1"),
        "ci_low": Column("Lower limit; variance by person, allowing for other people.", "1"),
        "ci_high": Column("Upper limit.", "1"),
        "p": Column("p of the difference.", "1"),
        "folds": Column("Folds of the cross-validation.", "1"),
    },
    "saliency/guided": {
        **{name: SHARED[name] for name in ("participant_id", "session_id", "part_id", "outcome")},
        "probability": SHARED["probability"],
        "leak": SHARED["leak"],
        "network_logit": Column("Held-out log odds of the network."),
        "*_mean": Column("Plain mean of the channel over tissue, in its unit."),
        "*_guided": Column("Mean weighted by the magnitude of the person's own held-out map."),
        "*_printed": Column("Weighted by that map brought to 0..1 by its least and largest value."),
        "*_others": Column("Control: weighted by the magnitude of somebody else's map."),
        "*_random": Column("Control: by that of the map of a network that was never trained."),
        "*_shuffled": Column("Control: by that of the person's map at shuffled places."),
        "*": Column("Covariate, or plain mean of the channel over a part, in its unit."),
    },
    "saliency/guided_added": {
        "channel": Column("What was averaged."),
        "leak": SHARED["leak"],
        "added": Column("The column that is added; names as in guided.tsv."),
        "beside": Column(
            "Columns that are there already.",
            levels={
                "base": "covariates and plain means",
                "base and network": "the network's own held-out log odds too",
            },
        ),
        "test": Column("The test, by person where people have several rows."),
        "statistic": Column("Its statistic.", "1"),
        "p": Column(
            "p, uncorrected; descriptive, as the networks were trained on other people's outcomes.",
            "1",
        ),
        "auc": Column("Held-out AUC of the regression with the column.", "1"),
        "auc_gain": Column("How much larger that is than without.", "1"),
        "gain_low": Column("Lower limit of the gain, by person.", "1"),
        "gain_high": Column("Upper limit.", "1"),
    },
}
