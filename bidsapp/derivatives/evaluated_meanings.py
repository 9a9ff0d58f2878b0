"""What the columns of tables mean that are computed from the scores."""

from bidsapp.derivatives.column_meanings import Column

_TWO_GROUPS = {
    "column": Column("Column of cohort.tsv, by the name that the user has for it."),
    "value": Column("What first and second are, or the category that they count."),
    "test": Column("The test that compares the two groups."),
    "statistic": Column("Its statistic."),
    "p": Column("Two-sided p, not corrected.", "1"),
    "p_bonferroni": Column("p after Bonferroni's correction over the columns.", "1"),
    "p_fdr": Column("p after Benjamini and Hochberg's correction over the columns.", "1"),
    "standardised_difference": Column("Difference of the groups in units of their SD.", "1"),
}

EVALUATED: dict[str, dict[str, Column]] = {
    "metrics": {
        "scope": Column(
            "Over whom: pooled (all held-out people), mean (over folds, with the Nadeau-Bengio "
            "interval), fold-<k> or fold-<repeat>.<k>, subgroup:<column>=<value>, "
            "prevalence=<share> (people weighted so that this share is positive)."
        ),
    },
    "tables/sites": {
        "told": Column("What is told: the site, or the outcome."),
        "by": Column("By what: the site, or regional values of the images."),
        "harmonised": Column(
            "Whether regional values were harmonised between sites (ComBat) in the training part.",
            levels={"yes": "they were", "no": "as they are"},
        ),
        "auc": Column(
            "AUC in held-out people; of several sites the mean of each to the rest.", "1"
        ),
        "n": Column("People.", "1"),
        "note": Column("Who takes part, or why there is no AUC."),
    },
    "frozen_models": {
        "model": Column("Name of the model."),
        "folder": Column("Of its bundle, within the run's folder."),
        "manifest_sha256": Column("SHA-256 of its manifest, which holds those of all its files."),
        "frozen_utc": Column(
            "When it was frozen (UTC): when a manifest of this hash was first written there."
        ),
    },
    "tables/findings": {
        "kind": Column(
            "What the sentence is about.",
            levels={
                "simulated": "a signal was planted",
                "leak": "a step saw held-out people, or may have (LEAK?)",
                "separation": "a column by itself tells the classes apart",
                "confound": "something that knows nothing of the illness predicts as well",
                "added": "what the scan adds to what is known without it",
                "result": "the result of a variant",
                "compared": "whether networks differ from one another",
                "baseline": "a simpler model predicts as well",
                "tried": "much was tried on the same people",
                "small": "the sample is small",
                "skipped": "what was asked for and could not be done",
                "placement": "what scores hang on where a person placed a box",
                "lost": "people whose outcome is missing",
                "unusual": "held-out images unlike those of their fold's training people",
                "calibration": "whether probabilities hold in new people",
                "benefit": "decisions of new people, and their net benefit",
                "combined": "what clinical columns and the scan together tell of new people",
                "case_mix": "what the difference between new and training people explains",
                "recalibration": "what fitting intercept or slope to new people gives",
                "abstain": "about whom the model gives no answer, and what that keeps",
                "search": "which settings were chosen inside training folds",
                "use": "where new people are outside of what the model saw",
            },
        ),
        "text": Column("The finding in a sentence."),
    },
    "tables/search_folds": {
        "setting": Column("Number of the setting that was chosen in this fold, as in search.tsv."),
        "values": Column("What it gives keys of the recipe."),
        "metric": Column("What settings were compared by."),
        "inner": Column(
            "Its mean over the inner folds; n/a where settings were compared by held-out people."
        ),
        "inner_se": Column("Standard error of that mean over the inner folds."),
        "outer": Column("The same of the people whom the fold holds out."),
        "optimism": Column("How much better the inner one looks than that of held-out people."),
    },
    "tables/search_settings": {
        "setting": Column("Number of a setting in the order of the grid, from 1."),
        "values": Column("What it gives keys of the recipe."),
        "metric": Column("What settings were compared by."),
        "inner": Column(
            "Its inner mean, averaged over folds; that of held-out people where there are no inner "
            "folds (LEAK)."
        ),
        "inner_sd": Column("Standard deviation of these means over folds."),
        "chosen": Column("In how many folds it was chosen.", "1"),
        "folds": Column("Number of folds.", "1"),
    },
    "tables/other_runs": {
        "run": Column("Label of another scored run of this output folder on people of this one."),
        "shared": Column("Scans of this cohort that it has too, by image or by name.", "1"),
        "share": Column("Their share of this cohort.", "1"),
        "outcome": Column(
            "Whether it is about the same outcome.",
            levels={
                "same": "at least nine of ten of these scans have the same value",
                "other": "fewer have",
            },
        ),
        "agreement": Column("Share of these scans that have the same value.", "1"),
        "networks": Column("Variants that it scored.", "1"),
    },
    "tables/comparisons": {
        "first": Column("First variant or baseline."),
        "second": Column("Second variant or baseline."),
        "test": Column(
            "The test.",
            levels={
                "delong": "paired DeLong test of the AUCs, from both intervals near 0 and 1",
                "mcnemar": "McNemar's test of the decisions, exact for those of given models",
            },
        ),
        "difference": Column("First less second: of the AUCs, or of the accuracies.", "1"),
        "statistic": Column("z of DeLong's test; of McNemar's, how many decisions differ."),
        "p_holm": Column("p after Holm's correction over the pairs, for each test by itself.", "1"),
    },
    "tables/permutations": {
        "p": Column("One-sided p of the AUC under permuted outcomes.", "1"),
        "permutations": Column("How many permutations.", "1"),
        "method": Column("What was permuted, and what was done anew."),
    },
    "tables/cohort": {
        **_TWO_GROUPS,
        "first": Column("Among people, or scans, with a positive outcome."),
        "second": Column("Among people, or scans, with a negative outcome."),
        "missing_first": Column("Positives without a value.", "1"),
        "missing_second": Column("Negatives without a value.", "1"),
    },
    "tables/held_out": {
        **_TWO_GROUPS,
        "first": Column("Among people who were trained on, an inner split included."),
        "second": Column("Among people who were held out."),
        "missing_first": Column("People trained on without a value.", "1"),
        "missing_second": Column("People held out without a value.", "1"),
    },
    "tables/lost": {
        **_TWO_GROUPS,
        "first": Column("Among people with a prepared scan whose outcome is missing."),
        "second": Column("Among the people who were kept."),
        "missing_first": Column("Of those lost, without a value.", "1"),
        "missing_second": Column("Of those kept, without a value.", "1"),
    },
    "tables/weighted": {
        "measure": Column(
            "What is measured.",
            levels={
                "auc": "area under the ROC curve",
                "brier": "Brier score",
                "positive": "share of positives",
            },
        ),
        "value": Column("Of the people kept, each counted once.", "1"),
        "weighted": Column("Weighted to stand for those lost too, by `weighted_by`.", "1"),
        "ci_low": Column("Lower end of the weighted one's interval, bootstrap of people.", "1"),
        "ci_high": Column("Upper end of the weighted one's interval.", "1"),
        "n": Column("People kept.", "1"),
        "n_effective": Column("As many people, counted once each, are as precise.", "1"),
        "lost": Column("People whose outcome is missing.", "1"),
        "weighted_by": Column("Columns by which the probability of being kept is estimated."),
    },
    "placement_scores": {
        "placement": Column("Where what a person placed by hand lies instead."),
        "kind": Column(
            "Why it lies there.", levels={"moved": "moved", "rater": "placed by another rater"}
        ),
        "probability": Column("Probability of a positive outcome from the image placed so.", "1"),
        "apart_mm": Column("Distance of the centres of both places.", "mm"),
        "overlap": Column("Intersection over union of both boxes; n/a where moved.", "1"),
        "slices_apart": Column("Slices between both places; n/a where moved.", "1"),
        "width_mm": Column("Width of the other rater's box.", "mm"),
        "own_width_mm": Column("Width of the box that is used.", "mm"),
        "depth_mm": Column("Depth, from back to front, of the other rater's box.", "mm"),
        "own_depth_mm": Column("Depth of the box that is used.", "mm"),
    },
    "tables/placement": {
        "placement": Column(
            "Where what a person placed by hand lies instead; all moves together: means over moves."
        ),
        "kind": Column(
            "Why it lies there.", levels={"moved": "moved", "rater": "placed by another rater"}
        ),
        "apart_mm": Column("Mean distance of the centres of both places.", "mm"),
        "n": Column("Images compared.", "1"),
        "change": Column("Mean absolute change of the held-out probability.", "1"),
        "change_low": Column("Lower end of its interval, bootstrap of people.", "1"),
        "change_high": Column("Upper end of its interval.", "1"),
        "largest_change": Column("Largest absolute change of a probability.", "1"),
        "flipped": Column("Share of images whose answer at the threshold is another.", "1"),
        "flipped_low": Column("Lower end of its interval.", "1"),
        "flipped_high": Column("Upper end of its interval.", "1"),
        "auc": Column("AUC with the images placed so.", "1"),
        "auc_as_drawn": Column("AUC of the same people with images as drawn.", "1"),
        "auc_difference": Column("The first less the second.", "1"),
        "auc_difference_low": Column("Lower end of its interval, networks taken as given.", "1"),
        "auc_difference_high": Column("Upper end of its interval.", "1"),
    },
    "tables/raters": {
        "rater": Column("The other rater."),
        "n": Column("Injections that both placed.", "1"),
        "same_slice": Column("Share of them on the same slice.", "1"),
        "overlap": Column("Mean intersection over union of the boxes in the plane.", "1"),
        "overlap_least": Column("The least of them.", "1"),
        "apart_mm": Column("Mean distance of the boxes' centres.", "mm"),
        "apart_most_mm": Column("The largest of them.", "mm"),
        "icc_width": Column("Intraclass correlation ICC(A,1) of the boxes' widths.", "1"),
        "icc_depth": Column("Intraclass correlation ICC(A,1) of the boxes' depths.", "1"),
    },
    "tables/columns": {
        "column": Column(
            "Column of the user's tables, sidecar.<field> of the images, or quality.<measure>, a "
            "yes or no of how they came to be."
        ),
        "of_scanner": Column(
            "Whether it is of site, scanner or sequence: by its name, or as it is of the images.",
            levels={"True": "yes", "False": "no"},
        ),
        "kind": Column(
            "How it is read.", levels={"numbers": "as numbers", "categories": "as categories"}
        ),
        "n": Column("People, or scans, with a value.", "1"),
        "test": Column("The test of whether it goes with the outcome."),
        "p": Column("Two-sided p, not corrected; n/a where scans are looked at.", "1"),
        "p_holm": Column("p after Holm's correction for all columns that were looked at.", "1"),
        "looked_at": Column("How many columns that is."),
        "auc": Column(
            "AUC of the column by itself: by ranks, whichever way round, or by the share of "
            "positives of each category, of these very people.",
            "1",
        ),
        "ci_low": Column("Lower limit of that AUC.", "1"),
        "ci_high": Column("Upper limit of that AUC.", "1"),
        "associated": Column(
            "Whether the corrected p is below .05.", levels={"True": "yes", "False": "no"}
        ),
        "separates": Column(
            "Whether it tells the classes apart (nearly) completely: also an AUC of at least .9 "
            "whose lower limit is above .7.",
            levels={"True": "yes", "False": "no"},
        ),
    },
    "tables/planning": {
        "quantity": Column("What would be measured."),
        "value": Column("Its true value, supposed.", "1"),
        "ci_low": Column("Lower limit of the interval that a sample of this size would give.", "1"),
        "ci_high": Column("Upper limit of that interval.", "1"),
        "power": Column("Chance that scores of one model in new people beat chance.", "1"),
        "retrained_low": Column("Lower limit to expect of the answer by this protocol.", "1"),
        "retrained_high": Column("Upper limit to expect of the answer by this protocol.", "1"),
        "power_retrained": Column("Chance that the answer is better than chance.", "1"),
    },
    "tables/printed": {
        "variant": Column("Variant of the paper, by its name in recipe.yaml."),
        "scope": Column("Over whom: pooled, mean over folds, or the best fold."),
        "printed": Column("The value that the paper prints.", "1"),
        "ours": Column("The value of this run.", "1"),
        "inside": Column(
            "Whether the printed value lies in our interval; n/a without one.",
            levels={"yes": "it does", "no": "it does not"},
        ),
    },
    "tables/ensemble_scores": {
        "probability": Column("The members' held-out probabilities joined by the rule.", "1"),
    },
    "tables/best_fold": {
        "scope": Column("Always best_fold."),
        "fold": Column("The fold of the largest AUC (chosen on test data)."),
        "chance": Column("Mean of the best fold's value under permuted outcomes."),
        "chance_low": Column("2.5 % quantile of that."),
        "chance_high": Column("97.5 % quantile of that."),
        "p": Column("One-sided p of the best fold's value.", "1"),
        "folds": Column("How many folds it is the best of.", "1"),
    },
    "tables/sensitivity": {
        "contrast_sd": Column("What was planted; 0 is the real run.", "SD between people"),
        "ci_low": Column("Lower limit of the pooled AUC, scores as given.", "1"),
        "ci_high": Column("Upper limit of the pooled AUC, scores as given.", "1"),
        "retrained_low": Column("The same, allowing for training on other people.", "1"),
        "retrained_high": Column("The same, allowing for training on other people.", "1"),
        "p": Column("One-sided p of the AUC under permuted outcomes.", "1"),
        "found": Column(
            "Whether the interval of the pooled AUC lies above 0.5.",
            levels={"True": "yes", "False": "no"},
        ),
        "saliency_inside": Column("Share of the map's largest 1 % inside the cuboid.", "1"),
        "saliency_chance": Column("Share of all voxels of the map inside the cuboid.", "1"),
        "saliency_possible": Column(
            "The largest that saliency_inside could be: below 1 where the cuboid is smaller than "
            "the top.",
            "1",
        ),
        "map": Column("The group map that this is of; n/a without one."),
        "run": Column("Folder of the run, beside this one."),
    },
}
