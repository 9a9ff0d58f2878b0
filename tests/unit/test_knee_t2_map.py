"""T2 from a map that came with the images: its unit, its place, and whether it or echoes count."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.scan import Scan
from bidsapp.dataset.made_with import differences
from bidsapp.dataset.sources import ScanSelection, select_scans
from bidsapp.errors import BadData, NothingSelected, UsageError
from bidsapp.modalities.knee.echoes import read_echoes
from bidsapp.modalities.knee.settings import KneePreparation
from bidsapp.modalities.knee.synthetic import NAMES
from bidsapp.modalities.knee.t2_map import T2Map, metadata_of_map, read_t2_map, sample_t2, unit_of
from bidsapp.modalities.knee.whole_knee import KneeSettings, measure_knee
from bidsapp.options import RunOptions
from tests.unit.dataset_trees import make
from tests.unit.knees import affine_of, label_map, plain_knee, write_echoes

KNEE = modality_named("knee")
IMAGE, LABELS = "sub-01_acq-DESS_T2w.nii.gz", "sub-01_acq-DESS_desc-knee_dseg.nii.gz"
ECHOES = ("sub-01_echo-1_MESE.nii.gz", "sub-01_echo-2_MESE.nii.gz")
T2MAP = "sub-01_T2map.nii.gz"
DERIVED = '{"Name": "T", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}'


def test_a_map_gives_what_echoes_of_the_same_t2_give(tmp_path: Path) -> None:
    """A gradient of T2 over the knee: fitted from echoes on their own grid, and read from a map."""
    shape = (14, 60, 68)
    t2 = np.broadcast_to(25 + 0.5 * np.arange(shape[1])[None, :, None], shape)
    echoes = read_echoes(write_echoes(tmp_path, t2=t2, shape=shape))
    affine = affine_of(spacing=(9.0, 2.1, 2.1))
    settings = KneeSettings(bones=("patella", "tibia"), rows=48, columns=48, align_echoes=False)
    fitted = measure_knee(label_map(), {"a": "R"}, settings, echoes)
    for values, unit in ((t2, "ms"), (t2 / 1000, "s")):
        given = T2Map(values, affine, unit, tmp_path / T2MAP)
        read = measure_knee(label_map(), {"a": "R"}, settings, t2_map=given)
        for bone in settings.bones:
            one, other = fitted.bones[bone], read.bones[bone]
            assert other.facts["mean_t2_ms"] == pytest.approx(one.facts["mean_t2_ms"], abs=0.3)
            assert other.facts["t2_fitted_share"] > 0.98
            assert np.isnan(other.facts["t2_goodness"])
            for name in ("t2", "t2deep", "t2superficial"):
                apart = one.values[name] - other.values[name]
                assert np.nanmax(np.abs(apart)) < 1
        assert read.bones["patella"].facts["mean_t2_ms"] > 40 > 30


def test_a_map_that_is_cut_out_is_not_mixed_with_zeros_beside_it() -> None:
    """Cartilage of 42 ms on the label map's own grid, zeros (or NaN) all around."""
    data, affine = plain_knee(), affine_of()
    there = np.isin(data, (2, 4, 5, 7))
    places = nib.affines.apply_affine(affine, np.argwhere(there) + np.array([0.3, 0.4, -0.4]))
    for nothing in (0.0, np.nan):
        found = T2Map(np.where(there, 42.0, nothing), affine, "ms", Path(T2MAP))
        t2 = sample_t2(found, places)
        assert np.isfinite(t2).mean() > 0.6
        np.testing.assert_allclose(t2[np.isfinite(t2)], 42)
    far = np.where(there, 42.0, 0.0)
    with pytest.raises(BadData, match="lies beside the label map by its header"):
        sample_t2(T2Map(far, affine, "ms", Path(T2MAP)), places + 500)
    beyond = np.where(there, 42.0, 0.0)
    beyond[there & (np.indices(data.shape)[2] % 2 == 0)] = 400  # fluid, say: no T2 of cartilage
    t2 = sample_t2(T2Map(beyond, affine, "ms", Path(T2MAP)), nib.affines.apply_affine(
        affine, np.argwhere(there)))  # fmt: skip
    np.testing.assert_allclose(t2[np.isfinite(t2)], 42)
    assert 0.3 < np.isfinite(t2).mean() < 0.7


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (40.0, "s", "the median in cartilage is 40, and Units in its JSON file is 's'"),
        (40.0, "s", 'Correct it to "ms"'),
        (0.04, "ms", 'Correct it to "s"'),
        (4000.0, "ms", "Is it a T2 map?"),
    ],
)
def test_seconds_for_milliseconds_are_refused(value: float, unit: str, said: str) -> None:
    places = nib.affines.apply_affine(affine_of(), np.argwhere(plain_knee() == 2))
    found = T2Map(np.full(plain_knee().shape, value), affine_of(), unit, Path(T2MAP))
    with pytest.raises(BadData) as told:
        sample_t2(found, places)
    assert said in str(told.value)


@pytest.mark.parametrize("nothing", [np.nan, 0.0])
def test_a_map_without_a_value_in_cartilage_is_refused_by_its_name(nothing: float) -> None:
    places = nib.affines.apply_affine(affine_of(), np.argwhere(plain_knee() == 2))
    found = T2Map(np.full(plain_knee().shape, nothing), affine_of(), "ms", Path(T2MAP))
    with pytest.raises(BadData, match=rf"^{T2MAP}: no voxel of cartilage has a T2"):
        sample_t2(found, places)


