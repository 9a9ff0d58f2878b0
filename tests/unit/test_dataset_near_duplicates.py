"""Copies of one scan among heads that are nobody's: found however they are dressed up."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from bidsapp.dataset.alike_pairs import (
    BUCKETS,
    LARGEST,
    MARGIN,
    SMALLEST,
    Likeness,
    _sketched,
    alike_pairs,
)
from bidsapp.dataset.near_duplicates import find_near_duplicates
from bidsapp.errors import BadData

SHAPE = (41, 48, 41)
AFFINE = np.diag([4.0, 4, 4, 1])
AFFINE[:3, 3] = (-80, -112, -70)


def template() -> tuple[np.ndarray, np.ndarray]:
    """A head that all share, and its mask; the same on both sides."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    mask = x**2 + y**2 + z**2 < 0.7
    folds = gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 1.2)
    folds = folds + folds[::-1]
    return (0.5 + 0.15 * folds / folds.std()) * mask, mask


def head(seed: int, own: float = 0.3) -> np.ndarray:
    """The shared head with a person's own folds; `own` is their share of what is shared."""
    shared, mask = template()
    folds = gaussian_filter(np.random.default_rng([seed, 1]).normal(size=SHAPE), 1.2)
    return (np.clip(shared + own * 0.15 * folds / folds.std(), 0.01, None) * mask).astype("f4")


DRESSES = {
    "one voxel": lambda v, rng: _one_voxel(v),
    "noise": lambda v, rng: (v + rng.normal(0, 0.02, SHAPE)) * (v > 0),
    "brighter": lambda v, rng: (1.7 * v + 0.3) * (v > 0),
    "contrast": lambda v, rng: np.sqrt(v),
    "mirrored": lambda v, rng: v[::-1],
    "bias": lambda v, rng: v * np.linspace(0.8, 1.2, SHAPE[0])[:, None, None],
    "cut": lambda v, rng: v * (np.arange(SHAPE[2]) > 12),
}


def _one_voxel(v: np.ndarray) -> np.ndarray:
    v = v.copy()
    v[20, 24, 20] += 0.001
    return v


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """Twelve heads, and the template's mask."""
    folder = tmp_path_factory.mktemp("heads")
    files = [write(folder / f"{seed}.nii", head(seed)) for seed in range(12)]
    return files, write(folder / "mask.nii", template()[1].astype("u1"))


def write(path: Path, values: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(np.ascontiguousarray(values), AFFINE), path)
    return path


def people(files: list[Path]) -> list[str]:
    return [f"sub-{place:02d}" for place in range(len(files))]


def test_unrelated_heads_are_nobodys_copies(cohort: tuple[list[Path], Path]) -> None:
    files, mask = cohort
    found = find_near_duplicates(files, people(files), mask)
    assert found is not None
    assert not found.duplicates
    assert len(found.pairs) == 1  # the most alike pair is told all the same
    assert found.pairs[0].correlation < 0.25
    assert found.limit >= SMALLEST


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dress=st.sampled_from(sorted(DRESSES)), who=st.integers(0, 11), seed=st.integers(0, 999))
def test_a_copy_is_found_however_it_is_dressed_up(
    cohort: tuple[list[Path], Path],
    tmp_path: Path,
    dress: str,
    who: int,
    seed: int,
) -> None:
    files, mask = cohort
    changed = DRESSES[dress](head(who), np.random.default_rng(seed))
    copy = write(tmp_path / "copy.nii", changed.astype("f4"))
    found = find_near_duplicates([*files, copy], people([*files, copy]), mask)
    assert found is not None
    assert [(pair.first, pair.second) for pair in found.duplicates] == [(who, 12)]
    assert found.duplicates[0].mirrored == (dress == "mirrored")


