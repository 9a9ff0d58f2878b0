"""What the columns of tables of maps mean, and of what they were tested by."""

from bidsapp.derivatives.column_meanings import SCAN, SHARED, Column

_OF_FOLD = {name: SHARED[name] for name in ("repeat", "fold")}

_WEIGHTED = Column(
    "Average of the image over this region of an atlas, weighted by the map as saliency.absolute "
    "and saliency.scale of recipe.yaml make it, signed unless they say otherwise (sum of weight "
    "times image over sum of magnitudes of weights); region names are those of regions.tsv, with "
    "the atlas before them or the channel behind them where there are several.",
    "arbitrary",
)

SALIENCY: dict[str, dict[str, Column]] = {
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
        **SCAN,
        "leak": SHARED["leak"],
        "*": _WEIGHTED,
    },
    "saliency/biomarkers_folds": {
        **SCAN,
        "leak": SHARED["leak"],
        **_OF_FOLD,
        "role": Column(
            "Whether the fold whose map gives the weights held this person out.",
            levels={"test": "held out", "train": "trained on, or in no role"},
        ),
        "*": _WEIGHTED,
    },
}
