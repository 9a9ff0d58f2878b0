"""A search in a recipe: its settings in order, and each that cannot be run told by its key."""

import pytest
from pydantic import ValidationError

from bidsapp.errors import UsageError
from bidsapp.intake.yamltext import read_yaml
from bidsapp.recipes import apply_values, load_recipe
from bidsapp.recipes.search import setting_words
from bidsapp.recipes.search_settings import at_setting
from bidsapp.training.search_run import search_cost
from tests.unit.synthetic_cohort import small_recipe

# What is laid over attias2025, and what the message must say.
REFUSED = [
    ("{grid: {}}", "training.search.grid: should have at least 1 items"),
    ("{metric: auc}", "training.search.grid: required"),
    ("{grid: {network: {depth: 18}}}", "network.depth: should be a list, got 18"),
    ("{grid: {network: {depth: []}}}", "network.depth: should have at least one value"),
    ("{grid: {network: {depth: [18]}}}", "gives one setting, which leaves no choice"),
    ("{grid: {network: {depth: [18, 18]}}}", "network.depth: names 18 twice"),
    (
        "{grid: {network: {dpeth: [10, 18]}}}",
        "training.search.grid.network.dpeth: unknown key; did you mean network.depth?",
    ),
    ("{grid: {network: {depth: [18, deep]}}}", "should be a whole number, got 'deep'"),
    (
        "{grid: {training: {lr: {head: [.1, 5.0]}}}}",
        "training.lr.head: should be less than or equal to 1, got 5.0 (at training.lr.head 5.0)",
    ),
    ("{grid: {network: {depth: [18, 19]}}}", "resnet offers 10, 18, 34, 50, got 19"),
    (
        "{grid: {training: {momentum: [0.0, .9], weight_decay: [0.0, .1]}}}",
        "adamw has no such option (at training.momentum 0.9, training.weight_decay 0.0)",
    ),
    (
        "{grid: {protocol: {folds: [4, 8]}}}",
        "a search may change keys of network, training, representation only",
    ),
    ("{grid: {training: {seed: [1, 2]}}}", "training.seed: cannot be searched over"),
    (
        "{grid: {representation: {slices: [20, 30]}}}",
        "representation.slices: changes the images, which all fold models share",
    ),
    (
        "{grid: {training: [{seed: 1}, {seed: 2}]}}",
        "training.search.grid.training: cannot be searched over",
    ),
    (
        "{grid: {training: {lr: [{head: .1, backbone: 1e-3}, {backbone: 1e-3, head: .1}]}}}",
        "names backbone 0.001, head 0.1 twice",
    ),
    (
        "{grid: {training: {lr: [{head: .001}, {head: .1}], positive_weight: [1.0, 1]}}}",
        "names 1 twice",
    ),
    (
        "{grid: {training: [{epochs: 5}, {epochs: 5, decay: .9}]}}",
        "training epochs 5 and training epochs 5, decay 0.9 are the same setting",
    ),
    ("{grid: {network: {depth: [10, 18]}}, metric: acc}", "did you mean auc?"),
    ("{grid: {network: {depth: [10, 18]}}, inner_folds: 1}", "inner_folds: should be greater"),
    (
        "{grid: {network: {depth: [10, 18]}}, inner_folds: 2, inner_size: .3}",
        "inner_size: give either inner_folds or inner_size",
    ),
    ("{grid: {network: {depth: [10, 18]}}, fold: 2}", "training.search.fold: unknown key"),
    (
        "{grid: {network: {depth: [10, 18]}}, fit: dataset}",
        "training.search.fit: dataset is refused in strict mode: the setting is chosen by results",
    ),
    (
        "{grid: {network: {covariates: [[], [age]]}}}",
        "network.covariates: changes the columns that are read of people; make it a variant "
        "(at network.covariates age)",
    ),
]


@pytest.mark.parametrize(("text", "told"), REFUSED)
def test_a_search_that_cannot_be_is_refused_by_its_key(text, told):
    with pytest.raises(UsageError) as error:
        load_recipe("t1w", [f"training.search={text}"])
    assert told in str(error.value)


def test_a_key_within_another_of_the_grid_is_refused():
    grid = {"network": [{"depth": 10}, {"depth": 18}], "network.depth": [18, 34]}
    with pytest.raises(ValidationError, match=r"network.depth is a part of network, which"):
        small_recipe(training={"search": {"grid": grid}})


LR, HEAD = "training.lr=[{head: .1}, {head: .2}]", "training.lr.head=[.1, .2]"