@pytest.mark.parametrize(
    ("metadata", "unit"),
    [({"Units": "s"}, "s"), ({"Units": "ms"}, "ms"), ({"Units": "Milliseconds"}, "milliseconds")],
)
def test_units_are_read(metadata: dict[str, Any], unit: str) -> None:
    assert unit_of(Path(T2MAP), metadata) == unit


@pytest.mark.parametrize("metadata", [{}, {"Units": "Hz"}, {"Units": 1}, {"EchoTime": 0.01}])
def test_a_unit_is_never_guessed(metadata: dict[str, Any]) -> None:
    with pytest.raises(BadData, match='"Units": "ms"'):
        unit_of(Path(T2MAP), metadata)


def study(tmp_path: Path, *names: str, derived: tuple[str, ...] = ()) -> Path:
    root = tmp_path / "bids"
    make(root, IMAGE, *names)
    make(root / "derivatives" / "labels", LABELS, description=DERIVED)
    named = "".join(f"{number}\t{name}\n" for number, name in enumerate(NAMES))
    (root / "derivatives" / "labels" / "dseg.tsv").write_text(f"index\tname\n{named}")
    if derived:
        make(root / "derivatives" / "relaxometry", *derived, description=DERIVED)
    return root


def pick(root: Path, **how: Any) -> ScanSelection:
    settings = KneePreparation(**how)
    options = RunOptions(
        bids_dir=root,
        output_dir=root.parent / "out",
        work_dir=root.parent / "work",
        analysis_level="participant",
    )
    return select_scans(options, KNEE.sources_for(settings.plain()))


def listed(scan: Scan) -> dict[str, list[str]]:
    return {source: [f.path.name for f in some] for source, some in scan.files.items()}


def test_the_recipe_says_whether_echoes_or_the_map_count(tmp_path: Path) -> None:
    root = study(tmp_path, *ECHOES, T2MAP)
    (scan,) = pick(root, t2=True).scans
    assert listed(scan) == {"image": [IMAGE], "labels": [LABELS], "echoes": list(ECHOES)}
    (scan,) = pick(root, t2=True, t2_from="map").scans
    assert listed(scan) == {"image": [IMAGE], "labels": [LABELS], "t2_map": [T2MAP]}
    (scan,) = pick(root, t2_from="map").scans
    assert listed(scan) == {"image": [IMAGE], "labels": [LABELS]}


def test_a_map_may_lie_in_a_derivative_dataset(tmp_path: Path) -> None:
    root = study(tmp_path, derived=(T2MAP,))
    (scan,) = pick(root, t2=True, t2_from="map").scans
    assert scan.files["t2_map"][0].dataset == "relaxometry"
    both = study(tmp_path / "both", T2MAP, derived=(T2MAP,))
    with pytest.raises(
        UsageError, match=r"2 T2map \(t2_map\) files where one is needed.*leave one"
    ):
        pick(both, t2=True, t2_from="map")


def test_who_lacks_the_one_is_told_of_the_other(tmp_path: Path) -> None:
    root = study(tmp_path, *ECHOES)
    with pytest.raises(NothingSelected, match=r"preparation\.t2_from=echoes"):
        pick(root, t2=True, t2_from="map")
    with pytest.raises(NothingSelected, match=r"preparation\.t2_from=map"):
        pick(study(tmp_path / "other", T2MAP), t2=True)


def test_a_map_without_a_unit_is_refused_before_any_work(tmp_path: Path) -> None:
    root = study(tmp_path, T2MAP)
    settings = KneePreparation(t2=True, t2_from="map")
    (scan,) = pick(root, t2=True, t2_from="map").scans
    with pytest.raises(BadData, match="Units is not there"):
        KNEE.check_scan(scan, settings)
    (root / "T2map.json").write_text(json.dumps({"Units": "ms"}))  # for all maps of the dataset
    KNEE.check_scan(scan, settings)
    assert metadata_of_map(scan.files["t2_map"][0]) == {"Units": "ms"}
    nib.save(nib.Nifti1Image(np.full((4, 4, 4, 2), 40, np.float32), np.eye(4)),
             root / "sub-01" / "anat" / T2MAP)  # fmt: skip
    with pytest.raises(BadData, match="has 4 axes"):
        read_t2_map(scan.files["t2_map"][0].path, {"Units": "ms"})


def test_echoes_in_milliseconds_are_refused_before_any_work(tmp_path: Path) -> None:
    root = study(tmp_path, *ECHOES)
    for number, seconds in ((1, 0.01), (2, 20)):
        sidecar = root / "sub-01" / "anat" / f"sub-01_echo-{number}_MESE.json"
        sidecar.write_text(json.dumps({"EchoTime": seconds}))
    (scan,) = pick(root, t2=True).scans
    with pytest.raises(BadData, match=r"EchoTime is 20; .* Write 0\.02"):
        KNEE.check_scan(scan, KneePreparation(t2=True))


def test_maps_are_never_taken_for_fitted_t2(tmp_path: Path) -> None:
    from bidsapp.dataset.normalized import NormalizedImage

    def made(**how: Any) -> NormalizedImage:
        image = tmp_path / "sub-01_desc-joint_dseg.nii.gz"
        settings = KneePreparation(t2=True, **how).plain()
        return NormalizedImage("sub-01", "", image, None, {}, "", "", settings=settings)

    asked = KneePreparation(t2=True, t2_from="map")
    (found,) = differences(asked, [made()])
    assert (found.key, found.asked, found.made) == ("t2_from", "map", "echoes")
    assert not differences(asked, [made(t2_from="map")])
