"""What the columns of tables of people mean: the cohort, its images, what a model says of them."""

from bidsapp.derivatives.column_meanings import CALIBRATED, SCAN, SHARED, TRUE, Column

COHORT: dict[str, dict[str, Column]] = {
    "cohort": {
        **SCAN,
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
