"""The knee study as a recipe: its models, their first stages, the network as printed."""

from bidsapp.networks.registry import build_network
from bidsapp.recipes import load_recipe
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
    assert paper.preparation.printed


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
