"""Every benchmark by name: what it shows, beside which peer, what it takes and what it needs.

`tests.benchmarks` runs them and `docs/measured.md` is written from what they said.
"""

from dataclasses import dataclass, field

# Files here that are started by themselves and measure nothing, with what they are for.
NO_BENCHMARK = {
    "__main__": "runs the benchmarks",
    "normalise_one": "one normalisation in its own process, started by normalization",
    "reference_networks": "writes what timm's networks answer, for the tests",
}


# Kinds of files that are damaged, by what they belong to; so many minutes of CPU time take 10,000.
DAMAGED: tuple[tuple[str, str, float, tuple[str, ...]], ...] = (
    (
        "data",
        "images, tables and sidecars of a dataset",
        8,
        (
            "nifti1", "nifti2", "packed", "participants", "columns", "sessions", "phenotype",
            "description", "sidecar", "regression", "labels", "rois", "roi_sidecar",
        ),
    ),
    (
        "requests",
        "recipes, settings, expressions and filters",
        12,
        ("recipe", "recipe_t1w", "setting", "expression", "filters"),
    ),
    ("runs", "splits, cohorts and scores of a run", 5, ("splits", "cohort", "scores", "metrics")),
    (
        "models",
        "bundles and weights",
        10,
        (
            "manifest", "models", "metadata", "bundle_recipe", "bundle_weights", "bundle_fitted",
            "weights", "own_weights",
        ),
    ),
    (
        "folders",
        "folders that a run goes on with",
        16,
        ("normalised", "prepared_elsewhere", "resumed", "run", "bundle", "bundle_resealed"),
    ),
    (
        "inputs",
        "datasets of each modality, outcomes, atlases, surfaces and descriptions of spaces",
        27,
        (
            "heads", "series", "knees", "necks", "outcomes", "atlas", "surfaces", "spaces",
            "plugin",
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Benchmark:
    """One entry of the registry.

    Attributes
    ----------
    name
        What it is called on the command line, and its record's name.
    title
        Heading on the page.
    shows
        One line: the question that its figures answer.
    peer
        What its figures stand beside; empty where they stand alone.
    minutes
        Rough CPU minutes of all its commands on one core.
    module
        Module of tests.benchmarks; empty: as `name`.
    commands
        Arguments of each call. ``{data}`` is the folder of the real data, ``{ixi}`` an output
        folder of the participant level on its 48 IXI heads, ``{work}`` a folder that is kept.
    packages
        What must be installed beside the package's own requirements.
    alone
        Whether it measures wall time, so that its figures are true on an idle machine only.
    """

    name: str
    title: str
    shows: str
    minutes: float
    peer: str = ""
    module: str = ""
    commands: tuple[tuple[str, ...], ...] = ((),)
    packages: tuple[str, ...] = field(default=())
    alone: bool = False

    @property
    def file(self) -> str:
        """Module's name inside tests.benchmarks."""
        return self.module or self.name

    def needs(self, place: str) -> bool:
        """Whether a command names a place such as ``{ixi}``."""
        return any(f"{{{place}}}" in word for words in self.commands for word in words)


_AT_10_MM = ("--voxels", "1800", "--volumes", "100")
_PARTICIPANTS = "{data}/ixi2mm_dev48/participants.tsv"
_MASK = "{ixi}/sub-IXI014/anat/sub-IXI014_space-MNI152NLin2009aSym_res-2_desc-brain_mask.nii.gz"

BENCHMARKS = (
    Benchmark(
        "normalization",
        "Normalisation",
        "How well the regions of different people overlap after normalisation (mean pairwise Dice "
        "of automatic labels that no image used here had a part in), with CPU seconds and memory; "
        "`default float32` computes as where there is no bfloat16. With `--participants 12` and "
        "all speeds and peers, 40 minutes.",
        3,
        peer="ANTs (antspyx): SyNQuick",
        commands=(
            (
                *("--data", "{data}", "--cache", "{work}/normalization", "--participants", "4"),
                *("--speeds", "default", "default float32", "--peers", "SyNQuick"),
            ),
        ),
        packages=("ants",),
    ),
    Benchmark(
        "overhead",
        "What the workflow costs beyond its steps",
        "Wall time of 48 heads beside the CPU seconds of their steps, of the same command again, "
        "and from the start to the first node on 1,000 participants.",
        8,
        peer="the ideal: CPU seconds of the steps divided by the number of processes",
        commands=(("--data", "{data}"),),
        alone=True,
    ),
    Benchmark(
        "startup",
        "From a cold start to the list of images",
        "Seconds and memory on a tree of 1,000 participants, with and without pybids' database.",
        1,
    ),
    Benchmark(
        "scale",
        "From a thousand people to ten thousand",
        "CPU seconds and memory of each part of a run against the number of people, with the "
        "exponent: synthetic tables and tiny images, what an image costs left out.",
        10,
        peer="n log n, whose exponent here is 1.1",
        commands=(("--people", "1000", "10000"),),
    ),
    Benchmark(
        "long_run",
        "A long run of the participant level",
        "Memory, files and room over a run of 200 whole heads (1 × 1.33 × 1.33 mm, six people in "
        "turn), what is left, and whether the last ten are as quick as the first.",
        20,
        commands=(("{data}/ds000011", "--participants", "200"),),
    ),
    *(
        Benchmark(
            f"damaged_{name}",
            f"Damaged {title}",
            f"What damaged {title} end in, 10,000 of each kind: read, refused with a message, or "
            "broken (a traceback, more than 10 s or 2 GB, a socket, a program, writing elsewhere).",
            minutes,
            module="fuzzing",
            commands=(("--cases", "10000", *kinds),),
        )
        for name, title, minutes, kinds in DAMAGED
    ),
    Benchmark(
        "near_duplicates",
        "Copies of one scan and unrelated people",
        "How alike images of different people are, and how alike a copy, a copy with noise or "
        "another cut of the same scan is.",
        5,
        commands=(("{ixi}", "--mask", _MASK),),
    ),
    Benchmark(
        "scaling",
        "The scaling of intensities",
        "What each way of scaling intensities leaves for a ridge classifier of age group and of "
        "sex: AUC, mean (least to largest) over five divisions into 8 folds.",
        4,
        peer="min–max, as printed in attias2025",
        commands=(
            ("{ixi}", _PARTICIPANTS, "age_group", "old"),
            ("{ixi}", _PARTICIPANTS, "sex", "F"),
        ),
    ),
    Benchmark(
        "coverage",
        "How often intervals hold the truth",
        "Share of drawn studies whose 95 % interval holds the true value, and whose permutation "
        "test rejects a null that is true.",
        20,
        peer="DeLong as usually printed, bootstrap percentiles",
    ),
    Benchmark(
        "claims",
        "How often each claim of a report is wrong",
        "Share of drawn studies in which a sentence of the report is said where it is wrong, and "
        "where it is right.",
        5,
        peer="the rules that stood earlier",
    ),
    Benchmark(
        "added_value",
        "How often an added value of a scan is claimed",
        "Share of drawn studies in which a scan is said to add something to clinical columns, "
        "falsely and truly, and whose interval holds the true gain.",
        4,
        peer="two wrong ways to get a training person's logit",
        commands=(("--studies", "400", "--seed", "1"),),
    ),
    Benchmark(
        "beyond_age",
        "What a network that sees old age adds to age",
        "What is said on 48 real heads where the clinical columns are sex and a noisy copy of age, "
        "and where they are age itself.",
        12,
        peer="age itself, to which nothing can be added",
        commands=(("{data}", "--normalised", "{ixi}", "--work", "{work}/beyond_age"),),
    ),
    Benchmark(
        "elsewhere",
        "A model judged on 200 people of another place",
        "Discrimination and calibration of a model of 60 phantoms on 200 of another prevalence and "
        "contrast, as it is and recalibrated, and who of training is found among them.",
        10,
        peer="the model recalibrated on other people of the same place",
        commands=(
            ("--hurt", "0"),
            ("--brighter", "0.7", "--new", "80", "--prevalence", "0.5"),
        ),
    ),
    Benchmark(
        "calibrated",
        "What the interval of a calibrated probability holds",
        "Share of new people whose true probability, given the answer of a bundle of 5 fold "
        "models, lies in the interval that is written beside it, and how wide that is.",
        2,
        peer="Venn-Abers intervals; the interval without the factor for training anew",
        commands=(("--studies", "200"),),
    ),
    Benchmark(
        "sites",
        "What sites make of nothing, and harmonisation of that",
        "AUC of a ridge classifier where the outcome goes with the site and with nothing else, as "
        "images are, harmonised in the fold, and over everybody.",
        1,
        peer="ComBat over all people, without and with the outcome kept",
        commands=(("--studies", "200"),),
    ),
    Benchmark(
        "missing_outcomes",
        "What weighing for missing outcomes gives back",
        "Error of AUC and share of positives where a third of the people are lost, with and "
        "without weights, by a column that is known or not.",
        1,
        peer="everybody's scores",
    ),
    Benchmark(
        "evaluation",
        "What an evaluation costs",
        "CPU seconds of the bootstrap, and of a whole evaluation of 48 people.",
        1,
        peer="scipy.stats.bootstrap around scikit-learn's AUC",
    ),
    Benchmark(
        "map_claims",
        "How often saliency maps pass their checks",
        "Share of drawn studies whose maps pass: of noise, of effects, of a pattern that has "
        "nothing to do with the network.",
        30,
    ),
    Benchmark(
        "map_test",
        "Error rate of the voxelwise test of maps",
        "Share of drawn studies without an effect in which any voxel is called significant.",
        60,
        peer="permuting the maps of the cross-validated networks",
    ),
    Benchmark(
        "mesh_test",
        "Error rate of the test of maps on a surface",
        "Share of drawn studies in which any point of a bone's surface is called significant, "
        "given three covariates that go with the group.",
        6,
        peer="the nominal level",
    ),
    Benchmark(
        "thin_slabs",
        "What a network over a thin slab costs",
        "CPU milliseconds of a step and an answer of a ResNet-10 on six slabs of 79 × 95 voxels.",
        1,
        peer="the same network by torch's own convolution",
        commands=((),),
    ),
    Benchmark(
        "planted",
        "How well a map finds what was planted",
        "Share of the largest 1 % of a map that lies in a cuboid planted into the right insula of "
        "half of the people, method by method.",
        150,
        peer="the same networks untrained",
        commands=(("--normalised", "{ixi}", "--work", "{work}/planted"),),
    ),
    Benchmark(
        "native",
        "A map on a person's own voxels",
        "What a map loses on its way to a person's own voxels and back.",
        2,
        peer="two linear interpolations by half a voxel, without any transform",
        commands=(("--normalised", "{ixi}", "--people", "2"),),
    ),
    Benchmark(
        "saliency",
        "What a saliency map costs",
        "CPU seconds of each method, and how many training steps on the same batch that is. "
        "Occlusion is left out: it takes hours.",
        5,
        peer="a training step on the same batch",
        commands=(
            (
                "--methods",
                "gradient",
                "gradient_x_input",
                "smoothgrad",
                "integrated_gradients",
                "grad_cam",
            ),
        ),
    ),
    Benchmark(
        "saliency_statistics",
        "What the voxelwise permutation test costs",
        "CPU seconds of 1,000 permutations over 128 people's maps at 2 mm.",
        2,
        peer="nilearn's permuted_ols",
    ),
    Benchmark(
        "training",
        "How fast a training step is",
        "Seconds of a step of attias2025's own network, and the share of them that data take.",
        15,
        peer="a plain MONAI loop, and the machine's best rate of matrix products",
    ),
    Benchmark(
        "whole_head",
        "A training step on a whole head",
        "CPU seconds and memory of a step of 8 images of 256 × 256 × 170, each network of wei2023.",
        25,
        commands=(("--batch", "8", "--at-once", "1"),),
    ),
    Benchmark(
        "pictures",
        "Training on regions of necks",
        "CPU seconds of an epoch of EfficientNetV2-B0 on a fold of 288 regions of 100 × 100, and "
        "what ten folds of 26 epochs take on two cores (extrapolated).",
        4,
        peer="a plain loop over the same network that reads files, by torch's DataLoader",
    ),
    Benchmark(
        "neck_study",
        "The whole study of necks",
        "288 synthetic necks through both levels, ten folds of 26 epochs of EfficientNetV2-B0 on "
        "two processes, with maps, checks, baselines and moved boxes.",
        30,
        peer="one fold by a plain loop that reads files, times ten",
        commands=(("{work}/neck_study",),),
    ),
    Benchmark(
        "neck_maps",
        "Where maps of necks lie",
        "Share of the strongest 5 % of pixels that lie in the narrowed foramen of 60 synthetic "
        "necks, method by method: of the mean map of true positives, and of each person's own map "
        "in the own foramen. First a small network, then the study's (EfficientNetV2-B0) from "
        "random weights at a rate at which it learns.",
        9,
        peer="the same networks untrained",
        commands=(
            ("{work}/neck_maps", "--variant", "compact"),
            (
                *("{work}/neck_maps", "--variant", "b0", "--set", "network.start=random"),
                *("training.lr.head=1e-3", "training.lr.backbone=1e-3", "protocol.folds=5"),
            ),
        ),
    ),
    Benchmark(
        "streaming",
        "A training step whose images find no room in memory",
        "Seconds of a step with a small --mem, which streams the cohort, and the same weights.",
        6,
        peer="the same run with the cohort in memory",
    ),
    Benchmark(
        "group_ica",
        "What group ICA costs",
        "CPU seconds and memory of one ICA over all 43 people, and of the ten of ten folds.",
        4,
        peer="one ICA over all people, as the study ran it",
        commands=(("{work}/group_ica",),),
    ),
    Benchmark(
        "rest_components",
        "Components of BOLD at rest as predictors",
        "AUC where there is nothing to find (sex in these 24 people, and outcomes by lot), with "
        "everything fitted in the fold (strict), the ICA on everybody (ica), and the choice of "
        "components by the outcome on everybody too (paper).",
        10,
        peer="the leaks as printed in Teh et al. (2022)",
        commands=(
            ("{data}", "null", "--seeds", "20"),
            ("{data}", "lot", "--seeds", "20"),
        ),
    ),
    Benchmark(
        "rest_planted",
        "A network planted into BOLD at rest",
        "AUC, and whether the component whose loss costs most is the planted one.",
        5,
        module="rest_components",
        commands=(("{data}", "planted", "--seeds", "5"),),
    ),
    Benchmark(
        "rest_network",
        "A network planted into BOLD at rest, by the network of recipe rest",
        "AUC, and whether the component whose loss costs most is the planted one, by how much "
        "stronger the network is.",
        3,
        peer="the planted component's own strength, where all is known and nothing is trained",
        module="rest_components",
        commands=(("{data}", "strength", "--seeds", "5"),),
    ),
    Benchmark(
        "rest_penalty",
        "How strong the penalty of the network of recipe rest should be",
        "AUC of 24 synthetic people by penalty, mean over cohorts.",
        0.5,
        peer="the stronger network's own strength, where all is known and nothing is trained",
        commands=(("--cohorts", "6"),),
    ),
    Benchmark(
        "rest_null",
        "Networks of components where there is nothing to find",
        "AUC of 24 real people at rest: sex, and the same outcomes drawn by lot many times, by the "
        "network of recipe rest and by VoxNet as the compact variant of teh2022 trains it.",
        6,
        peer="outcomes by lot",
        commands=(
            ("{data}", "pooled", "--lots", "39", "--seeds", "2"),
            ("{data}", "voxnet", "--lots", "24", "--seeds", "1"),
        ),
    ),
    Benchmark(
        "rest_study",
        "43 people at rest on two processes",
        "Minutes of the group level of the compact variant of teh2022: 43 synthetic people of 200 "
        "volumes at 4 mm, as fMRIPrep leaves them, to the report.",
        6,
        peer="the bar of 15 minutes on two cores",
        commands=(("{work}/rest_study",),),
    ),
    Benchmark(
        "group_ica_growth",
        "Group ICA of a thousand people",
        "CPU seconds of a fold over 125 to 1,000 people's reductions at 10 mm, and the exponent.",
        5,
        module="group_ica",
        commands=(
            ("{work}/group_ica_growth", "--growth", "125", "250", "500", "1000", *_AT_10_MM),
        ),
    ),
    Benchmark(
        "bold_motion",
        "Motion put into real BOLD",
        "What is left of known rigid motion in 18 volumes of a real head, and CPU seconds.",
        1,
        peer="antspyx's motion correction",
        commands=(("{data}",),),
        packages=("ants",),
    ),
    Benchmark(
        "bold_boundary",
        "Where a BOLD series lies in its T1w image",
        "Millimetres from the true place of series drawn from the labels of real heads and of "
        "synthetic people, and how far places of one real person lie apart.",
        5,
        peer="registration by mutual information alone (greedy)",
        commands=(("{data}",),),
    ),
    Benchmark(
        "bold_bend",
        "What a bend along the phase makes of heads whose field is known",
        "Millimetres of displacement by the field in series of real heads' labels and of synthetic "
        "people, before and after the bend, and how many are bent.",
        3,
        peer="no correction",
        commands=(("{data}",),),
    ),
    Benchmark(
        "bold_peers",
        "Confounds and denoising of BOLD beside other software's",
        "Largest difference of every family of confounds, and of denoised values by strategy, on "
        "real and synthetic series.",
        2,
        peer="nipype, nilearn and pandas",
        commands=(("{data}",),),
        packages=("nitime",),
    ),
    Benchmark(
        "bold_cost",
        "What a person at rest costs",
        "CPU seconds per step of 200 volumes of 64 × 64 × 36 voxels, raw to denoised at 2 mm, "
        "memory, and megabytes of files.",
        3,
        peer="the T1w image of the same head; fMRIPrep as published",
        commands=(("{work}/bold_cost", "--data", "{data}"),),
    ),
    Benchmark(
        "voxnet_step",
        "A training step of VoxNet",
        "CPU seconds of a step at the size of Teh et al. (2022), 30 maps at 2 mm.",
        2,
        peer="a plain torch loop",
        commands=(("--people", "8", "--steps", "1"),),
    ),
    Benchmark(
        "knee",
        "Knees of two visits",
        "What is measured of 24 knees at two visits, whose cartilage is known to shrink and whose "
        "bone stays, how well maps keep it, and what a knee costs.",
        5,
        peer="volumes counted from the manual labels",
        commands=(("--data", "{data}"),),
    ),
    Benchmark(
        "knee_t2",
        "T2 of knees, voxel by voxel",
        "T2 of 5,000 measured and 5,000 simulated voxels fitted twice on one core, how far the "
        "two are apart, and bias and spread at SNR 20 to 100. Not run on a GPU.",
        1,
        peer="scipy's curve_fit",
        commands=(("--data", "{data}"),),
    ),
    Benchmark(
        "knee_match",
        "Bones of two knees, matched",
        "How far real bones that were deformed by known fields of 2 to 4 mm are matched wrongly, "
        "and CPU seconds.",
        1,
        peer="the same place by direction from the centre alone",
        commands=(("--data", "{data}"),),
    ),
    Benchmark(
        "knee_cost",
        "What a whole knee costs",
        "CPU seconds of ten knees step by step, three bones with T2 of eight echoes, and memory.",
        2,
        peer="published: 5.3 s a joint for thickness alone by mesh methods, 351 s by ray tracing",
        commands=(("--data", "{data}"),),
    ),
    Benchmark(
        "report",
        "The group report",
        "CPU seconds to write, megabytes, and how fast Chromium opens it, for 48 and 1,000 people.",
        1,
        peer="nilearn's view_img of one of its maps",
    ),
)


def named(name: str) -> Benchmark:
    """Benchmark of this name.

    Raises
    ------
    KeyError
        There is none.
    """
    return {one.name: one for one in BENCHMARKS}[name]
