"""What the columns of tables of folds mean: divisions, scores, choices and courses of training."""

from bidsapp.derivatives.column_meanings import TRUE, Column

_PROBABILITY_INNER = Column(
    "Probability by the network of this fold, of whose training the person had no part; only a "
    "threshold is taken from it.",
    "1",
)

_PROBABILITY_PERMUTED = Column("Held-out probability of a model trained on these outcomes.", "1")

TRAINING: dict[str, dict[str, Column]] = {
    "splits": {
        "role": Column(
            "What the participant is for in this fold.",
            levels={
                "train": "trained on",
                "validation": "the epoch is chosen by it; never scored",
                "test": "held out and scored",
            },
        ),
    },
    "scores": {},
    "inner_scores": {
        "fold": Column("Fold whose network was validated on this person, who is not held out."),
        "probability": _PROBABILITY_INNER,
    },
    "crossfit_scores": {
        "fold": Column("Fold of splits.tsv that trains on this person."),
        "inner": Column("Inner fold whose network scored the person, and did not see them."),
        "probability": Column("Probability of a positive outcome by that inner network.", "1"),
    },
    "crossfit_splits": {
        "fold": Column("Fold of splits.tsv whose training people are divided."),
        "inner": Column("Number of the inner fold, from 0."),
        "role": Column(
            "What the person is to the inner network.",
            levels={
                "train": "weights are fitted on them",
                "validation": "the epoch is chosen by them",
                "test": "scored by it",
            },
        ),
    },
    "search": {
        "setting": Column("Number of the setting in the order of the grid, from 1."),
        "metric": Column(
            "What settings are compared by.",
            levels={
                "auc": "area under the ROC curve; more is better",
                "log_loss": "cross-entropy; less is better",
                "brier": "mean squared difference of probability and outcome; less is better",
            },
        ),
        "inner_*": Column(
            "The metric on this inner fold of the fold's training people; nobody who is held out "
            "has a part in it."
        ),
        "mean": Column(
            "Mean over the inner folds, by which the choice is made; over held-out people where "
            "there are no inner folds (LEAK); n/a where the loss of one of its networks was no "
            "longer finite."
        ),
        "se": Column("Standard error of the mean over inner folds; n/a of one."),
        "epochs": Column("Epochs that its networks were trained for, on average.", "1"),
        "seconds": Column("Time that training its networks took, in all.", "s"),
        "chosen": Column("Whether the fold's network was trained with it.", levels=TRUE),
        "*.*": Column("What the setting gives this key of the recipe."),
    },
    "permuted_scores": {
        "permutation": Column("Number of the permutation, from 1."),
        "outcome": Column("The permuted outcome.", levels={"0": "negative", "1": "positive"}),
        "probability": _PROBABILITY_PERMUTED,
    },
    "history": {
        "epoch": Column("Epoch, from 1."),
        "train_loss": Column("Mean loss of the training steps of the epoch."),
        "validation_loss": Column("Mean loss of the people who are kept back for validation."),
        "test_loss": Column("Mean loss of held-out people: LEAK where the epoch is chosen by it."),
        "rate_head": Column("Learning rate of the last layer."),
        "rate_backbone": Column("Learning rate of the layers before it."),
        "seconds": Column("Wall time of the epoch.", "s"),
    },
    "folds": {
        "parameters": Column("Trainable numbers of the fold's network.", "1"),
        "epochs": Column("Epochs that it was trained for.", "1"),
        "epoch_kept": Column("The epoch whose weights were kept.", "1"),
        "seconds": Column(
            "Wall time that the fold took, what its representation fits included.", "s"
        ),
    },
    "components": {
        "component": Column("Component of the fold, as its network's channels are called."),
        "like": Column(
            "Component of the first fold that it is matched with (Hungarian, |r|); n/a where a map "
            "of the first fold that is flipped is as much like it, or where the first fold has "
            "fewer and none is left for it."
        ),
        "like_r": Column("|r| of both.", "1"),
        "like_null": Column("What the flipped map reaches; n/a where the maps are the same.", "1"),
        "stability": Column(
            "Quality index over random starts of the ICA (Himberg 2004): 1 where every start found "
            "it.",
            "1",
        ),
        "variance": Column("Its share of the variance of people's reduced series.", "1"),
        "template_r": Column("|r| with the map of the template that it is matched with.", "1"),
        "template_null": Column("What a flipped map of the template reaches.", "1"),
        "p": Column(
            "Of a t test of its strength between positives and negatives of the people that the "
            "choice is fitted on; not corrected.",
            "1",
        ),
        "r": Column("Correlation of its strength with the outcome in the same people.", "1"),
        "kept": Column(
            "Whether the fold's network is given it.", levels={"1.0": "yes", "0.0": "no"}
        ),
    },
}
