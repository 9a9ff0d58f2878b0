"""Recipes as a user meets them: packaged ones, overrides, variants, writing and reading."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bidsapp.recipes
from bidsapp.contracts.network import network_offers
from bidsapp.errors import UsageError
from bidsapp.recipes import (
    apply_values,
    dump_recipe,
    keys_of,
    list_recipes,
    load_recipe,
    reach_variants,
)
from bidsapp.recipes.schema import Recipe
from bidsapp.recipes.values import merged
from tests.unit.recipe_checks import (
    CHECKS,
    leaks_only_in_mode_paper_and_says_so,
    trains_by_itself_nothing_that_leaks,
)

MINIMAL = "name: mine\nsummary: A test\nnetwork: {weights: random}\n"


@pytest.fixture
def write(tmp_path):
    def to_file(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe(check, name):
    check(name)


def test_a_recipe_that_breaks_a_rule_fails_its_check(monkeypatch):
    """The checks see what a recipe is, not which it is."""
    leaking = load_recipe("t1w", ["mode=paper", "representation.zscore=dataset"])
    monkeypatch.setattr("tests.unit.recipe_checks.loaded", lambda name: leaking)
    for broken in (leaks_only_in_mode_paper_and_says_so, trains_by_itself_nothing_that_leaks):
        with pytest.raises(AssertionError):
            broken("t1w")


def test_listing_needs_neither_pydantic_nor_yaml():
    code = (
        "import sys; from bidsapp.recipes import list_recipes; print(*list_recipes());"
        "sys.exit(bool({'pydantic', 'pydantic_core', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    files = Path(bidsapp.recipes.__file__).parent.glob("*.yaml")
    assert done.stdout.split() == sorted(path.stem for path in files)


def test_every_key_is_described_and_has_a_type():
    rows = list(keys_of(Recipe))
    assert len({row.key for row in rows}) == len(rows)
    assert [row.key for row in rows if not row.description or not row.type] == []
    assert [row.key for row in rows if not row.default] == [
        "name",
        "summary",
        "network",
        "network.start",
        "network.origin.dataset",
        "network.origin.participants",
        "training.search.grid",
    ]
    assert {"training.lr.head", "training.early_stopping.patience"} <= {row.key for row in rows}


def test_a_minimal_recipe_has_the_house_defaults(write):
    recipe = load_recipe(write(MINIMAL))
    assert recipe.mode == "strict"
    assert recipe.outcome.column is None
    told = recipe.preparation.plain()
    assert told["template"] == "MNI152NLin2009aSym"
    assert (told["resolution"], told["box"]) == (2, "spm12")
    assert (recipe.representation.plane, recipe.representation.slices) == ("axial", 30)
    assert recipe.representation.zscore == "train_fold"
    assert (recipe.protocol.folds, recipe.protocol.stratified) == (8, True)
    assert recipe.selected() == (("base",), ())


@pytest.mark.parametrize(
    ("overrides", "key", "value"),
    [
        (["training.lr.head=1e-3"], "training.lr.head", 0.001),
        (["training.lr.head=1"], "training.lr.head", 1.0),
        (["training.epochs=5", "training.epochs=7"], "training.epochs", 7),
        (["outcome.positive=[yes, no, 012, true]"], "outcome.positive", ("yes", "no", "012", True)),
        (["protocol={kind: holdout, test_size: .2}"], "protocol.folds", None),
        (["saliency.method=grad_cam"], "saliency.stage", 4),
        (["preparation={template: OASIS30ANTs, box: template}"], "preparation.box", "template"),
    ],
)
def test_a_good_override_is_taken_as_yaml(overrides, key, value):
    found = load_recipe("attias2025", overrides)
    for part in key.split("."):
        found = getattr(found, part)
    assert (type(found), found) == (type(value), value)


def test_a_file_beside_the_user_is_found_without_a_suffix(write, monkeypatch):
    path = write("\ufeff" + MINIMAL)
    path.rename(path.with_suffix(""))
    monkeypatch.chdir(path.parent)
    assert load_recipe("mine").name == "mine"


def test_changing_the_kind_takes_along_what_only_the_old_kind_uses():
    recipe = load_recipe("t1w", ["ensembles={}"])
    whole = apply_values(recipe, {"variants.whole": {"representation.kind": "volume"}})
    volume = whole.with_variant("whole").representation
    assert (volume.kind, volume.plane, volume.slices) == ("volume", None, None)
    assert volume.channels == recipe.representation.channels
    slab = apply_values(whole.with_variant("whole"), {"representation.kind": "slab"})
    assert (slab.representation.plane, slab.representation.slices) == ("axial", 30)


@pytest.mark.parametrize("name", [name for name in network_offers() if name != "resnet"])
def test_another_network_drops_the_options_that_only_the_one_before_had(name):
    offer, values = network_offers()[name], load_recipe("t1w").plain()
    assert values["network"]["stem_pool"] is True
    laid = merged(values, {"network.name": name, "network.depth": offer.depths[0]}, Recipe)
    assert ("stem_pool" in laid["network"]) == ("stem_pool" in offer.options)
    assert laid["network"]["start"] == "random"
    asked = merged(values, {"network.name": name, "network.stem_pool": True}, Recipe)
    assert asked["network"]["stem_pool"] is True  # what is asked for stays, to be refused


def test_an_option_that_the_named_network_lacks_is_refused():
    asked = ["network.name=voxnet", "network.depth=4", "network.stem_pool=true"]
    with pytest.raises(UsageError, match=r"network\.stem_pool: voxnet has no such option; leave"):
        load_recipe("t1w", asked)


def test_the_most_slices_depend_on_plane_and_resolution():
    for resolution, plane, most in [(2, "coronal", 95), (2, "sagittal", 79), (1, "axial", 156)]:
        values = {
            "preparation.resolution": resolution,
            "representation.plane": plane,
            "representation.slices": most,
        }
        recipe = load_recipe("t1w").with_variant("axial")
        assert apply_values(recipe, values).representation.slices == most
        with pytest.raises(UsageError, match=r"representation\.slices"):
            apply_values(recipe, values | {"representation.slices": most + 1})


def test_the_command_line_can_give_the_outcome():
    recipe = load_recipe("t1w")
    assert recipe.outcome.column is None
    given_outcome = {"outcome.column": "age_group", "outcome.positive": ["old"]}
    assert apply_values(recipe, given_outcome).outcome.positive == ("old",)
    study = apply_values(
        load_recipe("attias2025"),
        {"outcome.column": None, "outcome.positive": None, "outcome.expression": "pain >= 30"},
    )
    assert study.with_variant("coronal").outcome.expression == "pain >= 30"


def reached(overrides, *variants):
    return reach_variants(load_recipe("attias2025", overrides), overrides, variants)


def test_the_command_line_reaches_variants_that_do_not_differ_by_the_key():
    planes = ("compact", "compact_coronal", "compact_sagittal")
    recipe, (note,) = reached(["training.epochs=4"], *planes)
    assert [recipe.with_variant(name).training.epochs for name in planes] == [4, 4, 4]
    assert note == f"training.epochs is 4, in place of 12 of {', '.join(planes)}."
    assert recipe.with_variant("compact_sagittal").representation.plane == "sagittal"
    assert load_recipe("attias2025").with_variant("compact").training.epochs == 12
    recipe, _ = reached(["representation.zscore=train_fold"], "paper")
    assert recipe.with_variant("paper").representation.zscore == "train_fold"
    with pytest.raises(UsageError, match=r"refused in strict mode.*mode: paper runs it"):
        reached(["mode=strict"], "paper")


def test_what_variants_are_compared_by_stays_and_is_said():
    recipe, (note,) = reached(["protocol.seed=7"], "axial", "seed53", "seed123")
    seeds = [recipe.with_variant(name).protocol.seed for name in ("axial", "seed53", "seed123")]
    assert seeds == [7, 53, 123]
    assert "does not reach variants that set it themselves: seed53 (53), seed123 (123)" in note
    assert "--set variants.seed53.protocol.seed=7 does" in note
    recipe, notes = reached(["variants.seed53.protocol.seed=7"], "axial", "seed53")
    assert (recipe.with_variant("seed53").protocol.seed, notes) == (7, [])
    recipe, notes = reached(["training.epochs=4"], "axial", "coronal")
    assert (recipe.with_variant("coronal").training.epochs, notes) == (4, [])


def test_a_setting_of_a_step_is_of_the_variants_that_have_the_step():
    """The base and raw series have no selection, and get none by a setting of it."""
    key = "representation.fitted.outcome_selection.count"

    def counts(*variants):
        recipe = load_recipe("teh2022", [f"{key}=5"], variants)
        run, _ = recipe.selected(variants)
        recipe, notes = reach_variants(recipe, [f"{key}=5"], run)
        steps = {name: recipe.with_variant(name).representation.fitted for name in run}
        return {name: own.get("outcome_selection") for name, own in steps.items()}, notes

    none = dict.fromkeys(("all_components", "raw_series"))
    found, (note,) = counts()
    assert found == none | {"eight_components": {"count": 5}}
    assert note == f"{key} is 5 in eight_components; all_components, raw_series have no such step."
    assert counts("compact_eight_components") == ({"compact_eight_components": {"count": 5}}, [])
    assert counts("compact") == ({"compact": {"count": 5}}, [])  # asked for by its name
    with pytest.raises(UsageError, match=r"raw_series has no step outcome_selection; it is of eig"):
        counts("raw_series")
    with pytest.raises(UsageError, match=r"at least 1, got 0 \(set by representation.fitted"):
        load_recipe("teh2022", [f"{key}=0"])


def test_python_values_meet_the_same_checks_and_leave_the_recipe_alone():
    recipe = load_recipe("t1w")
    before = dump_recipe(recipe)
    assert apply_values(recipe, {"representation.channels": ("t1w",)}).representation.channels == (
        "t1w",
    )
    with pytest.raises(UsageError, match=r"recipe t1w: training\.epochs"):
        apply_values(recipe, {"training.epochs": -1})
    with pytest.raises(UsageError, match="the key 1 should be text"):
        apply_values(recipe, {"training": {1: 2}})
    assert dump_recipe(recipe) == before


def test_an_ensemble_brings_its_members_along():
    recipe = load_recipe("attias2025")
    planes = ("axial", "coronal", "sagittal")
    assert recipe.selected() == (planes, ("majority_vote", "mean_probability"))
    assert recipe.selected(["mean_probability"]) == (planes, ("mean_probability",))
    assert recipe.selected(["seed53", "axial"]) == (("axial", "seed53"), ())
    assert recipe.selected(["all"]) == (recipe.variant_names, tuple(recipe.ensembles))
    with pytest.raises(UsageError, match=r"'coronel' is unknown; did you mean coronal\?"):
        recipe.selected(["coronel"])
    with pytest.raises(UsageError, match="'whole' is unknown"):
        recipe.with_variant("whole")


def test_strict_recipes_have_no_leak_and_paper_mode_names_each():
    recipe = load_recipe("attias2025")
    assert recipe.leaks() == ()
    assert {step.name for step in recipe.with_variant("paper").leaks()} == {
        "representation.zscore: dataset",
        "evaluation.best_fold: true",
        "saliency.folds: best",
    }


text = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"))
HARD = ["yes", "NO", "1e-3", "012", "12:30", "2025-01-01", "~", "null", ".5", "=", "<<", "1_000"]
changes = st.fixed_dictionaries(
    {},
    optional={
        "notes": text,
        "outcome": st.fixed_dictionaries(
            {
                "column": text.filter(bool) | st.sampled_from(HARD),
                "positive": st.lists(
                    st.sampled_from(HARD) | text | st.integers() | st.floats(allow_nan=False),
                    min_size=1,
                    unique_by=lambda value: value,
                ),
            }
        ),
        "training.epochs": st.integers(1, 1000),
        "training.lr.head": st.floats(1e-30, 1),
        "training.augmentation": st.fixed_dictionaries({}, optional={"noise": st.floats(0, 100)}),
        "representation.slices": st.integers(1, 79),
        "representation.channels": st.permutations(["t1w", "log_jacobian"]),
        "evaluation.subgroups": st.lists(text.filter(bool) | st.sampled_from(HARD), unique=True),
        "variants.extra": st.fixed_dictionaries(
            {}, optional={"protocol.seed": st.integers(0, 9), "outcome.expression": st.none()}
        ),
    },
)


@settings(deadline=None)  # how long it takes says nothing of it
@given(changes)
def test_any_valid_change_survives_writing_and_reading(tmp_path_factory, values):
    recipe = apply_values(load_recipe("t1w"), values)
    path = tmp_path_factory.getbasetemp() / "changed.yaml"
    path.write_text(dump_recipe(recipe), encoding="utf-8", newline="")
    again = load_recipe(path)
    assert again == recipe
    assert dump_recipe(again) == dump_recipe(recipe)


@settings(deadline=None)  # as above
@given(st.integers(1, 1000), st.floats(1e-9, 1), st.sampled_from(["axial", "coronal", "sagittal"]))
def test_an_override_equals_the_value_given_in_python(epochs, rate, plane):
    texts = [f"training.epochs={epochs}", f"training.lr.head={rate!r}"]
    texts.append(f"representation={{plane: {plane}}}")
    values = {
        "training.epochs": epochs,
        "training.lr.head": rate,
        "representation.plane": plane,
    }
    assert load_recipe("t1w", texts) == apply_values(load_recipe("t1w"), values)


def test_words_of_an_outcome_go_with_it() -> None:
    told = load_recipe("wang2023").outcome
    assert told.words
    column = ["outcome.column=better", "outcome.positive=[1]", "outcome.expression=null"]
    for others in (column, ["outcome.expression=nrs_2mo <= 3"]):
        assert load_recipe("wang2023", others).outcome.words is None
        own = load_recipe("wang2023", [*others, "outcome.words=hardly any pain"]).outcome
        assert own.words == "hardly any pain"
    same = load_recipe("wang2023", ["outcome.words=pain halved"]).outcome
    assert (same.expression, same.words) == (told.expression, "pain halved")
