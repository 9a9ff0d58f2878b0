import dataclasses
import json
import random
import re
import shutil

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from markdown_it import MarkdownIt

from bidsapp.api import open_model
from bidsapp.errors import BadData, NoInput, TemporaryFailure
from bidsapp.networks.bundle import load_bundle
from bidsapp.networks.bundle_about import CLINICAL, COHORT
from bidsapp.networks.bundle_images import IMAGES, TrainingImage
from bidsapp.networks.bundle_models import FoldModel
from bidsapp.networks.bundle_write import add_saliency_checks, write_bundle
from bidsapp.networks.model_card import model_card
from bidsapp.networks.model_facts import ModelFacts
from bidsapp.networks.origin import cohort_metadata, origin_of
from bidsapp.networks.predict import predict
from bidsapp.recipes.loading import apply_values
from bidsapp.spaces.volume import slab
from bidsapp.training.fold import fitted_of, score_fold, train_fold
from bidsapp.training.search import at
from tests.unit.synthetic_cohort import prepare_tasks, small_recipe

MODELS_JSON = "configs/models.json"
FITTED = "models/repeat-0_fold-1_fitted.safetensors"
FACTS = ModelFacts(
    name="small-base",
    participants=24,
    scans=24,
    positive=12,
    held_out={"AUC": "0.71 (95 % CI 0.52 to 0.90)"},
    data_source="noise",
    protocol="2-fold cross-validation: in each fold, 12 were trained on and 12 held out",
    scored="Every one was scored by models that had not seen them",
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Another number of threads gives other bits; folds were trained with one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two trained folds, their held-out scores, and the bundle made of them."""
    folder = tmp_path_factory.mktemp("bundle")
    tasks = prepare_tasks(folder, small_recipe(protocol={"folds": 2}))
    models, scores = [], []
    for task in tasks:
        train_fold(task)
        models.append(FoldModel(task.repeat, task.fold, task.model_file, fitted_of(task)))
        scores.append(score_fold(task))
    window = tasks[0].images.space
    bundle = write_bundle(folder / "model" / "base", tasks[0].recipe, window, models, FACTS)
    return tasks, scores, bundle


@pytest.fixture
def bundle(trained, tmp_path):
    """A copy of the bundle, to be damaged."""
    return shutil.copytree(trained[2], tmp_path / "copy")


def test_a_bundle_gives_the_scores_of_its_folds(trained):
    tasks, scores, folder = trained
    bundle = load_bundle(folder)
    array = tasks[0].images.open()
    answer = predict(bundle, np.asarray(array, np.float32), device="cpu")
    assert answer.per_model.shape == (24, 2)
    np.testing.assert_allclose(answer.mean, answer.per_model.mean(axis=1))
    np.testing.assert_allclose(
        answer.sd, np.abs(np.diff(answer.per_model, axis=1))[:, 0] / np.sqrt(2)
    )
    for column, (task, held_out) in enumerate(zip(tasks, scores, strict=True)):
        mine = predict(bundle, array[task.rows("test")], device="cpu").per_model[:, column]
        np.testing.assert_array_equal(mine, held_out["probability"])
    assert bundle.recipe == tasks[0].recipe
    assert bundle.space == tasks[0].images.space


def test_each_model_answers_in_the_precision_that_its_search_chose(tmp_path):
    grid = {"training.precision": ["bfloat16", "float32"], "training.batch_size": [6, 5]}
    asked = {"epochs": 1, "precision": "bfloat16", "search": {"grid": grid, "inner_folds": 2}}
    recipe = small_recipe(training=asked, protocol={"folds": 2})
    tasks = prepare_tasks(tmp_path, recipe)
    settings = recipe.training.search.settings
    done = [at(task, setting) for task, setting in zip(tasks, settings[1:3], strict=True)]
    assert [one.recipe.training.precision for one in done] == ["bfloat16", "float32"]
    models, scores = [], []
    for task in done:
        train_fold(task)
        model = FoldModel(
            task.repeat, task.fold, task.model_file, fitted_of(task), task.setting
        )  # fmt: skip
        models.append(model)
        scores.append(score_fold(task))
    folder = write_bundle(tmp_path / "model" / "base", recipe, tasks[0].images.space, models, FACTS)
    array = tasks[0].images.open()
    for column, (task, held_out) in enumerate(zip(tasks, scores, strict=True)):
        mine = predict(load_bundle(folder), array[task.rows("test")], device="cpu")
        np.testing.assert_array_equal(mine.per_model[:, column], held_out["probability"])


def test_python_opens_a_model_and_predicts_people_from_their_images(trained):
    tasks, _, folder = trained
    model = open_model(folder)
    images = {
        name: tasks[0].array.parent.parent / f"{name}_t1w.nii.gz" for name in ("sub-03", "sub-08")
    }
    answers = model.predict(images, device="cpu")
    rows = tasks[0].images.rows_of(list(images))
    right = predict(model.bundle, tasks[0].images.open()[rows], device="cpu")
    np.testing.assert_allclose(answers["probability"], right.mean, atol=1e-6)
    np.testing.assert_allclose(answers["probability_sd"], right.sd, atol=1e-6)
    assert (list(answers.index), model.channels) == (list(images), ("t1w",))
    alone = model.predict({"someone": {"t1w": images["sub-08"]}}, device="cpu")
    assert alone["probability"].item() == pytest.approx(right.mean[1], abs=1e-3)
    with pytest.raises(BadData, match="2 images given, the model reads 1: t1w"):
        model.predict({"a": list(images.values())})
    with pytest.raises(NoInput, match="no images were given"):
        model.predict({})


def test_metadata_and_card_say_what_a_reader_needs(trained):
    bundle = load_bundle(trained[2])
    about = bundle.metadata
    image = about["network_data_format"]["inputs"]["image"]
    assert image["spatial_shape"] == [20, 24, 12]
    assert image["num_channels"] == 1
    assert image["value_range"] == [0, 1]
    assert about["pytorch_version"] in torch.__version__
    assert about["space"]["template"] == "MNI152NLin2009aSym"
    assert about["space"]["affine"][2][3] == -20 + 2 * 4
    assert "not for decisions about single people" in about["intended_use"].lower()
    for key in ("monai_version", "numpy_version", "changelog", "task", "authors", "copyright"):
        assert about[key]
    card = (trained[2] / "docs" / "README.md").read_text()
    for text in (
        "24 participants",
        "12 positive (50%)",
        "0.71 (95 % CI",
        "pain = yes",
        "(-20, -24, -12)",
        "--model PATH/TO/BUNDLE\n",
        "2-fold cross-validation",
        "No subgroups were evaluated",
        "0 left out",
    ):
        assert text in card
    assert "{" not in card
    assert about["limits"]
    assert "2-fold" in about["protocol"]


def test_the_checks_of_its_maps_are_put_into_a_bundle_and_nothing_else_is_changed(bundle):
    before = load_bundle(bundle)
    files = {path: path.read_bytes() for path in bundle.rglob("*.*") if path.is_file()}
    add_saliency_checks(bundle, {"method": "gradient", "verdict": "fail", "sentences": ["Fail."]})
    after = load_bundle(bundle)
    assert after.metadata == before.metadata | {
        "saliency_checks": {"method": "gradient", "verdict": "fail", "sentences": ["Fail."]}
    }
    assert after.sha256 != before.sha256
    changed = {path.name for path, content in files.items() if path.read_bytes() != content}
    assert changed == {"metadata.json", "manifest.json"}
    assert {path for path in bundle.rglob("*.*") if path.is_file()} == set(files)
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_what_weakens_a_model_stands_on_its_card(trained, tmp_path):
    tasks, _, folder = trained
    models = load_bundle(folder).models
    facts = ModelFacts(
        "base",
        24,
        24,
        12,
        {"auc": "0.71 (95 % CI 0.62 to 0.80, x)"},
        excluded=3,
        subgroups={"sex=F": "0.60, n = 10"},
        doubts=("base (AUC 0.71) is not shown to do better than age_sex.",),
    )
    window = tasks[0].images.space
    path = write_bundle(tmp_path / "with space", tasks[0].recipe, window, models, facts)
    card = (path / "docs" / "README.md").read_text()
    assert "- base (AUC 0.71) is not shown to do better than age_sex." in card
    assert "| sex=F | 0.60, n = 10 |" in card
    assert "3 left out" in card
    about = load_bundle(path).metadata
    assert about["limits"][-1] == facts.doubts[0]
    assert about["cohort"]["excluded"] == 3
    assert "LEAK" not in card


def test_a_card_shows_names_from_data_as_they_are_and_obeys_none(trained, tmp_path):
    tasks, _, folder = trained
    recipe = apply_values(
        tasks[0].recipe,
        {"outcome.column": "pain](http://x)<img>", "outcome.positive": ["\u202eon"]},
    )
    facts = dataclasses.replace(
        FACTS, subgroups={"a|b=\u202e*c*": "0.60"}, doubts=("[site](http://x) tells\nas much.",)
    )
    hostile = "# `x`\n<b>[y](http://z)</b> __w__ 1. ~~v~~"
    facts = dataclasses.replace(
        facts, stamps=(hostile,), protocol=hostile, scored=hostile, tried=hostile,
        data_source=hostile,
    )  # fmt: skip
    window, models = tasks[0].images.space, load_bundle(folder).models
    path = write_bundle(tmp_path / "card", recipe, window, models, facts)
    card = (path / "docs" / "README.md").read_text()
    assert "\u202e" not in card
    assert r"pain\](http://x)\<img> = \<U+202E>on" in card
    assert r"| a\|b=\<U+202E>\*c\* | 0.60 |" in card
    assert r"- \[site\](http://x) tells as much." in card
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(card)
    shown = "# `x` &lt;b&gt;[y](http://z)&lt;/b&gt; __w__ 1. ~~v~~"
    assert page.count(shown) == 5
    assert f"<strong>{shown}</strong>" in page
    assert not re.search("<(a|b|img|h1>#|del)[ >]", page)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "three-dimensional resnet 10, starting from random weights; AdamW on binary cross-"),
        ({"training.optimizer": "sgd"}, "stochastic gradient descent on binary cross-entropy, at"),
        (
            {"training.loss": "cross_entropy", "network.outputs": 2},
            "AdamW on cross-entropy of two outputs, at most",
        ),
        ({"network.dims": 2}, "two-dimensional resnet 10"),
    ],
)
def test_a_card_tells_the_network_and_the_training_of_the_recipe(trained, values, words):
    tasks, _, _ = trained
    recipe = apply_values(tasks[0].recipe, values)
    assert words in " ".join(model_card(recipe, tasks[0].images.space, 2, FACTS).split())


def test_positive_scans_are_not_told_as_people(trained, tmp_path):
    tasks, _, bundle = trained
    facts = dataclasses.replace(FACTS, participants=10, scans=20, positive=5, by_scan=True)
    folder = write_bundle(
        tmp_path / "b", tasks[0].recipe, tasks[0].images.space, load_bundle(bundle).models, facts
    )
    card = (folder / "docs" / "README.md").read_text()
    assert "20 scans of 10 participants, 5 positive (25%), 15 negative;" in card
    assert load_bundle(folder).metadata["cohort"]["positive_of"] == "scans"


def test_stamps_stand_in_card_and_metadata(trained, tmp_path):
    tasks, _, folder = trained
    models = load_bundle(folder).models
    facts = ModelFacts("leaky", 24, 24, 12, {}, stamps=("LEAK: zscore sees the test fold",))
    path = write_bundle(tmp_path / "leaky", tasks[0].recipe, tasks[0].images.space, models, facts)
    assert "**LEAK: zscore" in (path / "docs" / "README.md").read_text()
    assert load_bundle(path).metadata["leaks"] == ["LEAK: zscore sees the test fold"]
    assert (path / "recipe.yaml").read_text().startswith("# LEAK: zscore sees the test fold\n")
    about = json.loads((path / "configs" / "models.json").read_text())
    assert about["stamps"] == ["LEAK: zscore sees the test fold"]


def test_writing_again_replaces_and_the_hash_follows_the_contents(trained, tmp_path):
    tasks, _, folder = trained
    first = load_bundle(folder)
    place = tmp_path / "b"
    for models in (first.models, first.models[:1]):
        write_bundle(place, tasks[0].recipe, first.space, models, FACTS)
    again = load_bundle(place)
    assert len(again.models) == 1
    assert again.sha256 != first.sha256
    write_bundle(place, tasks[0].recipe, first.space, first.models, FACTS)
    assert load_bundle(place).sha256 == first.sha256
    assert [p.name for p in tmp_path.iterdir()] == ["b"]
    alone = predict(again, tasks[0].images.open()[:2], device="cpu")
    assert np.isnan(alone.sd).all()


def change(path, offset=-5):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


WEIGHTS = "models/repeat-0_fold-1.safetensors"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: change(b / WEIGHTS), f"{WEIGHTS} is not what was written"),
        (lambda b: (b / WEIGHTS).unlink(), f"{WEIGHTS} is missing"),
        (lambda b: change(b / "recipe.yaml"), "recipe.yaml is not what was written"),
        (lambda b: change(b / "configs" / "models.json"), "models.json is not what was written"),
        (lambda b: (b / "configs" / "manifest.json").write_text("{"), "manifest.json cannot be"),
        (lambda b: (b / "configs" / "manifest.json").write_text("[]"), "no JSON object"),
        (lambda b: manifest(b, {"format": 99}), "format 99"),
        (lambda b: manifest(b, {"files": {}}), "does not list the files"),
        (lambda b: listed(b, "../outside", "0"), "lies outside"),
    ],
)
def test_a_damaged_bundle_is_refused_with_what_is_wrong(bundle, damage, message):
    load_bundle(bundle)
    damage(bundle)
    with pytest.raises(BadData, match=message):
        load_bundle(bundle)


def test_a_flipped_bit_anywhere_is_noticed_or_changes_nothing(bundle):
    sound = load_bundle(bundle)
    draw = random.Random(0)
    for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for _ in range(12 if path.name == "manifest.json" else 2):
            flipped = bytearray(content)
            flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
            path.write_bytes(flipped)
            try:
                found = load_bundle(bundle)
            except BadData:
                continue
            assert path.name == "manifest.json"  # white space, which means nothing
            assert (found.metadata, found.weights_sha256) == (sound.metadata, sound.weights_sha256)
        path.write_bytes(content)


@pytest.mark.parametrize("state", ["changed", "removed"])
def test_weights_that_go_after_the_bundle_was_opened_are_never_answered_with(bundle, state):
    """Hours may lie between; another fold's weights fit the network, and would answer."""
    opened = load_bundle(bundle)
    first, second = (model.weights for model in opened.models)
    if state == "changed":
        shutil.copyfile(second, first)
    else:
        first.unlink()
    images = np.zeros((1, 1, *opened.space.shape), np.float16)
    with pytest.raises(TemporaryFailure, match=f"{first.name} was {state} since the run began"):
        predict(opened, images, device="cpu")


def test_an_anonymous_bundle_holds_no_hash_and_the_card_says_what_they_give_away(trained, tmp_path):
    tasks, _, folder = trained
    hashes = ("ab" * 32, "cd" * 32)
    told = tmp_path / "told.safetensors"
    state = safetensors.torch.load_file(tasks[0].model_file)
    safetensors.torch.save_file(state, told, metadata=cohort_metadata(hashes, None, ""))
    model = dataclasses.replace(load_bundle(folder).models[0], weights=told)
    args = (tasks[0].recipe, tasks[0].images.space, [model], FACTS, [TrainingImage(*hashes, ())])
    for anonymous, says in ((False, "can tell from it that this person was"), (True, "n/a; their")):
        made = write_bundle(tmp_path / "made", *args, anonymous=anonymous)
        card = " ".join((made / "docs" / "README.md").read_text().split())
        assert says in card
        content = b"".join(path.read_bytes() for path in made.rglob("*.*"))
        assert [digest.encode() in content for digest in hashes] == [not anonymous] * 2
        opened = load_bundle(made)
        assert (opened.images is None) is anonymous
        assert (origin_of(opened.models[0].weights).images is None) is anonymous
        found = safetensors.torch.load_file(opened.models[0].weights)
        assert all(torch.equal(found[key], value) for key, value in state.items())


def manifest(bundle, values):
    path = bundle / "configs" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def listed(bundle, name, digest):
    files = json.loads((bundle / "configs" / "manifest.json").read_text())["files"]
    manifest(bundle, {"files": files | {name: digest}})


def reseal(bundle, name):
    import hashlib

    listed(bundle, name, hashlib.sha256((bundle / name).read_bytes()).hexdigest())


def test_a_sealed_bundle_whose_parts_do_not_fit_is_refused(bundle):
    weights = safetensors.torch.load_file(bundle / WEIGHTS)
    safetensors.torch.save_file(weights | {"fc.bias": torch.zeros(2)}, bundle / WEIGHTS)
    reseal(bundle, WEIGHTS)
    with pytest.raises(BadData, match=r"does not fit the network of recipe.yaml: fc.bias"):
        load_bundle(bundle)
    (bundle / WEIGHTS).write_bytes(b"no tensors")
    reseal(bundle, WEIGHTS)
    with pytest.raises(BadData, match=r"repeat-0_fold-1\.safetensors"):
        load_bundle(bundle)


def test_a_recipe_that_would_run_code_is_refused(bundle, tmp_path):
    proof = tmp_path / "proof"
    text = f"name: !!python/object/apply:os.mkdir ['{proof}']\n"
    (bundle / "recipe.yaml").write_text(text)
    reseal(bundle, "recipe.yaml")
    with pytest.raises(BadData, match="bundle"):
        load_bundle(bundle)
    assert not proof.exists()


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"0.mean": [0.1], "0.sd": [0.0]}, "not finite, or sd not above 0"),
        ({"0.mean": [0.1], "0.sd": [-1.0]}, "not finite, or sd not above 0"),
        ({"0.mean": [np.nan], "0.sd": [1.0]}, r"0\.mean holds NaN or infinite"),
        ({"0.mean": [0.1, 0.2], "0.sd": [1.0]}, "mean and sd differ in length"),
        ({"0.mean": [0.1, 0.2], "0.sd": [1.0, 1.0]}, "mean has 2 numbers, not 1"),
        ({"0.mean": [], "0.sd": []}, r"mean has 0 numbers, .* they are of train_fold"),
        ({"0.mean": [0.1]}, "'sd'"),
        ({"1.mean": [0.1]}, r"1\.mean belongs to no step"),
    ],
)
def test_fitted_numbers_that_cannot_be_are_refused(bundle, numbers, message):
    arrays = {name: np.array(values, float) for name, values in numbers.items()}
    safetensors.numpy.save_file(arrays, bundle / FITTED)
    reseal(bundle, FITTED)
    with pytest.raises(BadData, match=rf"models\[1\]: .*{message}"):
        load_bundle(bundle)
    (bundle / FITTED).write_bytes(b"no numbers")
    reseal(bundle, FITTED)
    with pytest.raises(BadData, match=r"models\[1\]: repeat-0_fold-1_fitted"):
        load_bundle(bundle)


