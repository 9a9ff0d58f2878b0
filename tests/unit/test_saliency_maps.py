"""From a trained fold to participants' images: held-out maps, where they lie, what is said."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from bidsapp.contracts.unit import Unit
from bidsapp.errors import UsageError
from bidsapp.evaluation.chance import Forecast, leading_forecast
from bidsapp.evaluation.metric_table import metric_table
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.modalities.t1w.modality import MODALITY as T1W
from bidsapp.networks.registry import build_network
from bidsapp.recipes import apply_values
from bidsapp.recipes.analysis import Saliency
from bidsapp.recipes.images import Representation
from bidsapp.representation.chain import Chain
from bidsapp.representation.sample import read_mask
from bidsapp.saliency.attribute import Lens, attribute, lens_of, logits_of, map_channels, units_of
from bidsapp.saliency.checks import FoldChecks
from bidsapp.saliency.fold_maps import FoldMapsTask, explain_fold, is_explained
from bidsapp.saliency.halves import can_be_halved, half_task, members
from bidsapp.saliency.participant_maps import MapPlace, write_people
from bidsapp.saliency.randomised import cascade, levels_of
from bidsapp.saliency.sanity import Evidence, judge
from bidsapp.saliency.stack import MapStack, join, read_stack
from bidsapp.saliency.train_test_figure import draw, panel_of
from bidsapp.spaces.grid import MaskedSmoother
from bidsapp.training.fold import fitted_of, load_fold
from tests.unit.fitted_steps import leaks
from tests.unit.synthetic_cohort import AFFINE, prepare_tasks, small_recipe, train_and_score

CHANNELS = ("t1w", "log_jacobian")
CPU = torch.device("cpu")
GIVEN = Saliency(method="gradient_x_input", smoothing_fwhm_mm=4.0, atlases=("other",))


def explained(folder: Path, rate: float, **recipe) -> list[FoldMapsTask]:
    """The explained folds of a small study with two channels and a planted cuboid."""
    made_of = small_recipe(
        representation={"channels": list(CHANNELS)},
        protocol={"folds": 2},
        training={"epochs": 6, "lr": {"head": rate, "backbone": rate}, "precision": "float32"},
        saliency={"method": "gradient_x_input", "smoothing_fwhm_mm": 4.0},
        **recipe,
    )
    mask = folder / "mask.nii.gz"
    inside = np.zeros((20, 24, 20), np.uint8)
    inside[2:18, 2:22, 2:18] = 1
    nib.save(nib.Nifti1Image(inside, AFFINE), mask)
    made = []
    for task in prepare_tasks(folder, made_of, n=16, mask=mask):
        train_and_score(task)
        job = FoldMapsTask(task, folder / f"maps-{task.fold}", mask)
        explain_fold(job)
        made.append(job)
    return made


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[FoldMapsTask]:
    """Of networks that learned the cuboid."""
    return explained(tmp_path_factory.mktemp("explained"), 1e-3)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> list[FoldMapsTask]:
    """Of networks whose weights stayed as they were drawn."""
    return explained(tmp_path_factory.mktemp("untrained"), 1e-30)


def halves_of(jobs: list[FoldMapsTask], folder: Path) -> np.ndarray:
    """Mean maps by networks of either half, trained as long as those of the whole fold."""
    task = jobs[0].task
    longer = replace(task, recipe=apply_values(task.recipe, {"training.epochs": 12}))
    sides = []
    for half in (0, 1):
        made = []
        for shuffle in range(3):
            one = half_task(longer, folder / f"half-{half}-{shuffle}", half, shuffle)
            train_and_score(one)
            job = FoldMapsTask(one, one.folder / "maps", jobs[0].mask, checks=False)
            explain_fold(job)
            made.append(read_stack(job.folder).values.sum(axis=1).mean(axis=0))
        sides.append(made)
    return np.array(sides)


def joined(jobs: list[FoldMapsTask]) -> MapStack:
    """Maps of all folds."""
    return join([job.folder for job in jobs], jobs[0].folder / "joined")


def evidence_of(jobs: list[FoldMapsTask], halves: np.ndarray | None = None) -> Evidence:
    """What a run hands to the checks."""
    stack = joined(jobs)
    task = jobs[0].task
    rows = stack.rows.assign(variant="base")
    splits = pd.read_csv(task.splits, sep="\t")
    metrics = metric_table(rows, splits, EvaluationSettings(resamples=0))
    return Evidence(
        [FoldChecks.read(job.checks_file) for job in jobs],
        halves,
        leading_forecast(metrics, "base"),
        task.images,
        task.table["outcome"].to_numpy(),
        stack.space.cut(read_mask(jobs[0].mask)),
        4.0,
        stack.space,
    )


def share_inside(jobs: list[FoldMapsTask]) -> float:
    """Share of the top 1 % of the positives' smoothed mean map that lies in the cuboid."""
    stack = joined(jobs)
    inside = stack.space.cut(read_mask(jobs[0].mask))
    planted = np.zeros((20, 24, 20), bool)
    planted[6:12, 8:14, 8:14] = True
    mean = stack.combined()[stack.rows["outcome"] == 1].mean(axis=0)[inside]
    values = MaskedSmoother(inside, (2.0, 2.0, 2.0), 4.0)(mean)
    top = np.argsort(-values)[: round(0.01 * values.size)]
    return float(stack.space.cut(planted)[inside][top].mean())


