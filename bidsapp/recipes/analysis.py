"""The sections of a recipe about what is made of the scores and the models."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from bidsapp.contracts.fitted import FittedStep
from bidsapp.recipes.known_names import Baseline, ClinicalModel, SaliencyMethod, TestName
from bidsapp.recipes.section import Fraction, Name, Probability, Section, Seed, Text, Texts, Unique


def _ascending(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] >= limits[1]:
        raise ValueError("should be two numbers, the smaller one first")
    return limits


class Evaluation(Section):
    """Metrics, intervals, tests and baselines, from the held-out scores."""

    tests: Annotated[tuple[TestName, ...], *Unique] = Field(
        default=("permutation",),
        description="Tests: permutation of outcomes; paired DeLong and McNemar between variants.",
    )
    subgroups: Texts = Field(
        default=(),
        description="Columns by whose values results are also given; COLUMN=VALUE sets that value "
        "against all others.",
    )
    baselines: Annotated[tuple[Baseline, ...], *Unique] = Field(
        default=("majority",), description="Models without a network, on the same folds."
    )
    predictors: Texts = Field(
        default=(), description="Columns for the logistic, random_forest and xgboost baselines."
    )
    site: Text | None = Field(
        default=None, description="Column of the site, for the site baseline."
    )
    clinical: Texts = Field(
        default=(),
        description="Columns of the clinical model (age, sex, baseline pain). What each network "
        "adds to it is then measured, on the same folds; that trains stacking_folds networks more "
        "for each fold.",
    )
    clinical_model: ClinicalModel = Field(
        default="logistic",
        description="Model of the clinical columns; logistic is penalised (ridge, C = 1).",
    )
    stack: dict[Name, Annotated[Texts, Field(min_length=2)]] = Field(
        default={},
        description="Name of a model to the variants whose logits it joins (T1w and BOLD; three "
        "bones): what the others add to the first is measured.",
    )
    stacking_folds: Annotated[int, Field(ge=2, le=100)] = Field(
        default=5,
        description="Inner folds of each training fold, for logits of training people by networks "
        "that did not see them; with clinical or stack only.",
    )
    net_benefit_range: Annotated[
        tuple[Fraction, Fraction], Field(strict=False), AfterValidator(_ascending)
    ] = Field(
        default=(0.1, 0.5),
        description="Thresholds, from and to, over which net benefit is averaged for the added "
        "value; also the limits of its table of reclassification.",
    )
    permutations: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        default=1000, description="Permutations of the outcomes on fixed scores."
    )
    pipeline_permutations: Annotated[int, Field(ge=0, le=100_000)] = Field(
        default=0, description="Permutations through the whole pipeline, each trained anew."
    )
    placement: Annotated[int, Field(ge=0, le=50)] = Field(
        default=0,
        description="Pixels by which what a person placed by hand (the box of an injection) is "
        "moved in held-out images, in eight directions, to see what scores hang on it; other "
        "raters' places are taken too, where given. Nothing is trained anew. 0: not done.",
    )
    permute_within: Texts = Field(
        default=(),
        description="Columns of few values, such as a site, within which outcomes are permuted: "
        "what goes with them is then no finding. Where nothing is said, any association counts.",
    )
    prevalence: Fraction | None = Field(
        default=None,
        description="Share of positives where the model is to be used, if the cohort has another, "
        "as case-control cohorts do: predictive values, calibration and net benefit are then also "
        "given at it.",
    )
    bootstrap: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        default=10_000, description="Bootstrap replicates for intervals."
    )
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        default=0.95, description="Coverage of intervals."
    )
    threshold: Probability = Field(
        default=0.5, description="Fixed probability from which a participant counts as positive."
    )
    fitted_threshold: Literal["none", "train_fold", "inner", "test_fold"] = Field(
        default="train_fold",
        description="Where the second, fitted threshold comes from: the held-out scores of the "
        "other folds (train_fold), or those of the fold's own inner split (inner), of whose people "
        "no network was told. test_fold sees what is scored: mode paper only.",
    )
    best_fold: bool = Field(
        default=False,
        description="Print the best fold too, beside what chance would give (mode paper only).",
    )
    seed: Seed = Field(default=0, description="Seed of permutations and bootstrap.")

    def declares(self) -> tuple[FittedStep, ...]:
        """Say what is chosen by the scores, and by whose."""
        seen = self.fitted_threshold == "test_fold"
        steps = [
            FittedStep(
                name=f"evaluation.fitted_threshold: {self.fitted_threshold}",
                scope="test_fold" if seen else "train_fold",
                uses_outcome=True,
                reason="the threshold is chosen on what it is applied to" if seen else "",
                reaches="scores",
            )
        ]
        if self.best_fold:
            steps.append(
                FittedStep(
                    name="evaluation.best_fold: true",
                    scope="test_fold",
                    uses_outcome=True,
                    reason=CHOSEN,
                    reaches="best_fold",
                )
            )
        return tuple(steps)


CHOSEN = "the fold is chosen by its held-out result"
BEST_FOLD = "saliency.folds: best"


class Saliency(Section):
    """Maps of what moves the network's answer."""

    choice: ClassVar = "method"
    only: ClassVar = {
        "samples": ("smoothgrad", "integrated_gradients"),
        "noise": ("smoothgrad",),
        "stage": ("grad_cam",),
        "patch_mm": ("occlusion",),
    }
    preset: ClassVar = {"samples": 32, "noise": 0.1, "stage": 4, "patch_mm": 16.0}

    method: SaliencyMethod = Field(default="gradient", description="Attribution method.")
    of: Literal[
        "true_positives",
        "true_negatives",
        "false_positives",
        "false_negatives",
        "positives",
        "negatives",
        "all",
    ] = Field(
        default="true_positives", description="Held-out people over whom the group map is averaged."
    )
    folds: Literal["all", "best"] = Field(
        default="all",
        description="Folds that enter the group map; best is chosen on test data: mode paper.",
    )
    told_right_by: Literal["itself", "all_variants"] = Field(
        default="itself",
        description="By whom a person has to be told right to be a true positive or negative: "
        "itself, the variant that the map is of; all_variants, every variant of the run with this "
        "outcome, and everybody else is left out of the group's maps (mode paper: people are then "
        "chosen by held-out answers).",
    )
    target: Literal["logit", "probability"] = Field(
        default="logit", description="The output for the positive class that is explained."
    )
    absolute: bool = Field(
        default=False,
        description="Take the absolute value before averaging, as attias2025 printed.",
    )
    scale: Literal["none", "minmax"] = Field(
        default="none", description="Scaling of each participant's map before averaging."
    )
    smoothing_fwhm_mm: Annotated[float, Field(ge=0, le=50)] = Field(
        default=7.0, description="FWHM in mm of the Gaussian that smooths the averaged map."
    )
    atlases: Texts = Field(
        default=(),
        description="Atlases for the table of regions besides those that come with the app: NIfTI "
        "files of labels with a table beside them, or names of TemplateFlow.",
    )
    networks: Text | None = Field(
        default=None,
        description="Image of named maps (X, Y, Z, C) in the template's space, with a table "
        "(index, name) beside: components that are fitted on people are named by the map they are "
        "matched with, where they are more alike than its flipped copies.",
    )
    permutations: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=1000, description="Permutations of the voxelwise test; 0 makes none."
    )
    tfce: bool = Field(
        default=True, description="Test threshold-free cluster enhancement too, from those."
    )
    covariates: Texts | None = Field(
        default=None,
        description="Columns that the voxelwise test adjusts for; age and sex where nothing is "
        "said and the cohort has them.",
    )
    shuffled_folds: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None,
        description="For the sanity checks: how often networks of either half of a fold's people "
        "are trained on shuffled outcomes, beside one on the true ones; 2 is the least that can "
        "decide. By default 2 for a network with a strided stem and a max-pool, and 0 for a larger "
        "one, whose maps then stay undecided.",
    )
    guided: bool = Field(
        default=False,
        description="Average each channel of held-out images weighted by the person's own map, "
        "with controls (guided.tsv), and test what that adds (guided_added.tsv).",
    )
    on_surface: bool = Field(
        default=False,
        description="Carry maps onto the own surface of one person, the nearest to the mean of the "
        "covariates, and compare people there too (knees).",
    )
    fdr: bool = Field(
        default=False,
        description="Give false discovery rates (Benjamini and Hochberg) beside p of the voxelwise "
        "test, where that has a p with the networks fixed.",
    )
    samples: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None,
        description="Draws (smoothgrad) or steps (integrated_gradients, which takes more where a "
        "map misses the answer's difference by over 1 %); 32 by default.",
    )
    noise: Annotated[float, Field(gt=0, le=10)] | None = Field(
        default=None, description="SD of smoothgrad's noise, in SDs of the input; .1 by default."
    )
    stage: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Stage whose activation Grad-CAM weighs; 4, the last, by default."
    )
    patch_mm: Annotated[float, Field(gt=0, le=200)] | None = Field(
        default=None, description="Edge in mm of the cube that occlusion hides; 16 by default."
    )

    def declares(self) -> tuple[FittedStep, ...]:
        """Say by what the folds and the people of the group's map are chosen."""
        found = []
        if self.folds == "best":
            found.append(FittedStep(BEST_FOLD, "test_fold", True, reason=CHOSEN, reaches="maps"))
        if self.told_right_by == "all_variants":
            reason = "people are chosen by their held-out answers"
            name = "saliency.told_right_by: all_variants"
            found.append(FittedStep(name, "test_fold", True, reason=reason, reaches="maps"))
        return tuple(found)


class Ensemble(Section):
    """Several variants of the same people and folds, joined into one score."""

    in_words: ClassVar = "{of, rule}"

    of: Annotated[Texts, Field(min_length=2)] = Field(description="Names of the variants joined.")
    rule: Literal["mean", "vote"] = Field(
        default="mean", description="Mean of the probabilities, or majority vote at the threshold."
    )
