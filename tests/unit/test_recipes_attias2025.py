"""The study attias2025 against what its paper prints."""

import pytest

from bidsapp.recipes import load_recipe

METRICS = ("accuracy", "precision", "recall", "f1", "auc")
PRINTED = {
    "paper@best_fold": (0.69, 0.56, 0.83, 0.67, 0.78),
    "axial": (0.59, 0.50, 0.36, 0.39, 0.56),
    "paper": (0.59, 0.50, 0.36, 0.39, 0.56),
    "coronal": (0.45, 0.12, 0.23, 0.15, 0.47),
    "sagittal": (0.50, 0.24, 0.20, 0.21, 0.39),
    "axial_1mm": (0.56, None, None, None, 0.52),
    "stratified": (0.59, 0.56, 0.36, 0.41, 0.55),
    "stratified_1mm": (0.53, 0.44, 0.25, 0.29, 0.50),
    "seed53": (0.63, 0.65, 0.42, 0.48, 0.59),
    "seed123": (0.57, 0.42, 0.15, 0.21, 0.54),
    "class_weight": (0.48, 0.43, 0.54, 0.43, 0.57),
    "augmentation": (0.52, 0.38, 0.20, 0.24, 0.57),
    "majority_vote": (0.54, 0.36, 0.20, 0.36, 0.46),
    "mean_probability": (0.55, 0.46, 0.31, 0.41, 0.48),
    "resnet10": (0.52, 0.19, 0.11, 0.14, 0.52),
    "resnet34": (0.59, 0.49, 0.23, 0.30, 0.60),
    "resnet50": (0.55, 0.39, 0.39, 0.35, 0.57),
    "random_forest": (0.68, 0.60, 0.72, 0.63, 0.77),
    "xgboost": (0.68, 0.69, 0.78, 0.71, 0.70),
    "stratified/random_forest": (0.70, 0.67, 0.69, 0.66, 0.80),
    "stratified/xgboost": (0.68, 0.71, 0.78, 0.74, 0.73),
}


@pytest.fixture(scope="module")
def study():
    return load_recipe("attias2025")


def test_every_printed_number_is_there(study):
    printed = {
        name: {m: v for m, v in zip(METRICS, row, strict=True) if v is not None}
        for name, row in PRINTED.items()
    }
    assert study.reported == printed


def test_printed_numbers_follow_the_variant_they_are_about(study):
    assert set(study.with_variant("stratified").reported) == {
        "stratified",
        "stratified/random_forest",
        "stratified/xgboost",
    }
    assert set(study.with_variant("axial").reported) == {"axial", "random_forest", "xgboost"}
    assert set(study.with_variant("paper").reported) == {"paper", "paper@best_fold"}


def test_the_base_is_the_printed_network_and_protocol(study):
    assert (study.base, study.mode) == ("axial", "strict")
    assert (study.network.name, study.network.depth, study.network.start) == (
        "resnet",
        18,
        "medicalnet",
    )
    assert (study.network.stem_stride, study.network.stem_pool) == (1, False)
    assert (study.training.lr.head, study.training.lr.backbone) == (1e-3, 1e-4)
    assert (study.training.batch_size, study.training.loss) == (6, "bce")
    assert (study.protocol.kind, study.protocol.folds, study.protocol.stratified) == (
        "kfold",
        8,
        False,
    )
    assert len(study.evaluation.predictors) == 10


@pytest.mark.parametrize(
    ("variant", "shortcut"),
    [("axial", "A"), ("resnet34", "A"), ("resnet10", "B"), ("resnet50", "B"), ("compact", "B")],
)
def test_the_shortcut_is_that_of_the_checkpoint(study, variant, shortcut):
    assert study.with_variant(variant).network.resolved_shortcut == shortcut


def test_a_slab_at_1_mm_is_as_thick_as_at_2_mm(study):
    thickness = {
        name: study.with_variant(name).representation.slices
        * study.with_variant(name).preparation.resolution
        for name in study.variant_names
    }
    assert set(thickness.values()) == {60}


def test_the_compact_planes_differ_in_the_plane_only(study):
    planes = {}
    for name in study.ensembles["compact_mean"].of:
        variant = study.with_variant(name)
        planes[name] = variant.representation.plane
        assert variant.network == study.with_variant("compact").network
        assert variant.training == study.with_variant("compact").training
    assert list(planes.values()) == ["axial", "coronal", "sagittal"]
    compact = study.with_variant("compact")
    assert (compact.network.depth, compact.network.stem_stride, compact.network.stem_pool) == (
        10,
        2,
        True,
    )
    assert (compact.training.epochs, compact.training.schedule) == (12, "one_cycle")
