"""A bundle's answers explained: the mean over the networks that answer, beside the images."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bidsapp.networks.bundle import Bundle
from bidsapp.networks.bundle_models import FoldModel
from bidsapp.networks.registry import build_network
from bidsapp.reports.earlier_predictions import forget_maps
from bidsapp.saliency.attribute import Lens, attribute
from bidsapp.saliency.bundle_maps import BundleMaps
from bidsapp.saliency.missing_maps import note_unfinished
from bidsapp.spaces.volume import slab
from tests.unit.finished_trees import names_of
from tests.unit.fitted_steps import z_score
from tests.unit.synthetic_cohort import AFFINE, small_recipe

WINDOW = slab((20, 24, 20), AFFINE, "axial", 12)
FITTED = (z_score([0.3], [0.2]), z_score([0.0], [1.0]))


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> BundleMaps:
    """Two networks with z-scores of their own."""
    import safetensors.torch

    folder, models = tmp_path_factory.mktemp("bundle"), []
    recipe = small_recipe(saliency={"method": "gradient_x_input"})
    for fold, fitted in enumerate(FITTED):
        path = folder / f"repeat-0_fold-{fold}.safetensors"
        network = build_network(recipe.network, 1, seed=fold)
        safetensors.torch.save_file(dict(network.state_dict()), path)
        models.append(FoldModel(0, fold, path, fitted))
    known: dict[str, Any] = {"metadata": {}}
    bundle = Bundle(
        folder, "run-base", "1.0.0", "ab", "cd", recipe, WINDOW, ("t1w",), tuple(models), **known
    )
    return BundleMaps(bundle, "cpu")


def samples(n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).random((n, 1, *WINDOW.shape), np.float32)


def of_model(maps: BundleMaps, number: int, images: np.ndarray) -> np.ndarray:
    model, recipe = maps.bundle.models[number], maps.bundle.recipe
    import torch

    lens = Lens(recipe.saliency, model.fitted, (2.0, 2.0, 2.0), torch.device("cpu"), 6)
    names = [str(i) for i in range(len(images))]
    return attribute(maps.bundle.network(model), images.astype(np.float16), names, lens)[:, 0]


def test_the_networks_that_answer_are_averaged_each_with_its_own_z_score(maps):
    images = samples()
    first, second = (of_model(maps, number, images) for number in (0, 1))
    found = maps.explain(images, "abc", [None, (1,), (0, 1)])
    for i, expected in enumerate(((first + second) / 2, second, (first + second) / 2)):
        assert np.allclose(found[i], expected[i], rtol=1e-4, atol=1e-7)


def test_a_map_lies_beside_the_image_and_says_whose_it_is(maps, tmp_path: Path):
    names = names_of(tmp_path, subject="07")
    images = samples(1)
    maps.write(images, [names], [None])
    path = names.folder / (
        "sub-07_space-MNI152NLin2009aSym_res-2_desc-runbaseGradientXInput_statmap.nii.gz"
    )
    image = nib.Nifti1Image.load(path)
    assert image.shape == (20, 24, 20)
    assert np.allclose(image.affine, AFFINE)
    expected = WINDOW.put_back(maps.explain(images, ["sub-07"], [None])[0])
    assert np.allclose(np.asarray(image.dataobj), expected, rtol=1e-5)
    said = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
    hashes = {"sha256": "ab", "weights_sha256": "cd"}
    assert said["Model"] == {"name": "run-base", "version": "1.0.0", **hashes}
    assert said["Target"] == "logit of the positive class"
    assert said["Units"] == "logit"
    assert said["Sanity"]["verdict"] == "not run"
    assert said["Sources"] == [
        "bids::sub-07/anat/sub-07_space-MNI152NLin2009aSym_res-2_desc-preproc_T1w.nii.gz"
    ]
    maps.forget(names)
    assert not list(names.folder.iterdir())


def test_a_bundle_may_hold_one_network(maps):
    only = replace(maps, bundle=replace(maps.bundle, models=maps.bundle.models[:1]))
    found = only.explain(samples(1), ["a"], [(0,)])
    assert np.allclose(found, of_model(maps, 0, samples(1)), rtol=1e-4, atol=1e-7)


def test_a_method_that_failed_its_checks_in_the_run_is_suspect_in_new_people(maps, tmp_path: Path):
    def checked(method: str, verdict: str, **more: object) -> BundleMaps:
        found = {"method": method, "verdict": verdict, "sentences": ["Fail: edges."], **more}
        return replace(maps, bundle=replace(maps.bundle, metadata={"saliency_checks": found}))

    names = names_of(tmp_path, subject="07")
    maps.write(samples(1), [names], [None])
    checked("gradient_x_input", "fail").write(samples(1), [names], [None])
    # the map without a verdict is gone
    (path,) = names.folder.glob("*_statmap.json")
    assert path.name.endswith("desc-runbaseGradientXInputSuspect_statmap.json")
    said = json.loads(path.read_text())["Sanity"]
    assert (said["verdict"], said["sentences"]) == ("fail", ["Fail: edges."])
    assert "this map was not checked" in said["of"]
    # maps of another method were checked, which says nothing of these
    assert checked("gradient", "fail").checks["verdict"] == "not run"
    passed = checked("gradient_x_input", "pass", checks={"forecast": "pass"})
    assert passed.desc == maps.desc
    assert passed.checks["checks"] == {"forecast": "pass"}  # its readers know the rules by them
    for verdict in ("pass", "not decisive"):  # a pass by the rules of an earlier version is none
        other = checked("gradient_x_input", verdict)
        assert other.desc == f"{maps.desc}Undecided"
        assert other.checks["verdict"] == "not decisive"
        assert not other.unchecked
    assert "an earlier version" in checked("gradient_x_input", "pass").checks["sentences"][0]


def test_maps_without_a_verdict_are_said_to_be_unchecked(maps, tmp_path: Path):
    run = tmp_path / "group" / "run"
    bundle = replace(maps.bundle, folder=run / "model" / "base")
    assert "holds no verdict" in replace(maps, bundle=bundle).unchecked
    assert "unchecked" in replace(maps, bundle=replace(bundle, folder=Path("/"))).unchecked
    run.mkdir(parents=True)
    note_unfinished(run)
    said = replace(maps, bundle=bundle).unchecked
    assert f"run-base: the run that made it ({run}) has not finished its maps" in said
    assert "unchecked" in said
    assert "\n" not in said
    for verdict in ("pass", "fail"):
        found = {"saliency_checks": {"method": "gradient_x_input", "verdict": verdict}}
        assert not replace(maps, bundle=replace(bundle, metadata=found)).unchecked


def test_maps_of_an_earlier_model_or_scan_go_from_beside_a_new_prediction(maps, tmp_path: Path):
    names = names_of(tmp_path, subject="07")
    other = replace(maps.bundle, name="run-base-2")  # whose label begins with this one's
    marker = names.folder / names["preproc"].replace(".nii.gz", ".json")

    def left(bundle: Bundle, **how: bool) -> list[str]:
        for one in (maps.bundle, other):
            replace(maps, bundle=one).write(samples(1), [names], [None])
        forget_maps(names, bundle, **how)
        files = (path.name.split("_desc-")[1] for path in names.folder.glob("*_statmap.*"))
        return sorted(files)

    mine = [f"runbaseGradientXInput_statmap.{end}" for end in ("json", "nii.gz")]
    its = [f"runbase2GradientXInput_statmap.{end}" for end in ("json", "nii.gz")]
    assert left(maps.bundle) == its
    assert left(maps.bundle, others_only=True) == its + mine
    assert left(replace(maps.bundle, sha256="ef"), others_only=True) == its
    # explained by another method then
    recipe = maps.bundle.recipe.with_values({"saliency": {"method": "gradient"}})
    assert left(replace(maps.bundle, recipe=recipe)) == its
    # another T1w since
    left(maps.bundle, others_only=True)
    marker.write_text(json.dumps({"SourceSHA256": "0123"}))
    forget_maps(names, maps.bundle, others_only=True)
    assert not list(names.folder.glob("*_desc-runbaseG*"))


def test_maps_by_a_model_whose_run_leaked_say_so(maps, tmp_path: Path):
    recipe = maps.bundle.recipe
    paper = recipe.with_values({"mode": "paper", "representation": {"zscore": "dataset"}})
    names = names_of(tmp_path, subject="07")
    for one, told in ((paper, "LEAK: representation.zscore: dataset"), (recipe, None)):
        bundle = replace(maps.bundle, recipe=one)
        replace(maps, bundle=bundle).write(samples(1), [names], [None])
        (path,) = names.folder.glob("*_statmap.json")
        assert json.loads(path.read_text()).get("Leak") == told
