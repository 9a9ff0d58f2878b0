"""Columns of tables beside the pooled features: what they do, and that nothing leaks by them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from bidsapp.api import open_model
from bidsapp.cli import main
from bidsapp.dataset.new_people import NewPeople
from bidsapp.errors import BadData, UsageError
from bidsapp.evaluation.baseline_models import design_table, in_fold_model
from bidsapp.group_cohort import _require_covariates
from bidsapp.networks.bundle import load_bundle
from bidsapp.networks.bundle_models import FoldModel
from bidsapp.networks.bundle_write import write_bundle
from bidsapp.networks.columns_head import columns_of
from bidsapp.networks.predict import predict
from bidsapp.networks.registry import build_network
from bidsapp.representation.table_design import TableDesign
from bidsapp.saliency.attribute import attribute, images_of, lens_of, logits_of
from bidsapp.training.fold import fitted_of, load_fold, score_fold, train_fold
from tests.unit.synthetic_cohort import prepare_tasks, small_recipe
from tests.unit.test_bundle import FACTS

NETWORK = {"covariates": ["pain", "sex"]}
PAIN = [f"{3 + i % 5}" if i % 7 else "" for i in range(24)]
SEX = ["FM"[i // 2 % 2] for i in range(24)]
TABLE = {"pain": PAIN, "sex": SEX}


def tasks_with_columns(folder, columns=TABLE, network=NETWORK, **sections):
    recipe = small_recipe(network=network, protocol={"folds": 2}, **sections)
    tasks = prepare_tasks(folder, recipe)
    cohort = pd.read_csv(folder / "cohort.tsv", sep="\t", na_filter=False)
    cohort = cohort.assign(**{name: [t or "n/a" for t in c] for name, c in columns.items()})
    cohort.to_csv(folder / "cohort.tsv", sep="\t", index=False)
    return tasks


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("columns")
    tasks = tasks_with_columns(folder)
    models, scores = [], []
    for task in tasks:
        train_fold(task)
        models.append(FoldModel(task.repeat, task.fold, task.model_file, fitted_of(task)))
        scores.append(score_fold(task))
    place = folder / "model" / "base"
    bundle = write_bundle(place, tasks[0].recipe, tasks[0].images.space, models, FACTS)
    yield tasks, scores, bundle
    torch.set_num_threads(threads)


def test_held_out_columns_change_no_weight_and_only_their_own_scores(trained, tmp_path):
    tasks, scores, _ = trained
    task = tasks[0]
    other = {name: list(column) for name, column in TABLE.items()}
    changed = task.rows("test")[:3]
    for row in changed:
        other["pain"][row], other["sex"][row] = "1000000", "a sex that nobody else has"
    (again,) = [one for one in tasks_with_columns(tmp_path, other) if one.fold == task.fold]
    train_fold(again)
    assert again.fingerprint != task.fingerprint
    ours, theirs = (safetensors.torch.load_file(t.model_file) for t in (task, again))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert again.fitted_file.read_bytes() == task.fitted_file.read_bytes()
    mine = scores[task.fold]["probability"].to_numpy()
    found = score_fold(again)["probability"].to_numpy()
    moved = np.isin(task.rows("test"), changed)
    np.testing.assert_array_equal(found[~moved], mine[~moved])
    assert (found[moved] != mine[moved]).all()


def test_training_columns_do_change_the_weights(trained, tmp_path):
    tasks, _, _ = trained
    other = {**TABLE, "pain": PAIN[::-1]}
    (again,) = [one for one in tasks_with_columns(tmp_path, other) if one.fold == tasks[0].fold]
    train_fold(again)
    assert again.model_file.read_bytes() != tasks[0].model_file.read_bytes()


def test_a_network_without_columns_is_what_it_was(tmp_path):
    plain = tasks_with_columns(tmp_path / "a", network={})[0]
    bare = prepare_tasks(tmp_path / "b", small_recipe(protocol={"folds": 2}))[0]
    assert plain.fingerprint == bare.fingerprint


@pytest.mark.parametrize(("dims", "shape"), [(3, (14, 16, 12)), (2, (14, 16, 12)), (2, (14, 16))])
def test_columns_stand_beside_the_features_in_two_and_three_dimensions(dims, shape):
    section = small_recipe(network={"dims": dims}).network
    with_two = build_network(section, 1, seed=3, shape=shape, columns=2).eval()
    without = build_network(section, 1, seed=3, shape=shape).eval()
    assert (columns_of(with_two), columns_of(without)) == (2, 0)
    head = with_two.get_submodule("fc")
    x = torch.randn(3, 1, *shape, generator=torch.Generator().manual_seed(0))
    known = torch.tensor([[0.5, -1.0], [2.0, 0.0], [0.0, 0.0]])
    planes = known.view(3, 2, *(1,) * len(shape)).expand(-1, -1, *shape)
    joined = torch.cat([x, planes], dim=1)
    weights = without.state_dict()
    wide = head.weight.detach()
    weights["fc.weight"], weights["fc.bias"] = wide[:, :-2], head.bias.detach()
    without.load_state_dict(weights)
    with torch.no_grad():
        found, image = with_two(joined), without(x)
    torch.testing.assert_close(found, image + known @ wide[:, -2:].T)


def test_a_bundle_asks_for_the_columns_and_answers_as_its_folds_did(trained):
    tasks, scores, folder = trained
    bundle = load_bundle(folder)
    array = np.asarray(tasks[0].images.open(), np.float32)
    answer = predict(bundle, array, "cpu", columns=TABLE)
    for column, (task, held_out) in enumerate(zip(tasks, scores, strict=True)):
        rows = task.rows("test")
        np.testing.assert_allclose(
            answer.per_model[rows, column], held_out["probability"], rtol=1e-5
        )
    with pytest.raises(BadData, match="column 'sex'"):
        predict(bundle, array, "cpu", columns={"pain": PAIN})
    model = open_model(folder)
    image = {"sub-03": tasks[0].array.parent.parent / "sub-03_t1w.nii.gz"}
    found = model.predict(image, "cpu", {"sub-03": {"pain": 6, "sex": "M"}})
    assert found["probability"].item() == pytest.approx(answer.mean[3], abs=1e-3)
    missing = model.predict(image, "cpu", {"sub-03": {"pain": None, "sex": "M"}})
    assert missing["probability"].item() != found["probability"].item()
    with pytest.raises(BadData, match="sub-03: the model reads column 'sex'"):
        model.predict(image, "cpu", {"sub-03": {"pain": 6}})


def test_a_bundle_whose_columns_were_changed_is_refused(trained, tmp_path):
    folder = shutil.copytree(trained[2], tmp_path / "copy")
    file = folder / "models" / "repeat-0_fold-1_fitted.safetensors"
    design = TableDesign(("pain",)).fit(TABLE, np.arange(24))
    from safetensors.numpy import save_file

    save_file(design.state(), file)
    manifest = json.loads((folder / "configs" / "manifest.json").read_text())
    from bidsapp.derivatives.sidecars import file_sha256

    manifest["files"]["models/repeat-0_fold-1_fitted.safetensors"] = file_sha256(file)
    (folder / "configs" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadData, match="columns are not pain, sex"):
        load_bundle(folder)


def test_new_people_without_a_column_that_the_model_reads_are_refused_before_work(
    trained, tmp_path, capsys
):
    bids = tmp_path / "bids"
    (bids / "sub-1" / "anat").mkdir(parents=True)
    (bids / "sub-1" / "anat" / "sub-1_T1w.nii.gz").touch()
    (bids / "dataset_description.json").write_text('{"Name": "new", "BIDSVersion": "1.10.0"}')
    (bids / "participants.tsv").write_text("participant_id\tpain\nsub-1\t4,5\n")
    out = tmp_path / "out"
    code = main([str(bids), str(out), "participant", "--model", str(trained[2])])
    told = " ".join(capsys.readouterr().err.split())
    assert code == 65
    assert "model small-base reads the columns pain, sex beside the image" in told
    assert "add sex to participants.tsv" in told
    assert not out.exists()
    tables = NewPeople(bids)
    assert tables.texts(["pain", "sex"], [("sub-1", ""), ("sub-2", "")]) == {"pain": ["4.5", ""]}


def test_the_card_names_the_columns(trained):
    card = (trained[2] / "docs" / "README.md").read_text()
    assert "- Column pain of the dataset's tables, beside the image" in card
    assert "Column sex" in card


def test_a_column_that_the_cohort_lacks_is_refused_by_name():
    recipe = small_recipe(network=NETWORK)
    cohort = pd.DataFrame({"participant_id": ["sub-1"], "outcome": [1], "pain": ["3"]})
    with pytest.raises(UsageError, match=r"no column 'sex' in the cohort.*there are pain"):
        _require_covariates(recipe, cohort)
    with pytest.raises(UsageError, match="'sex' has no value for anybody"):
        _require_covariates(recipe, cohort.assign(sex=None))


def test_maps_are_of_the_image_at_the_persons_own_columns(trained):
    task = trained[0][0]
    network, _ = load_fold(task)
    assert columns_of(network) == fitted_of(task).columns.width == 4
    lens = lens_of(task)
    images = images_of(task, task.rows("test"), lens).loaded()
    names = [str(k) for k in range(len(images))]
    maps = attribute(network, images, names, lens)
    assert maps.shape == images.shape
    assert np.abs(maps).max() > 0
    swapped = replace(images, columns={**images.columns, "pain": ["9"] * len(images)})
    before, after = (logits_of(network, one, task, lens) for one in (images, swapped))
    assert (before != after).all()


def test_what_is_fitted_is_what_scikit_learn_fits():
    rng = np.random.default_rng(0)
    texts = {
        "age": [f"{v:.1f}" if v > 30 else "" for v in rng.uniform(20, 80, 60)],
        "same": ["2"] * 60,
        "arm": [["left", "right", "both", ""][int(k)] for k in rng.choice(4, 60)],
        "rare": ["x"] * 50 + ["y"] * 7 + ["z", "w", ""],
    }
    rows = np.arange(0, 60, 2)
    frame = pd.DataFrame(texts).replace("", "n/a")
    table, numbers, categories = design_table(frame, list(texts))
    model = in_fold_model(None, numbers, categories, fewest=5)[:-1].fit(table.iloc[rows])
    design = TableDesign(tuple(texts)).fit(texts, rows)
    np.testing.assert_allclose(design.numbers(texts, 60), model.transform(table), atol=1e-9)
    again = TableDesign(tuple(texts)).with_state(design.state())
    assert again == design
    assert design.width == len(design.labels) == design.numbers(texts, 60).shape[1]
    assert not {"z", "w"} & {level for c in design.columns for level in getattr(c, "levels", ())}
    assert design.lacking({**texts, "age": ["many"] * 60}, 0) == ["age"]
