"""Group ICA and selection as steps of a fold: on real BOLD, kept between folds, without a leak."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.contracts.fitted_offers import AskedStep, fitted_offers
from bidsapp.errors import BadData, UsageError
from bidsapp.recipes import load_recipe
from bidsapp.representation.before_fitting import require_files
from bidsapp.representation.chain import Chain
from bidsapp.representation.components.matching import correlations
from bidsapp.representation.fitted.group_ica import GroupICA, build
from bidsapp.representation.fitted.outcome_selection import build as build_selection
from bidsapp.representation.fitted.template_selection import build as build_template_selection
from bidsapp.representation.image_rows import ImageRows
from bidsapp.spaces.volume import volume
from tests.unit import rest24

COUNT = 24
TRAIN = np.setdiff1d(np.arange(COUNT), (2, 9, 17))
ROLES = {"train": TRAIN, "validation": TRAIN[:0], "test": np.array([2, 9, 17])}
OUTCOME = np.arange(COUNT) % 2


def _asked(name: str, **settings: object) -> AskedStep:
    offer = fitted_offers()[name]
    return AskedStep(
        f"representation.fitted.{name}.fit", name, "train_fold", offer.settled(settings)
    )


def _ica(components: int = 12, **more: object) -> GroupICA:
    settings = {"components": components, "reduction": 30, "starts": 3} | more
    return build(_asked("group_ica", **settings))


@pytest.fixture(scope="module")
def people(real_data: Path) -> np.ndarray:
    """Float16, shape (24, 148, 17, 20, 17)."""
    mask = rest24.mask(real_data)
    array = np.zeros((COUNT, 148, *mask.shape), np.float16)
    for person, series in zip(array, rest24.series(real_data), strict=True):
        person[:, mask] = series - series.mean(axis=0)
    return array


def test_what_is_kept_for_all_folds_changes_no_bit(people: np.ndarray, tmp_path: Path) -> None:
    columns = {"participant_id": [f"sub-{number:02d}" for number in range(COUNT)]}
    without = Chain((_ica(),)).fit(ImageRows(people, columns=columns), ROLES, OUTCOME)[0]
    stored = ImageRows(people, columns=columns, store=tmp_path / "kept")
    other = {"train": np.arange(12, 24), "validation": TRAIN[:0], "test": np.arange(12)}
    Chain((_ica(),)).fit(stored, other, OUTCOME)
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()}
    assert {f"pca30_{number}.npy" for number in range(12, 24)} <= set(made)
    assert "pca30_3.npy" not in made
    again = Chain((_ica(),)).fit(stored, ROLES, OUTCOME)[0]
    assert all((without.state()[key] == array).all() for key, array in again.state().items())
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()}
    assert made.items() <= after.items()
    assert len(after) > len(made)
    # One that is damaged is made anew.
    (tmp_path / "kept" / "pca30_3.npy").write_bytes(b"\x93NUMPY damaged")
    once_more = Chain((_ica(),)).fit(stored, ROLES, OUTCOME)[0]
    assert (once_more.state()["0.maps"] == without.state()["0.maps"]).all()


def test_the_contract_lets_no_held_out_person_reach_a_component(people: np.ndarray) -> None:
    noise = people.copy()
    rng = np.random.default_rng(0)
    noise[ROLES["test"]] = rng.normal(0, 20, noise[ROLES["test"]].shape)
    first, images = Chain((_ica(),)).fit(ImageRows(people), ROLES, OUTCOME)
    second, _ = Chain((_ica(),)).fit(ImageRows(noise), ROLES, OUTCOME)
    for key, array in first.state().items():
        assert (second.state()[key] == array).all()
    assert images.shape == (COUNT, 12, 17, 20, 17)
    assert first.channels(("bold",))[:2] == ("IC01", "IC02")


def test_a_persons_maps_look_like_the_groups(people: np.ndarray) -> None:
    fitted, images = Chain((_ica(),)).fit(ImageRows(people), ROLES, OUTCOME)
    (step,) = fitted.steps
    assert isinstance(step, GroupICA)
    assert step.mask_ is not None
    assert step.maps_ is not None
    assert step.stability_ is not None
    held_out = images[2][:, step.mask_]
    r = np.diag(correlations(held_out, step.maps_.astype(float)))
    assert np.sort(r)[-6:].min() > 0.3
    assert not images[2][:, ~step.mask_].any()


def test_shorter_series_are_padded_and_the_padding_is_no_volume(people: np.ndarray) -> None:
    short = people[:, :100]
    padded = np.concatenate([short, np.zeros_like(people[:, :48])], axis=1)
    one, images = Chain((_ica(),)).fit(ImageRows(short), ROLES, OUTCOME)
    two, others = Chain((_ica(),)).fit(ImageRows(padded), ROLES, OUTCOME)
    assert (one.state()["0.maps"] == two.state()["0.maps"]).all()
    assert (images[2] == others[2]).all()


def test_another_fold_begins_elsewhere(people: np.ndarray) -> None:
    other = ROLES | {"train": np.setdiff1d(np.arange(COUNT), (0, 1, 3))}
    one = _ica().fit(ImageRows(people), ROLES["train"], None)
    same = _ica().fit(ImageRows(people), ROLES["train"][::-1], None)
    two = _ica().fit(ImageRows(people), other["train"], None)
    assert one.maps_ is not None
    assert two.maps_ is not None
    assert (one.maps_ == same.maps_).all()
    assert not np.allclose(one.maps_, two.maps_)


def test_a_series_that_is_too_short_is_named(people: np.ndarray) -> None:
    images = people[:, :40].copy()
    images[4, 20:] = 0
    columns = {"participant_id": [f"sub-{number:02d}" for number in range(COUNT)]}
    with pytest.raises(BadData, match=r"sub-04: its 20 volumes hold 19 components"):
        _ica().fit(ImageRows(images, columns=columns), TRAIN, None)
    with pytest.raises(BadData, match=r"21 people with 2 components.*larger reduction"):
        _ica(50, reduction=2).fit(ImageRows(people), TRAIN, None)
    fitted = _ica().fit(ImageRows(people), TRAIN, None)
    images[9, 8:] = 0
    with pytest.raises(BadData, match="sub-09: 8 volumes cannot be divided among 12"):
        list(fitted.transform(ImageRows(images, columns=columns), np.array([9])))


def test_selection_finds_the_planted_difference_and_sees_training_outcomes_alone() -> None:
    rng = np.random.default_rng(0)
    blobs = rng.standard_normal((6, 5, 6, 4)) * 3
    strength = rng.uniform(0.7, 1.3, (COUNT, 6, 1, 1, 1))
    strength[OUTCOME == 1, 3] += 1
    images = (blobs * strength + rng.standard_normal((COUNT, 6, 5, 6, 4))).astype(np.float16)
    step = build_selection(_asked("outcome_selection", count=2))
    told = OUTCOME.copy()
    told[ROLES["test"]] = 1 - told[ROLES["test"]]
    for outcome in (OUTCOME, told):
        fitted, kept = Chain((step,)).fit(ImageRows(images), ROLES, outcome)
        assert "IC04" in fitted.channels(tuple(f"IC{n + 1:02d}" for n in range(6)))
        assert kept.shape == (COUNT, 2, 5, 6, 4)
        assert fitted.state()["0.p"].argmin() == 3
        assert fitted.state()["0.r"][3] > 0.5


def test_networks_of_a_template_are_chosen_and_held_out_people_have_no_part(
    people: np.ndarray, real_data: Path, tmp_path: Path
) -> None:
    """Of 12 components three are known: the ICA's own of other people, one of them flipped."""
    affine = np.diag([10.0, 10, 10, 1])
    space = volume(rest24.mask(real_data).shape, affine)
    ica = _ica().fit(ImageRows(people), TRAIN, None)
    known = ica.group_maps()[[1, 4, 7]]
    known[2] = known[2][:, ::-1]
    nib.Nifti1Image(np.moveaxis(known, 0, -1), affine).to_filename(tmp_path / "maps.nii")
    names = tuple(f"IC{number + 1:02d}" for number in range(12))

    def chosen(array: np.ndarray, count: int) -> Chain:
        asked = _asked("template_selection", maps=str(tmp_path / "maps.nii"), count=count)
        steps = (_ica(), build_template_selection(asked))
        return Chain(steps).fit(ImageRows(array, space=space), ROLES, OUTCOME)[0]

    found = chosen(people, 2)
    assert found.channels(("bold",)) == ("IC02", "IC05")
    told = pd.DataFrame(found.told(("bold",))).T.loc[list(names)]
    assert told["template_r"].nlargest(2).min() > 0.6
    assert set(told.index[told["kept"] == 1]) == {"IC02", "IC05"}
    assert (told["template_r"] > 0).sum() == 3  # the others have no map left
    noise = people.copy()
    noise[ROLES["test"]] = np.random.default_rng(0).normal(0, 20, noise[ROLES["test"]].shape)
    other = chosen(noise, 2).state()
    assert all((other[key] == array).all() for key, array in found.state().items())
    with pytest.raises(UsageError, match=r"template_selection.count is 12, .* 3 maps in the templ"):
        chosen(people, 12)
    far = affine.copy()
    far[:3, 3] = 5000
    nib.Nifti1Image(np.moveaxis(known, 0, -1), far).to_filename(tmp_path / "maps.nii")
    with pytest.raises(BadData, match=r"maps.nii: map 1 has no value.*in the space of the recipe"):
        chosen(people, 2)