def test_what_was_planted_is_found_and_the_verdict_is_right(jobs, tmp_path):
    evidence = evidence_of(jobs, halves_of(jobs, tmp_path))
    found = judge(replace(evidence, forecast=Forecast(1.0, 0.8, 1.0, 16)))
    assert found.verdict == "pass", found.sentences
    assert share_inside(jobs) >= 0.8
    # 16 people are too few to say so of themselves, and no halves are no pass
    assert judge(evidence).result("forecast") == "unclear"
    assert judge(evidence).verdict == judge(evidence_of(jobs)).verdict == "not decisive"


def test_the_verdict_on_an_untrained_network_is_right(untrained):
    found = judge(evidence_of(untrained))
    assert found.verdict != "pass"
    assert found.result("forecast") != "pass"
    assert any("better than chance (AUC" in text for text in found.sentences)


def test_each_held_out_scan_has_its_map_from_the_fold_that_did_not_see_it(jobs):
    stack = joined(jobs)
    splits = pd.read_csv(jobs[0].task.splits, sep="\t")
    assert sorted(stack.rows["participant_id"]) == [f"sub-{i:02d}" for i in range(16)]
    for row in stack.rows.to_dict("records"):
        role = splits[splits["participant_id"] == row["participant_id"]].set_index("fold")["role"]
        assert role[row["fold"]] == "test"
    assert stack.channels == CHANNELS
    assert stack.values.shape == (16, 2, 20, 24, 12)
    assert (stack.values < 0).any()
    assert stack.about["units"] == "logit"


