"""What the columns of tables mean that an external validation writes."""

from bidsapp.derivatives.column_meanings import CALIBRATED, Column

_RECALIBRATED = {
    "kind": Column(
        "What is fitted.",
        levels={
            "intercept": "the intercept, with slope 1",
            "slope": "intercept and slope",
        },
    ),
    "intercept": Column("Fitted on all new people.", "1"),
    "slope": Column("Fitted on all new people; 1 where only the intercept is.", "1"),
    "people": Column("How many there were.", "1"),
    "folds": Column("Folds of the cross-validation that judged it; 0 where there was none."),
    "variant": Column("Its name in scores.tsv and metrics.tsv, judged by cross-validation."),
    "note": Column("How it was judged, or why it was not done."),
}

_SIGNALS = {
    "features": Column(
        "Distance from the training people of the fold models in what the last layer is given: "
        "root mean square of z-scores, mean over the models.",
        "1",
    ),
    "intensities": Column("The same in blocks of what the networks are given.", "1"),
    "texture": Column(
        "The same in how rough blocks of that are, at two scales: noise, blur, ghosts.", "1"
    ),
    "quality": Column("The same in the numbers of the preparation's quality.", "1"),
}

_KEPT = {
    "part": Column(
        "Which people.",
        levels={
            "everybody": "all",
            "answered": "about whom the model answers",
            "unlike": "no answer, as they are unlike the training people",
            "unsure": "no answer, as they lie too near to the threshold",
        },
    ),
    "people": Column(
        "How many. Who has several forecasts (visits, knees, injections) can be in several parts.",
        "1",
    ),
    "forecasts": Column(
        "Forecasts about these people, one for each visit, knee or injection.", "1"
    ),
    "errors": Column("Of these, how many are wrong at the model's threshold.", "1"),
    "error_rate": Column(
        "Mean over people of the share of their forecasts that is wrong: a person counts once, "
        "with however many scans.",
        "1",
    ),
    "ci_low": Column("Lower limit (Wilson, for as many people).", "1"),
    "ci_high": Column("Upper limit (Wilson).", "1"),
    "promise": Column(
        "The error rate that the limits keep to among people like those of training; n/a where "
        "nothing is promised.",
        "1",
    ),
    "note": Column("Whether the promise is kept."),
}

VALIDATION: dict[str, dict[str, Column]] = {
    "fold_models": {
        "probability": Column(
            "Of a positive outcome, by one fold model of the bundle, before any recalibration; the "
            "model's answer is their mean.",
            "1",
        ),
    },
    "answers": {
        **_SIGNALS,
        "unlikeness": Column(
            "The largest of these, its logarithm between the held-out median (0) and the limit of "
            "its own (1); above 1 there is no answer.",
            "1",
        ),
        "most_unlike": Column("Which of these it is."),
        "disagreement": Column(
            "Standard deviation of the logits of the fold models. No limit is fitted to it: people "
            "held out in training were seen by all fold models but one.",
            "1",
        ),
        **CALIBRATED,
        "no_answer": Column(
            "Why there is no answer; n/a where there is.",
            levels={
                "unlike": "farther from the training people than the limit",
                "unsure": "nearer to the threshold than the limit",
            },
        ),
    },
    "distances": {
        **_SIGNALS,
    },
    "tables/answers": _KEPT,
    "tables/held_out_answers": _KEPT,
    "figures/coverage": {
        "order": Column(
            "Who is answered first.",
            levels={
                "sure": "the farther from the threshold",
                "agreed": "the more the fold models agree",
                "like": "the more like the training people",
            },
        ),
        "coverage": Column("Share of forecasts that are given.", "1"),
        "answered": Column("How many.", "1"),
        "errors": Column("Wrong ones among them.", "1"),
        "accuracy": Column("Mean over people of the share of their answers that is right.", "1"),
        "ci_low": Column("Lower limit (Wilson, for as many people).", "1"),
        "ci_high": Column("Upper limit (Wilson).", "1"),
    },
    "tables/case_mix": {
        "column": Column("Column of cohort.tsv, by the name that the user has for it."),
        "value": Column("What training and validation are, or the category that they count."),
        "training": Column(
            "The cohort that the model was trained on, from the aggregates in its bundle; small "
            "categories are counted together as other."
        ),
        "validation": Column("The new people."),
        "standardised_difference": Column("New less training, in units of their SD.", "1"),
        "outside": Column(
            "New people below the five lowest or above the five highest of training (on average), "
            "or with a category that training did not list.",
            "1",
        ),
        "note": Column("What the reader has to know."),
    },
    "tables/drop": {
        "step": Column("Which AUC it is."),
        "auc": Column(
            "AUC; the expected one is the model-based concordance in the new people.", "1"
        ),
        "ci_low": Column("Lower limit.", "1"),
        "ci_high": Column("Upper limit.", "1"),
        "difference": Column("AUC less that of the row above.", "1"),
        "note": Column("What the difference goes with."),
    },
    "tables/intended_use": {
        "aspect": Column("What is compared: scan, space, outcome, a column."),
        "model": Column("What the model is meant for, or saw in training."),
        "people": Column("What these people are."),
        "verdict": Column(
            "Whether the model is used as it is meant.",
            levels={
                "as meant": "nothing speaks against it",
                "outside": "more than one in twenty are outside of what training saw, or the "
                "cohorts differ by half an SD or more, or the outcome is another one",
                "not known": "the bundle or these people do not tell",
            },
        ),
        "note": Column("How far it is outside, or why it is not known."),
    },
    "tables/recalibration": _RECALIBRATED,
    "tables/recalibration_combined": _RECALIBRATED,
    "tables/recalibration_clinical": _RECALIBRATED,
    "tables/membership": {
        "auc": Column(
            "How well the columns tell training people from new ones; .5: not at all.", "1"
        ),
        "ci_low": Column("Lower limit.", "1"),
        "ci_high": Column("Upper limit.", "1"),
        "columns": Column("Those that both cohorts have and a model can take."),
        "training": Column("People of the training cohort.", "1"),
        "validation": Column("New people.", "1"),
        "note": Column("What it says, or why it is not known."),
    },
}
"""By the name of the table, ``tables/`` and the like before it."""