@pytest.mark.parametrize("order", [(LR, HEAD), (HEAD, LR)])
def test_the_command_line_gives_no_key_and_a_part_of_it(order):
    both = [f"training.search.grid.{text}" for text in order]
    told = "training.search.grid.training.lr.head: is a part of training.search.grid.training.lr, "
    with pytest.raises(UsageError, match=told):
        load_recipe("t1w", both)
    one = ", ".join(text.replace("=", ": ") for text in order)
    with pytest.raises(UsageError, match=told):
        load_recipe("t1w", [f"training.search={{grid: {{{one}}}}}"])
    # nor does it put one in the place of another that the recipe has
    first = load_recipe("t1w", both[:1])
    known = order[0].partition("=")[0]
    with pytest.raises(UsageError, match=f"the grid has {known} already, and one of the two"):
        apply_values(first, {key: read_yaml(text, "") for key, text in [both[1].split("=")]})
    assert list(apply_values(first, {f"training.search.grid.{known}": [
        {"head": 0.3}, {"head": 0.4}] if known == "training.lr" else [0.3, 0.4]
    }).training.search.grid) == [known]  # fmt: skip


def test_neither_does_a_file_nor_a_variant(tmp_path):
    path = tmp_path / "mine.yaml"
    text = (
        "name: mine\nsummary: A test\nnetwork: {start: random}\n"
        "training: {search: {grid: {training.lr: [{head: .1}, {head: .2}]%s}}}\nvariants:\n"
    )
    path.write_text(text % ", training.lr.head: [.1, .2]" + "  other: {training.epochs: 3}\n")
    with pytest.raises(UsageError, match=r"training.lr.head is a part of training.lr, which is"):
        load_recipe(path)
    path.write_text(text % "" + "  other: {training.search.grid.training.lr.head: [.1, .2]}\n")
    told = "variants.other.training.search.grid.training.lr.head: the grid has training.lr already"
    with pytest.raises(UsageError, match=told):
        load_recipe(path)
    path.write_text(text % "" + "  other: {training.search.draw: 2}\n")
    recipe = load_recipe(path)
    with pytest.raises(UsageError, match=told):
        apply_values(recipe, {"variants.other.training.search.grid.training.lr.head": [0.1, 0.2]})


@pytest.mark.parametrize(
    "both",
    [
        ("training.lr=0.1", "training.lr.head=0.5"),
        ("network.start.variant=a", "network.start=random"),
    ],
)
def test_of_a_section_and_its_key_none_is_dropped_in_silence(both):
    with pytest.raises(UsageError, match=r"is a part of .*, which is given a value too"):
        load_recipe("t1w", both)


def test_a_key_of_a_variant_gives_way_to_a_part_of_it(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nsummary: A test\nnetwork: {start: random}\nvariants:\n"
        "  stage: {training.seed: 4}\n  other: {network.start: random, training.epochs: 3}\n"
    )
    recipe = load_recipe(path, ["variants.other.network.start.variant=stage"])
    other = recipe.with_variant("other")
    assert (other.network.start.variant, other.training.epochs) == ("stage", 3)


def test_too_many_settings_are_refused_unless_some_are_drawn():
    many = ", ".join(str(k / 1000) for k in range(25))
    grid = (
        f"training.search={{grid: {{training: {{weight_decay: [{many}], "
        f"augmentation: {{noise: [{many}]}}}}}}"
    )
    with pytest.raises(UsageError, match="gives 625 settings, and at most 500 are tried"):
        load_recipe("t1w", [grid + "}"])
    drawn = load_recipe("t1w", [grid + ", draw: 5, seed: 3}"]).training.search
    assert (
        drawn.settings
        == load_recipe("t1w", [grid + ", draw: 5, seed: 3}"]).training.search.settings
    )
    other = load_recipe("t1w", [grid + ", draw: 5, seed: 4}"]).training.search
    assert len(drawn.settings) == 5
    assert drawn.settings != other.settings
    everything = list(load_recipe("t1w", [grid + ", draw: 100}"]).training.search.settings)
    assert len({str(setting) for setting in everything}) == 100


def test_settings_come_in_the_order_of_the_grid_and_become_recipes():
    text = "{grid: {network: {depth: [18, 10]}, training: {lr: [{head: 1e-2}, {head: 1e-3}]}}}"
    recipe = load_recipe("t1w", [f"training.search={text}"])
    settings = recipe.training.search.settings
    assert [setting_words(setting) for setting in settings] == [
        "network.depth 18, training.lr head 0.01",
        "network.depth 18, training.lr head 0.001",
        "network.depth 10, training.lr head 0.01",
        "network.depth 10, training.lr head 0.001",
    ]
    made = at_setting(recipe, settings[-1])
    assert (made.network.depth, made.training.lr.head, made.training.search) == (10, 1e-3, None)
    assert made.training.lr.backbone == recipe.training.lr.backbone