def test_fitted_numbers_that_the_manifest_does_not_list_are_not_opened(bundle):
    edited(bundle, MODELS_JSON, "models", 0, "fitted", value="../fitted.safetensors")
    with pytest.raises(BadData, match=r"names ../fitted.safetensors, which .* does not list"):
        load_bundle(bundle)


def test_a_bundle_without_a_window_is_refused(bundle):
    path = bundle / MODELS_JSON
    about = json.loads(path.read_text())
    del about["window"]
    path.write_text(json.dumps(about))
    reseal(bundle, MODELS_JSON)
    with pytest.raises(BadData, match=r"lacks .*window"):
        load_bundle(bundle)


def test_what_is_no_bundle_is_said(tmp_path):
    with pytest.raises(NoInput, match="there is no such folder"):
        load_bundle(tmp_path / "none")
    with pytest.raises(NoInput, match=r"no NociCast model bundle$"):
        load_bundle(tmp_path)


def test_the_bundles_beside_what_is_none_are_named(bundle, tmp_path):
    run = tmp_path / "run"
    meant = run / "model" / "axial"
    shutil.copytree(bundle, meant)
    for wrong in (run, run / "model", run / "model" / "mean"):
        with pytest.raises(NoInput, match=rf"; these are: {re.escape(str(meant))}$"):
            load_bundle(wrong)