def test_a_map_is_what_the_held_out_network_gives_with_its_own_z_score(jobs):
    job = jobs[1]
    network, _ = load_fold(job.task)
    stack = read_stack(job.folder)
    numbers = fitted_of(job.task).state()
    images = np.asarray(job.task.images.open()[job.task.rows("test")], np.float32)
    m, s = (v.reshape(1, 2, 1, 1, 1) for v in (numbers["0.mean"], numbers["0.sd"]))
    x = torch.from_numpy(((images - m) / s).astype(np.float32)).requires_grad_()
    (slope,) = torch.autograd.grad(network(x).sum(), x)
    # the image less a black one is the stored image in units of the z-score's SD
    expected = slope.numpy() * images / s
    assert np.allclose(stack.values, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_what_is_there_is_not_made_again_and_what_is_changed_is(jobs, tmp_path):
    job = jobs[0]
    assert is_explained(job)
    before = (job.folder / "maps.npy").stat().st_mtime_ns
    explain_fold(job)
    assert (job.folder / "maps.npy").stat().st_mtime_ns == before
    recipe = job.task.recipe
    other = recipe.with_values({"saliency": {"method": "gradient"}})
    assert not is_explained(replace(job, task=replace(job.task, recipe=other)))
    cell = recipe.with_values({"saliency": {"of": "all"}})
    assert is_explained(replace(job, task=replace(job.task, recipe=cell)))
    assert not is_explained(replace(job, role="train"))
    again = replace(job, folder=tmp_path / "again")
    explain_fold(again)
    first, second = read_stack(job.folder), read_stack(again.folder)
    assert np.array_equal(first.values, second.values)
    for name, value in FoldChecks.read(job.checks_file).arrays().items():
        assert np.array_equal(value, FoldChecks.read(again.checks_file).arrays()[name]), name


def test_training_people_can_be_explained_too(jobs, tmp_path):
    job = replace(jobs[0], folder=tmp_path, role="train", checks=False)
    explain_fold(job)
    stack = read_stack(tmp_path)
    assert len(stack.rows) == 8
    assert not set(stack.rows["participant_id"]) & set(
        read_stack(jobs[0].folder).rows["participant_id"]
    )
    assert stack.about["role"] == "train"
    assert stack.rows["probability"].between(0, 1).all()


def test_the_papers_form_is_absolute_and_scaled_for_each_image(jobs):
    job = jobs[0]
    network, _ = load_fold(job.task)
    images = job.task.images.open()[:3]
    lens = lens_of(job.task)
    paper = Saliency(target="probability", absolute=True, scale="minmax")
    maps = attribute(network, images, "abc", replace(lens, settings=paper))
    assert maps.shape == (3, 1, 20, 24, 12)
    assert np.allclose(maps.min(axis=(1, 2, 3, 4)), 0)
    assert np.allclose(maps.max(axis=(1, 2, 3, 4)), 1)
    plain = attribute(network, images, "abc", replace(lens, settings=Saliency()))
    mean, sd = (lens.fitted.state()[name] for name in ("0.mean", "0.sd"))
    logits = network.eval()(
        torch.from_numpy(
            (np.asarray(images, np.float32) - mean.reshape(1, 2, 1, 1, 1))
            / sd.reshape(1, 2, 1, 1, 1)
        ).float()
    )
    p = torch.sigmoid(logits).detach().numpy().reshape(3, 1, 1, 1)
    expected = np.abs(plain * (p * (1 - p))[:, None]).max(axis=1)
    low, high = (f(expected, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    assert np.allclose(maps[:, 0], (expected - low) / (high - low), atol=1e-4)
    assert map_channels(paper, CHANNELS) == ("all",)


@pytest.mark.slow
def test_integrated_gradients_of_a_trained_network_are_complete_within_a_percent(jobs):
    job = jobs[0]
    network, _ = load_fold(job.task)
    with torch.no_grad():  # answers of whole logits: below one, .01 of a logit is allowed
        network.fc.weight.mul_(100)
    images = np.asarray(job.task.images.open()[job.task.rows("test")[:4]])
    settings = Saliency(method="integrated_gradients", samples=8)
    lens = replace(lens_of(job.task), settings=settings)
    found = attribute(network, images, "abcd", lens).sum(axis=(1, 2, 3, 4))
    changed = apply_values(job.task.recipe, {"training.precision": "float32"})
    exact = replace(job.task, recipe=changed)  # as maps are made
    answers = logits_of(network, images, exact, lens)
    nothing = logits_of(network, np.zeros_like(images[:1]), exact, lens)
    assert (np.abs(answers - nothing) > 1).all()
    assert found == pytest.approx(answers - nothing, rel=0.01)


@pytest.mark.parametrize(
    ("settings", "zscore", "expected"),
    [
        ({}, "train_fold", "logit per standard deviation of the image"),
        ({}, "none", "logit per unit of the image"),
        ({"target": "probability", "absolute": True}, "image", "absolute probability per standard"),
        ({"method": "integrated_gradients"}, "train_fold", "logit"),
        ({"method": "occlusion"}, "train_fold", "fall of the logit"),
        ({"scale": "minmax"}, "train_fold", "1 (each map scaled to 0..1 by itself)"),
    ],
)
def test_the_units_are_said(settings, zscore, expected):
    given = Representation(zscore=zscore).input_unit
    assert units_of(Saliency.model_validate(settings), given).startswith(expected)


def test_what_is_drawn_for_a_person_does_not_depend_on_the_others():
    network = build_network(small_recipe().network, 1)
    images = np.random.default_rng(0).random((5, 1, 20, 24, 12)).astype(np.float16)
    settings = Saliency(method="smoothgrad", samples=2, noise=0.1)
    lens = Lens(settings, Chain(), (2.0, 2.0, 2.0), CPU, 2)
    names = ["a", "b", "c", "d", "e"]
    together = attribute(network, images, names, lens)
    backwards = attribute(network, images[::-1], names[::-1], replace(lens, at_once=5))
    assert np.allclose(together, backwards[::-1], rtol=1e-4, atol=1e-7)
    assert len(attribute(network, images[:0], [], lens)) == 0


class Greedy(torch.nn.Module):
    """A network that runs out of memory with more than so many images."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.network, self.most = build_network(small_recipe().network, 1), most

    def forward(self, x):
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.network(x)


def test_with_little_memory_fewer_images_are_explained_at_once():
    images = np.random.default_rng(0).random((5, 1, 20, 24, 12)).astype(np.float16)
    lens = Lens(Saliency(), Chain(), (2.0, 2.0, 2.0), CPU, 4)
    roomy = attribute(Greedy(9), images, "abcde", lens)
    tight = attribute(Greedy(1), images, "abcde", lens)
    assert np.allclose(roomy, tight, rtol=1e-4, atol=1e-8)
    with pytest.raises(UsageError, match="too little memory to explain one image by gradient"):
        attribute(Greedy(0), images, "abcde", lens)


@pytest.mark.parametrize("name", ["resnet 10", "densenet 121", "seresnext 50"])
def test_weights_are_drawn_anew_from_the_head_to_the_stem(name):
    kind, depth = name.split()
    section = small_recipe(
        network={"name": kind, "depth": int(depth), "stem_stride": 1, "stem_pool": False}
    ).network
    trained = build_network(section, 1, seed=7)
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    fresh = build_network(section, 1, seed=11).state_dict()
    levels = levels_of(trained)
    assert sorted(n for level in levels for n in level) == sorted(before)
    assert 5 <= len(levels) <= 12
    drawn: set[str] = set()
    for (title, network), names in zip(cascade(trained, section, 1, 11), levels, strict=True):
        drawn |= set(names)
        for key, value in network.state_dict().items():
            assert torch.equal(value, fresh[key] if key in drawn else before[key]), (title, key)
    assert all(torch.equal(value, before[key]) for key, value in trained.state_dict().items())
    assert [len(list(cascade(trained, section, 1, 11, whole_only=True)))] == [1]


@pytest.mark.parametrize("shuffle", [0, 1])
def test_halves_share_nobody_and_leave_the_held_out_alone(jobs, tmp_path, shuffle):
    task = jobs[0].task
    made = [half_task(task, tmp_path / str(half), half, shuffle) for half in (0, 1)]
    before = task.table.set_index("participant_id")
    learning = [set(one.table.loc[one.table["role"] == "train", "participant_id"]) for one in made]
    assert not learning[0] & learning[1]
    assert learning[0] | learning[1] == set(before.index[before["role"] == "train"])
    assert len({one.fingerprint for one in (*made, task)}) == 3
    assert len({one.seeds for one in made}) == 2
    for one, mine in zip(made, learning, strict=True):
        after = one.table.set_index("participant_id")
        held_out = before["role"] == "test"
        assert (after["role"] == "test").equals(held_out)
        assert (after["outcome"] == before["outcome"])[held_out].all()
        own = sorted(mine)
        assert after.loc[own, "outcome"].sum() == before.loc[own, "outcome"].sum() == 2
        same = (after.loc[own, "outcome"] == before.loc[own, "outcome"]).all()
        assert same or shuffle
        again = half_task(task, tmp_path / "again", made.index(one), shuffle)
        assert again.fingerprint == one.fingerprint


def test_halves_keep_groups_together_and_need_both_classes(tmp_path):
    tasks = prepare_tasks(tmp_path, small_recipe(protocol={"folds": 2}), n=16)
    table = pd.read_csv(tmp_path / "cohort.tsv", sep="\t")
    table["group"] = [f"family-{i // 4}" for i in range(16)]
    table.to_csv(tmp_path / "cohort.tsv", sep="\t", index=False)
    grouped = replace(tasks[0], recipe=apply_values(tasks[0].recipe, {"protocol.groups": "group"}))
    family = table.set_index("participant_id")["group"]
    first, second = ({family[who] for who in half} for half in members(grouped))
    assert not first & second
    assert can_be_halved(tasks[0])
    table["outcome"] = [0, 1, 0, 1, 0] + [0] * 11
    table.to_csv(tmp_path / "cohort.tsv", sep="\t", index=False)
    assert not can_be_halved(replace(tasks[0]))


def place_of(folder: Path, **changes) -> MapPlace:
    images = {
        Unit(f"sub-{i:02d}"): f"sub-{i:02d}/anat/sub-{i:02d}_space-T_res-2_desc-preproc_T1w.nii.gz"
        for i in range(16)
    }
    return replace(MapPlace(folder / "maps", folder, "T", 2, images), **changes)


def test_a_participants_image_has_the_whole_grid_and_says_what_it_is(jobs, tmp_path):
    stack = joined(jobs)
    written = write_people(
        stack, place_of(tmp_path), {"verdict": "pass", "sentences": ["Good."]}, GIVEN
    )
    assert len(written) == 16
    path = tmp_path / ("maps/sub-03/anat/sub-03_space-T_res-2_desc-gradientXInput_statmap.nii.gz")
    assert path in written
    image = nib.Nifti1Image.load(path)
    assert image.shape == (20, 24, 20)
    assert np.allclose(image.affine, AFFINE)
    voxels = image.get_fdata()
    row = stack.rows.index[stack.rows["participant_id"] == "sub-03"][0]
    # the slab's slices are in their place: 12 of 20, from the fourth on
    assert np.allclose(voxels[:, :, 4:16], stack.values[row].sum(axis=0), rtol=1e-5)
    assert not voxels[:, :, :4].any()
    assert not voxels[:, :, 16:].any()
    said = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
    fold = int(stack.rows["fold"][row])
    assert said["Fold"] == [fold]
    assert said["ModelSHA256"] == [
        json.loads(jobs[fold].task.record_file.read_text())["model_sha256"]
    ]
    assert said["Target"] == "logit of the positive class"
    assert said["Units"] == "logit"
    assert said["Smoothing"] == "none"
    # the settings of the run, though the fold was explained before they were given
    assert said["Settings"]["atlases"] == ["other"]
    assert said["Sanity"] == {"verdict": "pass", "sentences": ["Good."]}
    assert said["Sources"] == ["bids::sub-03/anat/sub-03_space-T_res-2_desc-preproc_T1w.nii.gz"]


def test_maps_that_failed_are_written_under_another_name(jobs, tmp_path):
    stack = read_stack(jobs[0].folder)
    place = place_of(tmp_path)
    good = write_people(stack, place, {"verdict": "pass", "sentences": []}, GIVEN)
    bad = write_people(
        stack, place, {"verdict": "fail", "sentences": ["Fail: it is noise."]}, GIVEN
    )
    assert all("_desc-gradientXInputSuspect_" in path.name for path in bad)
    assert all(path.is_file() for path in bad)
    assert not any(path.exists() for path in good)


def test_a_map_by_networks_that_saw_the_participant_is_not_called_held_out(jobs, tmp_path):
    stack = read_stack(jobs[0].folder)
    step = "representation.zscore: dataset"
    for seen, held_out, told in ((leaks(step), False, f"LEAK: {step}"), ((), True, None)):
        path = write_people(stack, place_of(tmp_path), {"verdict": "pass"}, GIVEN, seen)[0]
        said = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
        assert said["HeldOut"] is held_out
        assert said.get("Leak") == told
        assert ("whom it saw all the same" in said["Description"]) is not held_out


def test_several_repeats_are_averaged_in_one_image(jobs, tmp_path):
    first = read_stack(jobs[0].folder)
    second = replace(first, rows=first.rows.assign(repeat=1), values=3 * first.values)
    for name, one in (("first", first), ("second", second)):
        one.write(tmp_path / name)
    both = join([tmp_path / "first", tmp_path / "second"], tmp_path / "both")
    path = write_people(both, place_of(tmp_path), {"verdict": "not run"}, GIVEN)[0]
    image = np.asarray(nib.Nifti1Image.load(path).dataobj)
    expected = first.space.put_back(2 * first.values[0].sum(axis=0))
    assert np.allclose(image, expected, rtol=1e-5)
    said = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
    assert said["Repeat"] == [0, 1]


def test_native_maps_of_images_without_transforms_are_left_out_with_a_word(jobs, tmp_path, capsys):
    stack = read_stack(jobs[0].folder)
    place = place_of(tmp_path, native=True, way_back=T1W.way_back)
    written = write_people(stack, place, {"verdict": "pass"}, GIVEN)
    assert len(list((tmp_path / "maps").rglob("*statmap.nii.gz"))) == len(written)
    assert "from-T_to-T1w_mode-image_xfm.h5 is not there; run the participant" in (
        capsys.readouterr().err
    )


def test_training_and_held_out_people_are_drawn_side_by_side(jobs, tmp_path):
    held_out = read_stack(jobs[0].folder)
    inside = held_out.space.cut(read_mask(jobs[0].mask))
    images = jobs[0].task.images
    panel = panel_of("held out", held_out, images, inside, 0.0)
    rows = held_out.rows
    right = (rows["outcome"] == 1) & (rows["probability"] >= 0.5)
    assert panel.people == int(right.sum()) > 0
    people = [images.participants.index(who) for who in rows["participant_id"][right]]
    assert np.allclose(panel.image, np.asarray(images.open()[people, 0], float).mean(0), atol=1e-3)
    expected = held_out.combined()[right.to_numpy()].mean(axis=0)
    assert np.allclose(panel.saliency[inside], expected[inside], rtol=1e-4)
    nobody = replace(held_out, rows=rows.assign(probability=0.1))
    empty = panel_of("training", nobody, images, inside, 0.0)
    assert empty.people == 0
    for panels in ([empty, panel], [empty, empty]):
        draw(panels, tmp_path / "figure.png", "logit")
        assert np.asarray(Image.open(tmp_path / "figure.png")).std() > 1