@pytest.mark.parametrize("dress", ["cut", "contrast", "bias", "brighter"])
def test_two_people_of_another_scanner_are_no_copies(
    cohort: tuple[list[Path], Path], tmp_path: Path, dress: str
) -> None:
    files, mask = cohort
    rng = np.random.default_rng(3)
    odd = [
        write(tmp_path / f"{seed}.nii", DRESSES[dress](head(seed), rng).astype("f4"))
        for seed in (50, 51)
    ]
    found = find_near_duplicates([*files, *odd], people([*files, *odd]), mask)
    assert found is not None
    assert not found.duplicates


@pytest.mark.parametrize("odd", ["smaller", "aside"])
def test_an_image_on_another_grid_than_the_mask_is_refused(
    odd: str, cohort: tuple[list[Path], Path], tmp_path: Path
) -> None:
    files, mask = cohort
    aside = AFFINE.copy()
    aside[0, 3] += 8
    values, affine = (head(50)[:-1], AFFINE) if odd == "smaller" else (head(50), aside)
    path = tmp_path / "odd.nii"
    nib.save(nib.Nifti1Image(values, affine), path)
    place = " at another place" if odd == "aside" else ""
    with pytest.raises(BadData, match=rf"odd\.nii lies on a grid of .*48, 41\){place}; prepare"):
        find_near_duplicates([*files, path], people([*files, path]), mask)


def test_boxes_about_each_persons_own_head_may_lie_anywhere(
    cohort: tuple[list[Path], Path], tmp_path: Path
) -> None:
    files, mask = cohort
    plain = find_near_duplicates(files, people(files), mask)

    def moved(path: Path, by: float) -> Path:
        affine = AFFINE.copy()
        affine[2, 3] += by
        image = nib.Nifti1Image(np.asarray(nib.Nifti1Image.load(path).dataobj), affine)
        image.header["intent_name"] = b"own grid"
        image.to_filename(tmp_path / path.name)
        return tmp_path / path.name

    own = [moved(path, 5 * k) for k, path in enumerate(files)]
    found = find_near_duplicates(own, people(own), moved(mask, 0))
    assert found is not None
    assert plain is not None
    assert found.pairs == plain.pairs


def test_images_stored_in_another_order_of_axes_are_compared_as_well(
    cohort: tuple[list[Path], Path], tmp_path: Path
) -> None:
    """A box of a head that is stored from back, bottom, right has its middle on another axis."""
    files, mask = cohort
    order = nib.orientations.axcodes2ornt(tuple("PSR"))
    change = nib.orientations.ornt_transform(nib.orientations.io_orientation(AFFINE), order)

    def stored(path: Path, values: np.ndarray) -> Path:
        nib.save(nib.Nifti1Image(values, AFFINE).as_reoriented(change), path)
        return path

    images = [np.asarray(nib.Nifti1Image.load(path).dataobj) for path in files[:10]]
    images.append(images[0][::-1])
    turned = [stored(tmp_path / f"{k}.nii", image) for k, image in enumerate(images)]
    own_mask = stored(tmp_path / "mask.nii", np.asarray(nib.Nifti1Image.load(mask).dataobj))
    found = find_near_duplicates(turned, people(turned), own_mask)
    assert found is not None
    assert [(pair.first, pair.second, pair.mirrored) for pair in found.duplicates] == [
        (0, 10, True)
    ]


def test_scans_of_one_person_are_not_compared(
    cohort: tuple[list[Path], Path], tmp_path: Path
) -> None:
    files, mask = cohort
    again = write(tmp_path / "again.nii", _one_voxel(head(4)))
    names = [*people(files), "sub-04"]
    found = find_near_duplicates([*files, again], names, mask)
    assert found is not None
    assert not found.duplicates
    assert find_near_duplicates(files[:2], ["a", "b"], mask) is None
    assert find_near_duplicates(files, ["a"] * 12, mask) is None