def test_images_of_another_grid_are_refused(trained):
    bundle = load_bundle(trained[2])
    with pytest.raises(BadData, match=r"reads images of shape \(1, 20, 24, 12\)"):
        predict(bundle, np.zeros((2, 1, 20, 24, 13), np.float32))
    bundle.require(bundle.space)
    other_grid = slab((20, 24, 20), np.eye(4), "axial", 12)
    other_place = slab((20, 24, 20), np.array(bundle.space.to_dict()["grid_affine"]), "coronal", 12)
    for window in (other_grid, other_place):
        with pytest.raises(BadData, match="prepare it with the bundle's recipe"):
            bundle.require(window)
    bad = np.zeros((1, 1, 20, 24, 12), np.float32)
    bad[0, 0, 0, 0, 0] = np.nan
    with pytest.raises(BadData, match="NaN"):
        predict(bundle, bad)


def edited(bundle, name, *keys, value):
    """Change one value of a JSON file of a bundle, and its hash with it."""
    content = json.loads((bundle / name).read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (bundle / name).write_text(json.dumps(content))
    reseal(bundle, name)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("models", 0, "repeat"), float("inf"), r"models.json: models\[0\].repeat is not a finite"),
        (("window", "shape"), [20, float("inf"), 12], r"models.json: window.shape\[1\] is not a"),
        (("window", "shape"), [20, -5, 12], "the window cannot be used: shape is not 3"),
        (("window", "shape"), [1e300, 20, 20], "shape is not 3 whole numbers from 1 to 32767"),
        (("window", "start"), [-(10**30), 0, 0], "start is not 3 whole numbers from -32767 to"),
        (("window", "grid_shape"), [0, 24, 20], "the window cannot be used: grid_shape"),
        (("window", "shape"), [2000, 2000, 2000], "shape 2000 × 2000 × 2000 .* most 536,870,912"),
        (("window", "grid_affine"), [[0] * 4] * 4, "grid_affine cannot be inverted"),
        (("models", 0, "fold"), -1, "-1 is not the number of a repetition or a fold"),
        (("models", 0, "repeat"), 0.5, "0.5 is not the number of a repetition or a fold"),
        (("volumes",), 10**30, f"volumes {10**30} is not a number of volumes, 0 to 32,767"),
        (("volumes",), 10**9, "volumes 1000000000 is not a number of volumes"),  # a name for each
        (("volumes",), 2.5, "volumes 2.5 is not a number of volumes"),
        (("volumes",), -1, "volumes -1 is not a number of volumes"),
        (("models", 0, "repeat"), True, "True is not the number of a repetition or a fold"),
    ],
)
def test_a_sealed_bundle_with_numbers_that_cannot_serve_is_refused(bundle, keys, value, message):
    edited(bundle, MODELS_JSON, *keys, value=value)
    with pytest.raises(BadData, match=message):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "name", [MODELS_JSON, "configs/manifest.json", str(IMAGES), str(CLINICAL), str(COHORT)]
)
def test_json_that_is_nested_too_deeply_is_refused(bundle, name):
    (bundle / name).write_text('{"a":' + "[" * 100_000 + "]" * 100_000 + "}")
    if "manifest" not in name:
        reseal(bundle, name)
    with pytest.raises(BadData, match=f"^bundle {bundle}: {name} cannot be read: [^:]*: nested"):
        load_bundle(bundle)


def test_names_that_make_no_file_are_refused(bundle):
    edited(bundle, "configs/metadata.json", "name", value="///")
    with pytest.raises(BadData, match=r"metadata.json: name '///' has no letter"):
        load_bundle(bundle)
    listed(bundle, "a" * 5000, "0")
    with pytest.raises(BadData, match=r"manifest.json lists aaa.* of 5000 characters"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("change_of", "message"),
    [
        (lambda w: w * torch.nan, "fc.bias holds NaN"),
        (lambda w: w.bool(), "fc.bias is bool instead of float32"),
        (lambda w: w.int(), "fc.bias is int32 instead of float32"),
    ],
)
def test_weights_that_cannot_serve_are_refused(bundle, change_of, message):
    weights = safetensors.torch.load_file(bundle / WEIGHTS)
    weights["fc.bias"] = change_of(weights["fc.bias"])
    safetensors.torch.save_file(weights, bundle / WEIGHTS)
    reseal(bundle, WEIGHTS)
    with pytest.raises(BadData, match=rf"fold-1.safetensors: {message}"):
        load_bundle(bundle)
