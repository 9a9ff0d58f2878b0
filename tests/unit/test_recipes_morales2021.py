"""The knee study as a recipe: its models, their first stages, the network as printed."""

from pathlib import Path

import pytest

from bidsapp.contracts.modality import modality_named
from bidsapp.dataset.sources import select_scans
from bidsapp.errors import NothingSelected, UsageError
from bidsapp.modalities.knee.phantom import make_knee_phantom
from bidsapp.networks.registry import build_network
from bidsapp.options import RunOptions
from bidsapp.recipes import by_preparation, load_recipe
from bidsapp.recipes.start import named_variant

BONES = ("femur", "tibia", "patella")
STRATEGIES = ("t2", "thick", "shape", "shape_thick", "t2_thick", "all")


def test_eighteen_models_each_after_its_own_first_stage() -> None:
    recipe = load_recipe("morales2021")
    for bone in BONES:
        for strategy in STRATEGIES:
            own = recipe.with_variant(f"{bone}_{strategy}")
            stage = named_variant(own)
            assert stage == f"oa_{bone}_{strategy}"
            first = recipe.with_variant(stage)
            assert first.outcome.expression == "kl_grade >= 2"
            assert own.outcome.column == "chronic_pain"
            assert first.protocol == own.protocol
            assert first.network.start == "random"
            channels = own.representation.channels
            assert first.representation.channels == channels
            assert 1 <= len(channels) <= 3
            assert all(name.startswith(f"{bone}_") for name in channels)
    for strategy in STRATEGIES:
        names = {f"{bone}_{strategy}" for bone in BONES}
        assert set(recipe.ensembles[f"ptf_{strategy}"].of) == names
    assert {f"{bone}_{s}" for bone in BONES for s in STRATEGIES} <= set(recipe.reported)


def test_the_network_has_as_many_parameters_as_printed() -> None:
    section = load_recipe("morales2021").network
    network = build_network(section, 3, shape=(224, 224))
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == 23_512_130


def test_strict_fits_in_the_fold_and_paper_as_printed() -> None:
    recipe = load_recipe("morales2021")
    assert recipe.mode == "strict"
    assert recipe.representation.fitted["minmax"]["fit"] == "train_fold"
    paper = recipe.with_variant("paper")
    assert paper.mode == "paper"
    assert paper.representation.fitted["minmax"]["fit"] == "dataset"
    assert paper.preparation.plain()["printed"]


def test_presets_for_few_people_differ_from_what_is_printed() -> None:
    recipe = load_recipe("morales2021")
    presets = {"compact": "tibia", "compact_femur": "femur", "compact_patella": "patella"}
    assert set(recipe.ensembles["compact_ptf"].of) == set(presets)
    for name, bone in {**presets, "compact_cam": "tibia"}.items():
        own = recipe.with_variant(name)
        first = recipe.with_variant(named_variant(own))
        assert own.representation.channels == first.representation.channels
        assert list(own.representation.channels) == [f"{bone}_thickness"]
        assert own.training == first.training
        assert own.protocol == first.protocol
        moved = own.training.augmentation
        assert (moved.rotation, moved.scaling, moved.noise, moved.flip) == (8, 0.1, 0.1, 0)
    assert recipe.with_variant("compact").saliency.method == "gradient"
    assert recipe.with_variant("compact_cam").saliency.method == "grad_cam"
    printed = recipe.with_variant("paper").training.augmentation
    assert (printed.rotation, printed.scaling, printed.noise) == (0, 0, 0)


@pytest.mark.parametrize(
    ("variants", "overrides"),
    [
        (("compact", "compact_femur", "compact_patella", "compact_cam", "compact_searched"), []),
        (("femur_thick",), ["variants.femur_thick.preparation.t2=false"]),
        (("femur_thick", "tibia_shape"), ["preparation.t2=false"]),
        (("tibia_shape",), ["variants.tibia_shape.preparation.t2=false"]),
    ],
)
def test_people_without_echoes_can_be_prepared(
    variants: tuple[str, ...], overrides: list[str]
) -> None:
    recipe = load_recipe("morales2021", overrides, variants)
    selected, _ = recipe.selected(variants)
    (group,) = by_preparation(recipe, selected)  # one preparation serves them all
    own = recipe.with_variant(group[0])
    knee = modality_named("knee")
    settings = own.preparation.plain()
    assert "echoes" not in {source.name for source in knee.sources_for(settings)}
    made = knee.channels_for(settings)
    for name in (*selected, *recipe.stages(selected)):
        assert set(recipe.with_variant(name).representation.channels) <= set(made)


@pytest.mark.parametrize("variants", [(), ("femur_t2",), ("femur_all", "femur_thick")])
def test_no_t2_for_channels_of_t2_is_refused_with_what_to_do(variants: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as told:
        load_recipe("morales2021", ["preparation.t2=false"], variants)
    assert "'femur_t2' is not made with preparation.t2: false" in str(told.value)
    assert "add --variants NAME: femur_thick, femur_shape, " in str(told.value)
    assert "oa_" not in str(told.value)


def test_what_the_base_cannot_have_is_of_the_variants_that_are_run_alone() -> None:
    given = ["preparation.t2=false", "preparation.pixels=64"]
    recipe = load_recipe("morales2021", given, ["femur_thick"])
    made = {
        name: (
            recipe.with_variant(name).preparation.plain()["t2"],
            recipe.with_variant(name).preparation.plain()["pixels"],
        )
        for name in ("femur_all", "femur_thick", "oa_femur_thick", "tibia_t2")
    }
    assert made == {
        "femur_all": (True, 64),
        "femur_thick": (False, 64),
        "oa_femur_thick": (False, 64),
        "tibia_t2": (True, 64),
    }
    with pytest.raises(UsageError, match=r"preparation\.pixels"):
        load_recipe(
            "morales2021", ["preparation.t2=false", "preparation.pixels=3"], ["femur_thick"]
        )


def test_who_lacks_echoes_is_told_what_to_do_without(tmp_path: Path) -> None:
    make_knee_phantom(tmp_path / "bids", participants=1, spacing=(6, 6, 6), echoes=False)
    options = RunOptions(
        bids_dir=tmp_path / "bids",
        output_dir=tmp_path / "out",
        work_dir=tmp_path / "work",
        analysis_level="participant",
    )
    knee, recipe = modality_named("knee"), load_recipe("morales2021")
    with pytest.raises(NothingSelected, match=r"no MESE .*morales2021 --variants compact"):
        select_scans(options, knee.sources_for(recipe.preparation.plain()))
    without = knee.sources_for(recipe.with_variant("compact").preparation.plain())
    assert len(select_scans(options, without).scans) == 1