def test_shares_of_variance_add_up_to_less_than_1_whatever_lies_around_the_brain(
    people: np.ndarray, tmp_path: Path
) -> None:
    padded = np.pad(people[:8], ((0, 0), (0, 0), (6, 6), (6, 6), (6, 6)))
    one, two = (_ica().fit(ImageRows(some), np.arange(8), None) for some in (people[:8], padded))
    assert one.variance_ is not None
    assert two.variance_ is not None
    assert 0.1 < one.variance_.sum() < 1
    np.testing.assert_allclose(one.variance_.sum(), two.variance_.sum(), rtol=1e-4)
    # what one fold kept serves another, whose mask is not the same
    some = people[:8].copy()
    some[6:, :, :8] = 0
    columns = {"participant_id": [f"sub-{number:02d}" for number in range(8)]}
    stored = ImageRows(some, columns=columns, store=tmp_path / "kept")
    _ica().fit(stored, np.arange(8), None)
    again = _ica().fit(stored, np.arange(5, 8), None)
    alone = _ica().fit(ImageRows(some), np.arange(5, 8), None)
    assert again.variance_ is not None
    assert alone.variance_ is not None
    assert (again.variance_ == alone.variance_).all()
    assert again.variance_.sum() < 1


def test_more_channels_than_there_are_are_not_kept_and_it_is_said_before_work(
    people: np.ndarray, tmp_path: Path
) -> None:
    def asked(name: str, **settings: object) -> None:
        steps: dict[str, dict[str, object]] = {"group_ica": {"components": 6}, name: settings}
        section = load_recipe("teh2022").representation
        require_files(section.model_copy(update={"fitted": steps}))

    with pytest.raises(UsageError, match=r"outcome_selection.count is 7, .* 6 components before"):
        asked("outcome_selection", count=7)
    asked("outcome_selection", count=6)
    maps = tmp_path / "maps.nii"
    nib.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)).to_filename(maps)
    with pytest.raises(BadData, match=r"template_selection.maps: .*maps.nii has shape \(4, 4, 4\)"):
        asked("template_selection", maps=str(maps), count=2)
    nib.Nifti1Image(np.zeros((4, 4, 4, 3), np.float32), np.eye(4)).to_filename(maps)
    with pytest.raises(UsageError, match=r"template_selection.count is 4, .* 3 maps in .*maps.nii"):
        asked("template_selection", maps=str(maps), count=4)
    asked("template_selection", maps=str(maps), count=3)
    rows = ImageRows(people[:, :3])
    with pytest.raises(UsageError, match=r"outcome_selection.count is 4, .* 3 channels"):
        build_selection(_asked("outcome_selection", count=4)).fit(rows, TRAIN, OUTCOME[TRAIN])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": np.zeros((12, 3), np.float16)}, "not those of 12 components"),
        ({"maps": np.zeros(12, np.float16)}, "maps is missing"),
        ({"mask": np.zeros((2, 2), np.uint8)}, "mask is missing"),
        ({"stability": np.zeros(3)}, "not those of 12 components"),
    ],
)
def test_what_was_kept_of_other_components_is_refused(
    people: np.ndarray, change: dict[str, np.ndarray], message: str
) -> None:
    state = dict(_ica().fit(ImageRows(people[:8]), np.arange(8), None).state())
    with pytest.raises(BadData, match=message):
        _ica().with_state(state | change)
