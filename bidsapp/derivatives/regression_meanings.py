"""What the columns of the tables of nested regressions mean."""

from bidsapp.derivatives.column_meanings import Column

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
}
