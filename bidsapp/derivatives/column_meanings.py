"""What the columns of a run's own tables mean: the words of their data dictionaries.

`dictionaries` writes them beside the tables; those of what is computed from the scores are in
`evaluated_columns`. A key of `TABLES` is a table's name without ``.tsv``; tables under
``saliency/<variant>/`` stand with that folder before them. A ``*`` stands for any letters. What a
table does not say itself is looked up in `SHARED`, unless the table takes any column (``*``),
whose name may be that of a shared one by chance.
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

_SCAN = {name: SHARED[name] for name in ("participant_id", "session_id", "part_id", "simulated")}
_OF_FOLD = {name: SHARED[name] for name in ("repeat", "fold")}
_SPLITS = {
    "role": Column(
        "What the participant is for in this fold.",
        levels={
            "train": "trained on",
            "validation": "the epoch is chosen by it; never scored",
            "test": "held out and scored",
        },
    ),
}
_PROBABILITY_INNER = Column(
    "Probability by the network of this fold, of whose training the person had no part; only a "
    "threshold is taken from it.",
    "1",
)
_PROBABILITY_PERMUTED = Column("Held-out probability of a model trained on these outcomes.", "1")
_WEIGHTED = Column(
    "Average of the image over this region of an atlas, weighted by the map as saliency.absolute "
    "and saliency.scale of recipe.yaml make it, signed unless they say otherwise (sum of weight "
    "times image over sum of magnitudes of weights); region names are those of regions.tsv, with "
    "the atlas before them or the channel behind them where there are several.",
    "arbitrary",
)

TABLES: dict[str, dict[str, Column]] = {
    "cohort": {
        **_SCAN,
        "outcome": SHARED["outcome"],
        "group": Column("Family, site or participant that is never divided between folds."),
        "image": Column("Prepared image: path in the output folder, or a BIDS URI."),
        "sha256": Column("SHA-256 of the image's voxels; of the changed copy in a simulation."),
        "quality": Column(
            "Verdict on the preparation; n/a where it was not judged.",
            levels={"pass": "sound", "warn": "to be looked at"},
        ),
        "scan_date": Column(
            "Day on which the scan was acquired, by acq_time of scans.tsv or sessions.tsv; there "
            "where people are divided by it."
        ),
        "sidecar.*": Column(
            "Field of that name in the JSON sidecar of the scan's raw image (site, scanner, "
            "sequence); ContrastAgent is yes where the sidecar or the ce- of the name tell of one."
        ),
        "*": Column(
            "Covariate of the dataset's participants.tsv, sessions.tsv or phenotype, where its "
            "data dictionary has its meaning. Columns of numbers are written plainly (89+ as 89, "
            "34,5 as 34.5; what is no number as n/a; logs/cohort.txt says what was read how), "
            "others as they stand there. A column with the name of one of this table's own has "
            "dataset. before it."
        ),
    },
    "missing_outcomes": {
        "reason": Column("Why the scan is not in the cohort: its outcome is missing."),
        "*": Column("A column of the dataset's tables, as in cohort.tsv."),
    },
    "exclusions": {
        "reason": Column("Why the participant or scan is not in the cohort."),
        "detail": Column("More on the reason; <bids_dir> and the like are folders of the run."),
    },
    "preparations": {
        "variant": Column(
            "Variant that is given these images, prepared otherwise than those of cohort.tsv."
        ),
        "image": Column("Prepared image: path in the output folder, or a BIDS URI."),
        "sha256": Column("SHA-256 of the image's voxels."),
        "quality": Column("Verdict on the preparation; n/a where it was not judged."),
    },
    "near_duplicates": {
        "participant_id": Column("One of two participants whose scans are alike."),
        "session_id": Column("Its session; n/a where the image has none."),
        "other_participant": Column("The other of the two."),
        "other_session": Column("Its session; n/a where the image has none."),
        "correlation": Column(
            "Correlation of what is each person's own: the prepared image on 4 mm without slow "
            "changes, less the cohort's mean.",
            "1",
        ),
        "mirrored": Column("Whether one of them is mirrored.", levels=TRUE),
        "near_duplicate": Column(
            "Whether they are taken for one scan; where nobody is, the most alike pair stands "
            "here.",
            levels=TRUE,
        ),
        "limit": Column("From this correlation on they are.", "1"),
        "cohort_median": Column("Median of the correlations of all pairs.", "1"),
        "cohort_spread": Column("From their first to their last decile, over 2.563.", "1"),
    },
    "splits": _SPLITS,
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
    "metrics": {
        "scope": Column(
            "Over whom: pooled (all held-out people), mean (over folds, with the Nadeau-Bengio "
            "interval), fold-<k> or fold-<repeat>.<k>, subgroup:<column>=<value>, "
            "prevalence=<share> (people weighted so that this share is positive)."
        ),
    },
    "measures": {
        "quality_*": Column("Quality number of the preparation."),
        "region_intensity_*": Column(
            "Mean of the image over a cube of 24 mm, over that of the brain; the name ends with "
            "the cube's centre, x_y_z in mm.",
            "1",
        ),
        "region_volume_*": Column(
            "The participant's own volume of that cube, by the map of log-volumes.", "ml"
        ),
        "region_connectivity_*": Column(
            "Fisher's z of the correlation between the mean courses of two cubes of 40 mm in a "
            "series; the name ends with the centres of both, x_y_z in mm.",
            "1",
        ),
        "handcrafted_*": Column(
            "Handcrafted feature of the prepared image, measured in it alone; widths in mm, areas "
            "in mm²."
        ),
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
    "saliency/regions": {
        "atlas": Column("Atlas that the region is of."),
        "index": Column("Label of the region in the atlas."),
        "region": Column("Name of the region."),
        "also": Column("Its name in full or in another nomenclature."),
        "voxels": Column(
            "Voxels of the region inside the mask and the window; pixels, where maps are "
            "pictures or lie over a sphere.",
            "1",
        ),
        "covered": Column(
            "Share of the region that lies inside the mask and the part of the image that "
            "the network sees; below 0.5 the region has no rank.",
            "1",
        ),
        "mean": Column(
            "Mean of the group map over these voxels; above 0 it moves the answer towards a "
            "positive outcome, unless the recipe takes absolute values."
        ),
        "ci_low": Column("Lower limit of the 95 % interval of the mean, people resampled."),
        "ci_high": Column("Upper limit of the 95 % interval of the mean, people resampled."),
        "share": Column(
            "The region's part of the map: the sum of magnitudes in it over that in all voxels.",
            "1",
        ),
        "enrichment": Column(
            "That share over the region's part of the voxels: above 1 the map is stronger there "
            "than the size of the region explains.",
            "1",
        ),
        "peak": Column("The map's value of largest magnitude in the region."),
        "peak_x": Column("Where it lies, right of the origin of the standard space.", "mm"),
        "peak_y": Column("Where it lies, anterior of the origin.", "mm"),
        "peak_z": Column("Where it lies, above the origin.", "mm"),
        "rank": Column(
            "Rank by the magnitude of the mean among the atlas's regions of which at least half is "
            "covered; 1 leads."
        ),
    },
    "saliency/components": {
        "component": Column("Number of the component in the first fold, or in the template."),
        "network": Column(
            "Its name in the table beside the file of given maps, or that of the map of "
            "saliency.networks that it is matched with, above its null; n/a where it has none."
        ),
        "auc_loss": Column(
            "AUC over held-out people less that where everybody has the training people's mean map "
            "of the component; n/a where no network was given it."
        ),
        "ci_low": Column("Lower limit of its 95 % interval, people resampled."),
        "ci_high": Column("Upper limit of its 95 % interval, people resampled."),
        "folds": Column("Folds that have the component, above its null, as a network's channel."),
        "r": Column("Mean over folds of the correlation with the first fold's map, its size."),
        "null": Column("Mean of the largest such correlation with that map flipped."),
        "network_r": Column(
            "Correlation, its size, with the map of saliency.networks that it is matched with; n/a "
            "for given maps."
        ),
        "network_null": Column("The largest of any component with that map flipped."),
    },
    "saliency/component_groups": {
        "component": Column("Number of the component in the first fold, or in the template."),
        "network": Column("Its name, as in components.tsv; n/a where it has none."),
        "positives": Column("People with a positive outcome who are compared."),
        "negatives": Column("People with a negative outcome who are compared."),
        "t": Column(
            "Largest t, by its size, over the voxels of people's own maps of the component; above "
            "0 where positives have more. Covariates as in the comparison of the networks' maps."
        ),
        "x": Column("Where: right of the origin of the standard space.", "mm"),
        "y": Column("Anterior of the origin.", "mm"),
        "z": Column("Above the origin.", "mm"),
        "p_component": Column(
            "Smallest p over this component's voxels, corrected over them; by permutation of maps. "
            "n/a where a step looked at the outcome."
        ),
        "p_fwe": Column("Smallest p, corrected over the voxels of all components."),
        "voxels": Column("Voxels with a p of .05 and less over all components."),
    },
    "saliency/peaks": {
        "map": Column("Which map: of whom it is the mean, or the comparison of two groups (t)."),
        "peak": Column("Number of the peak, the largest magnitude first."),
        "x": Column("Right of the origin of the standard space.", "mm"),
        "y": Column("Anterior of the origin.", "mm"),
        "z": Column("Above the origin.", "mm"),
        "value": Column("The map's value there."),
        "p_fwe": Column(
            "p of the comparison there, corrected over voxels; only where the network has seen "
            "nobody who is compared, or networks were trained anew on permuted outcomes.",
            "1",
        ),
        "p_tfce": Column("The same of threshold-free cluster enhancement.", "1"),
        "region_*": Column("Region of this atlas there, or the nearest within 6 mm."),
    },
    "saliency/sanity": {
        "check": Column(
            "What was checked.",
            levels={
                "forecast": "do the networks forecast better than chance",
                "weights": "is the map another one with weights drawn anew",
                "labels": "is it another one after training on shuffled outcomes",
                "halves": "do networks of disjoint halves of the people agree, as with shuffled "
                "outcomes they do not",
                "folds": "how far the folds' networks agree; they share people",
                "edges": "does the map only follow edges of the anatomy",
                "difference": "does it follow the difference of the groups' mean images",
                "deletion": "how far the forecast falls without the map's voxels (where the map "
                "holds slopes or absolute values: how far it moves)",
                "insertion": "the same for its rise with the map's voxels",
                "voxels": "are both together more than with random maps as smooth",
                "maps": "can the maps be checked at all",
            },
        ),
        "of": Column("Which number value is."),
        "value": Column("Its value."),
        "low": Column("Lower limit of the interval, or lowest value of what is compared with."),
        "high": Column("Upper limit of the interval, or highest value of what is compared with."),
        "limit": Column("The value that the verdict hangs on."),
        "n": Column("People, maps or folds that enter.", "1"),
        "result": Column(
            "The verdict.",
            levels={
                "pass": "as it should be",
                "fail": "not as it should be: do not read anatomy out of the maps",
                "unclear": "cannot be told; not a pass",
                "info": "without a limit",
                "not run": "was not or could not be done; not a pass",
            },
        ),
        "meaning": Column("The finding in a sentence."),
    },
    "saliency/biomarkers": {
        **_SCAN,
        "leak": SHARED["leak"],
        "*": _WEIGHTED,
    },
    "saliency/biomarkers_folds": {
        **_SCAN,
        "leak": SHARED["leak"],
        **_OF_FOLD,
        "role": Column(
            "Whether the fold whose map gives the weights held this person out.",
            levels={"test": "held out", "train": "trained on, or in no role"},
        ),
        "*": _WEIGHTED,
    },
    "quality": {
        "part": Column(
            "Part of the person that the image is of, as its sidecar tells, also where it is the "
            "only one of its visit and has no part_id."
        ),
        "source": Column("The main source, relative to its dataset."),
        "space": Column("Standard space."),
        "resolution": Column("Voxel size of the output.", "mm"),
        "verdict": Column(
            "Verdict on the preparation.",
            levels={"pass": "sound", "warn": "to be looked at", "fail": "not to be used"},
        ),
        "z_*": Column(
            "Modified z score of the number of that name among the images made alike; n/a with "
            "fewer than 8 of them."
        ),
        "unusual": Column(
            "Largest distance from the others on the side where trouble lies, in modified z "
            "scores; from 3.5 on an image is called unusual."
        ),
        "report": Column("Page of this image in the output folder."),
        "reasons": Column("Why the verdict is not pass."),
    },
    "predictions": {
        "model": Column("Name of the model that was applied."),
        "sha256": Column("SHA-256 of the model's bundle, its metadata included."),
        "outcome": Column("Column or expression that the model forecasts."),
        "positive": Column("Its values that count as positive."),
        "probability": Column("Probability of a positive outcome, mean of the fold models.", "1"),
        "probability_sd": Column("Standard deviation between the fold models.", "1"),
        "probability_clinical": Column(
            "Probability from the clinical columns of the model's bundle alone, mean of the fold "
            "models; n/a where it has none, or the tables lack one of its columns.",
            "1",
        ),
        "probability_with_clinic": Column(
            "Probability from clinical columns and scan together, mean of the fold models.", "1"
        ),
        **CALIBRATED,
        "verdict": Column(
            "Verdict on the image's preparation.",
            levels={"pass": "sound", "warn": "to be looked at"},
        ),
        "in_training": Column(
            "Whether this very image is in the cohort that the model was trained on; only models "
            "kept from the person then predict. It goes by hashes: a changed copy of an image, or "
            "another scan of the person, is not recognised. n/a where it cannot be known: images "
            "that were prepared by other software have no hash of their source file.",
            levels=TRUE,
        ),
        "leak": Column(
            "LEAK and the step that saw held-out people in the run that made the model, LEAK? and "
            "one that may have; n/a where none did."
        ),
        "no_answer": Column(
            "Why the model should not be asked about this person; n/a where nothing speaks against "
            "it, or the bundle carries no limits.",
            levels={
                "unlike": "farther from the training people than the limit of the bundle",
                "unsure": "nearer to the threshold than the limit of the bundle",
            },
        ),
    },
}