def test_a_cohort_in_which_all_are_alike_lifts_the_limit_but_hides_no_true_copy(
    cohort: tuple[list[Path], Path], tmp_path: Path
) -> None:
    _, mask = cohort
    kinds = [head(90, 1.0), head(91, 1.0)]  # two kinds of heads, with little of one's own
    files = [write(tmp_path / f"{k}.nii", 0.5 * kinds[k % 2] + 0.5 * head(k)) for k in range(12)]
    found = find_near_duplicates(files, people(files), mask)
    assert found is not None
    assert not found.duplicates
    assert found.limit == LARGEST
    values = np.asarray(nib.Nifti1Image.load(files[3]).dataobj)
    copy = write(tmp_path / "copy.nii", _one_voxel(values))
    found = find_near_duplicates([*files, copy], people([*files, copy]), mask)
    assert found is not None
    assert [(pair.first, pair.second) for pair in found.duplicates] == [(3, 12)]


def test_pictures_of_a_small_place_are_compared_finely_enough(tmp_path: Path) -> None:
    """Of 49 cells of 4 mm, many of a few hundred unrelated people would agree."""
    rng = np.random.default_rng(0)
    affine = np.diag([0.3, 0.3, 0.3, 1.0])
    shared = gaussian_filter(rng.normal(size=(100, 100)), 8)

    def picture(name: str, values: np.ndarray) -> Path:
        path = tmp_path / f"{name}.nii"
        nib.save(nib.Nifti1Image(values.astype(np.float32)[..., None], affine), path)
        return path

    def seen() -> np.ndarray:
        own = gaussian_filter(rng.normal(size=(100, 100)), 4)
        whole = 0.5 + 0.15 * shared / shared.std() + 0.08 * own / own.std()
        return np.clip(whole + rng.normal(0, 0.03, own.shape), 0.01, 1)

    files = [picture(str(k), seen()) for k in range(60)]
    mask = picture("mask", np.ones((100, 100)))
    found = find_near_duplicates(files, people(files), mask)
    assert found is not None
    assert not found.duplicates
    assert found.pairs[0].correlation < 0.8
    first = np.asarray(nib.Nifti1Image.load(files[0]).dataobj)[..., 0]
    for changed in (np.sqrt(first), 0.5 * first + 0.2, first + rng.normal(0, 0.01, first.shape)):
        again = [*files, picture("again", changed)]
        found = find_near_duplicates(again, people(again), mask)
        assert found is not None
        assert [(pair.first, pair.second) for pair in found.duplicates] == [(0, 60)]