def test_a_variant_adds_a_key_to_the_grid_of_the_base_or_leaves_the_search_out(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nsummary: A test\nnetwork: {start: random}\n"
        "training: {search: {grid: {network.depth: [10, 18]}}}\n"
        "variants:\n"
        "  more: {training.search.grid: {training.weight_decay: [0.0, 0.1]}}\n"
        "  none: {training.search: null}\n"
        "  bad: {training.search.grid.network.depth: [10, 18]}\n"
    )
    recipe = load_recipe(path)
    more = recipe.with_variant("more").training.search
    assert list(more.grid) == ["network.depth", "training.weight_decay"]
    assert recipe.with_variant("none").training.search is None
    text = path.read_text().replace("[10, 18]}\n", "[10, 19]}\n")
    path.write_text(text)
    told = r"(?s)variants.bad.training.search.grid.network.depth: resnet offers .* got 19"
    with pytest.raises(UsageError, match=told):
        load_recipe(path)


@pytest.mark.parametrize(
    ("name", "variant", "cost"),
    [
        (
            "teh2022",
            "searched",
            "10 folds × (40 of 41040 settings × 3 inner folds + 1) = 1210",
        ),
        (
            "teh2022",
            "paper_searched",
            "(40 of 41040 settings × the fold itself + 1) = 410",
        ),
        ("teh2022", "compact_searched", "4 folds × (4 settings × 2 inner folds + 1) = 36 networks"),
        (
            "morales2021",
            "femur_all_searched",
            "5 folds × ((48 settings + 3 first stages) × 1 inner fold + 2) = at most 265 networks",
        ),
        ("morales2021", "femur_all_grid72", "((72 settings + 3 first stages) × 1 inner fold + 2)"),
        ("morales2021", "compact_searched", "= at most 32 networks"),
        ("wang2023", "searched", "10 folds × (9 settings × 3 inner folds + 1) = 280 networks"),
        ("wang2023", "paper_searched", "1 fold × (3 settings × the fold itself + 1) = 4 networks"),
        (
            "wang2023",
            "compact_searched",
            "5 folds × (4 settings × 2 inner folds + 1) = 45",
        ),
    ],
)
def test_studies_that_were_tuned_have_their_grid_with_its_cost(name, variant, cost):
    recipe = load_recipe(name)
    assert cost in search_cost(recipe, [variant])
    leaks = [step.name for step in recipe.with_variant(variant).leaks()]
    assert ("training.search.fit: dataset" in leaks) == variant.startswith("paper")


def test_the_printed_grid_of_the_knees_has_72_networks_of_which_48_need_no_file():
    recipe = load_recipe("morales2021")
    for bone in ("femur", "tibia", "patella"):
        one = recipe.with_variant(f"{bone}_all_searched")
        starts = {setting["network.start"]["variant"] for setting in one.training.search.settings
                  if setting["network.start"] != "random"}  # fmt: skip
        assert starts == {f"oa_{bone}_all"}
        assert recipe.stages([f"{bone}_all_searched"]) == (f"oa_{bone}_all",)
        assert one.training.search.count == 48
    assert recipe.with_variant("femur_all_grid72").training.search.count == 72


def test_what_settings_fit_counts_among_the_leaks_of_paper_mode():
    grid = {"training.checkpoint": ["last", "test_fold"]}
    with pytest.raises(ValidationError, match="test_fold is refused in strict mode"):
        small_recipe(training={"search": {"grid": grid}})
    recipe = small_recipe(mode="paper", training={"search": {"grid": grid}})
    assert [step.name for step in recipe.leaks()] == ["training.checkpoint: test_fold"]


BEGUN = [
    ("network.start: [random, {variant: oa_femur_al}]", "did you mean oa_femur_all?"),
    ("network.start: [random, {variant: mine}]", "mine would begin with itself"),
    (
        "network.start: [random, {variant: oa_femur_thick}]",
        "number of channels is 3 here and 1",
    ),
    (
        "network.start: [random, {variant: femur_t2}]",
        "femur_t2 begins with a variant itself, or",
    ),
    ("network.start: [random, rnd]", "did you mean random?, got 'rnd' (at network.start rnd)"),
    ("network.start: [random, medicalnet]", "MedicalNet's weights go with network.dims: 3"),
]


@pytest.mark.parametrize(("grid", "told"), BEGUN)
def test_what_settings_cannot_begin_with_is_refused(grid, told):
    with pytest.raises(UsageError) as error:
        load_recipe("morales2021", [f"variants.mine.training.search.grid={{{grid}}}"])
    assert told in str(error.value)
    assert "variants.mine.training.search.grid.network.start" in str(error.value)