def test_any_number_of_scans_gives_the_pairs_of_one_block(
    cohort: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from bidsapp.dataset import alike_pairs

    files, mask = cohort
    copies = [write(tmp_path / f"{k}.nii", _one_voxel(head(k))) for k in (2, 7)]
    every = [*files, *copies]
    whole = find_near_duplicates(every, people(every), mask)
    monkeypatch.setattr(alike_pairs, "_BLOCK", 3)
    parts = find_near_duplicates(every, people(every), mask)
    assert whole is not None
    assert parts is not None
    for found in (whole, parts):
        assert {(pair.first, pair.second) for pair in found.duplicates} == {(2, 12), (7, 13)}
    assert parts.median == pytest.approx(whole.median, abs=0.001)
    assert parts.spread == pytest.approx(whole.spread, abs=0.002)


def drawn(rng: np.random.Generator, scans: int, size: int) -> np.ndarray:
    """What would be each scan's own: as smooth as images are, and nobody else's."""
    own = gaussian_filter(rng.normal(size=(scans, size)), (0, 1.0)).astype(np.float32)
    return own / np.linalg.norm(own, axis=1, keepdims=True)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1500, 4000),
    common=st.floats(0, 0.3),
    planted=st.lists(
        st.tuples(st.integers(0, 149), st.integers(150, 299), st.floats(0.3, 1.0), st.booleans()),
        max_size=12,
        unique_by=(lambda one: one[0], lambda one: one[1]),
    ),
)
def test_sketches_leave_out_no_pair_that_is_alike(
    seed: int, size: int, common: float, planted: list[tuple[int, int, float, bool]]
) -> None:
    """Copies as worn as can be, those at the limit too, in cohorts with more or less in common."""
    rng = np.random.default_rng(seed)
    own = drawn(rng, 300, size) + common * drawn(rng, 1, size)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    mirror = np.arange(size)[::-1]
    for one, copy, share, turned in planted:
        rest = own[copy] - (own[copy] @ own[one]) * own[one]
        own[copy] = share * own[one] + np.sqrt(1 - share**2) * rest / np.linalg.norm(rest)
        own[copy] = own[copy][mirror] if turned else own[copy]
    own = own.astype(np.float32)
    people = np.arange(300)
    people[299] = people[0]
    whole = alike_pairs(own, people, mirror)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bidsapp.dataset.alike_pairs.EXACT", 200)
        found = alike_pairs(own, people, mirror)
    assert found.median == pytest.approx(whole.median, abs=0.005)
    assert found.spread == pytest.approx(whole.spread, abs=0.004)

    def told(likeness: Likeness, least: float) -> dict[tuple[int, int, bool], float]:
        return {
            (pair.first, pair.second, pair.mirrored): pytest.approx(pair.correlation, abs=1e-5)
            for pair in likeness.duplicates
            if pair.correlation >= least
        }

    # limits differ by what a sample does, and a pair at one by what rounding does
    least = max(whole.limit, found.limit) + 1e-5
    assert told(found, least) == told(whole, least)
    assert (0, 299) not in {(pair.first, pair.second) for pair in found.pairs}


def test_a_sketch_errs_as_little_as_its_margin_counts_on() -> None:
    """On the correlation that matters, .5, plain and mirrored, in images of few voxels too."""
    rng = np.random.default_rng(1)
    for size in (600, 6000):
        own = drawn(rng, 600, size)
        mirror = np.arange(size)[::-1].copy()
        own[300:] = 0.5 * own[:300] + np.sqrt(0.75) * own[300:]
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        plain, turned = _sketched(own, mirror)(slice(0, 600))
        for estimate, other in ((plain, own), (turned, own[:, mirror])):
            errors = estimate - other @ own.T
            assert np.sqrt(np.mean(errors**2)) < 1.1 * np.sqrt(1 / (2 * BUCKETS))
            assert np.abs(errors[~np.eye(600, dtype=bool)]).max() < 0.75 * MARGIN


@pytest.mark.parametrize("one_sided", [False, True])
def test_a_sketch_of_what_is_the_same_on_both_sides_or_on_one_alone_errs_more(
    one_sided: bool,
) -> None:
    """As much as docs/statistics.md says: √2 times, and still less than the margin."""
    own = drawn(np.random.default_rng(3), 600, 6000)
    mirror = np.arange(6000)[::-1].copy()
    own = own * (mirror > 2999) if one_sided else own + own[:, mirror]
    own[300:] = 0.5 * own[:300] + np.sqrt(0.75) * own[300:]
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    plain, _ = _sketched(own, mirror)(slice(0, 600))
    errors = (plain - own @ own.T)[~np.eye(600, dtype=bool)]
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(np.sqrt(1 / BUCKETS), rel=0.1)
    assert np.abs(errors).max() < MARGIN


def test_the_most_alike_pair_of_many_scans_is_told_where_none_is_a_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = drawn(np.random.default_rng(2), 120, 2000)
    whole = alike_pairs(own, np.arange(120), np.arange(2000)[::-1])
    monkeypatch.setattr("bidsapp.dataset.alike_pairs.EXACT", 100)
    found = alike_pairs(own, np.arange(120), np.arange(2000)[::-1])
    assert not found.duplicates
    assert [(pair.first, pair.second, pair.mirrored) for pair in found.pairs] == [
        (pair.first, pair.second, pair.mirrored) for pair in whole.pairs
    ]
