"""Atlases: what comes with the app, what a file must be, and what is refused."""

import hashlib
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.saliency.atlas import EMBEDDED, embedded_atlases, resolve_atlas
from bidsapp.saliency.requirements import choose_atlases
from bidsapp.spaces.slice import picture
from bidsapp.spaces.volume import slab, volume
from bidsapp.templates.embedded import DEFAULT, packaged

from .saliency_stacks import AFFINE, SHAPE, axial

SPM12 = np.array([[2, 0, 0, -78], [0, 2, 0, -112], [0, 0, 2, -70], [0, 0, 0, 1.0]])
WHOLE = volume((79, 95, 79), SPM12)


def write_atlas(
    path: Path, labels: np.ndarray, affine: np.ndarray = AFFINE, names: str | None = None
) -> Path:
    nib.save(nib.Nifti1Image(labels.astype(np.int16), affine), path)
    text = "index\tname\n1\tfront\n2\tback\n" if names is None else names
    if text:
        path.with_name(path.name.replace(".nii.gz", ".tsv")).write_text(text)
    return path


def halves() -> np.ndarray:
    labels = np.ones(SHAPE, int)
    labels[:, : SHAPE[1] // 2] = 2
    return labels


def at(labels: np.ndarray, *mm: float) -> int:
    index = np.rint(np.linalg.inv(SPM12) @ [*mm, 1]).astype(int)[:3]
    return int(labels[tuple(index)])


def test_regions_that_pain_studies_name_are_found_by_name() -> None:
    atlases, notes = embedded_atlases(WHOLE, DEFAULT)
    assert [atlas.name for atlas in atlases] == list(EMBEDDED)
    assert notes == []
    found = {
        words: [n for a in atlases for n in a.find(words)]
        for words in (
            "insula",
            "vmPFC",
            "ventromedial prefrontal",
            "PAG",
            "periaqueductal gray",
            "thalamus",
            "ACC",
            "amygdala",
            "hippocampus",
            "nucleus accumbens",
            "S1",
            "S2",
            "ventricle",
        )
    }
    assert all(found.values())
    assert {"insula_L", "insula_R", "insula_anterior_R", "insula_posterior_L"} <= set(
        found["insula"]
    )
    assert found["PAG"] == ["periaqueductal_grey"]


def test_embedded_labels_lie_where_anatomy_has_them() -> None:
    by_name = {atlas.name: atlas for atlas in embedded_atlases(WHOLE, DEFAULT)[0]}
    cortex = by_name["desikan_killiany"]
    names = dict(zip(cortex.regions["index"], cortex.regions["name"], strict=True))
    assert names[at(cortex.labels, -40, 4, 0)] == "insula_L"
    assert names[at(cortex.labels, 26, -20, -14)] == "hippocampus_R"
    assert names[at(cortex.labels, -10, -18, 8)] == "thalamusproper_L"
    tissue = by_name["tissue"]
    kinds = dict(zip(tissue.regions["index"], tissue.regions["name"], strict=True))
    assert kinds[at(tissue.labels, 8, 4, 16)] == "lateral_ventricles"
    assert kinds[at(tissue.labels, -30, -30, 30)] == "white_matter_L"


def test_the_sphere_of_the_periaqueductal_grey_holds_the_aqueduct() -> None:
    # the darkest voxel of the midbrain's midline, in the template itself
    image = nib.Nifti1Image.load(packaged("t1"))
    t1w = np.asarray(image.dataobj)
    y, z = np.arange(-38, -28), -11
    dark = y[np.argmin([t1w[98, v + 134, z + 72] for v in y])]
    spheres = resolve_atlas("pain_spheres", WHOLE, DEFAULT)
    number = int(spheres.regions.set_index("name").loc["periaqueductal_grey", "index"])
    assert at(spheres.labels, 0, dark, -10) == number
    assert (spheres.labels == number).sum() * 8 == pytest.approx(4 / 3 * np.pi * 125, rel=0.25)


def test_cortex_of_the_atlas_is_grey_matter_of_the_template() -> None:
    grey = nib.Nifti1Image.load(packaged("gm"))
    window = volume(grey.shape, grey.affine)
    atlas = resolve_atlas("desikan_killiany", window, DEFAULT)
    probability = np.asarray(grey.dataobj) / 255
    cortex = np.isin(atlas.labels, [*range(1, 35), *range(42, 76)])
    aligned = probability[cortex].mean()
    assert aligned > 0.7
    for axis in range(3):
        for step in (-3, 3):
            assert probability[np.roll(cortex, step, axis)].mean() < aligned - 0.05


def test_another_space_gets_only_what_holds_there() -> None:
    atlases, notes = embedded_atlases(WHOLE, "MNI152NLin6Asym")
    assert [atlas.name for atlas in atlases] == ["pain_spheres"]
    assert "desikan_killiany" in notes[0]
    assert "MNI152NLin6Asym" in notes[0]
    assert embedded_atlases(WHOLE, "OASIS30ANTs")[0] == []
    with pytest.raises(BadData, match="tissue is not in the space of the maps, MNI152NLin6Asym"):
        resolve_atlas("tissue", WHOLE, "MNI152NLin6Asym")
    # of a picture of the neck nobody asks which part of the brain it shows
    assert embedded_atlases(picture((8, 8), (0.5, 0.5), "foramen"), "foramen") == ([], [])


def test_a_file_on_the_same_grid_is_taken_as_it_is(tmp_path: Path) -> None:
    path = write_atlas(tmp_path / "tpl-X_atlas-Halves_dseg.nii.gz", halves())
    atlas = resolve_atlas(str(path), axial(), "X")
    np.testing.assert_array_equal(atlas.labels, halves())
    assert atlas.name == "Halves"
    assert atlas.note == f"{path.name}, sha256 {atlas.files[path.name]}"
    assert list(atlas.regions["name"]) == ["front", "back"]


def test_two_files_of_one_name_are_told_apart_by_their_contents(tmp_path: Path) -> None:
    """Results name a file without its folder."""
    found = []
    for folder, labels in (("one", halves()), ("two", halves()[:, ::-1])):
        (tmp_path / folder).mkdir()
        file = write_atlas(tmp_path / folder / "halves.nii.gz", labels)
        atlas = resolve_atlas(str(file), axial(), DEFAULT)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert set(atlas.files) == {"halves.nii.gz", "halves.tsv"}
        assert atlas.files["halves.nii.gz"] == digest
        assert atlas.note.endswith(f"halves.nii.gz, sha256 {digest}")
        found.append(digest)
    assert found[0] != found[1]
    assert not any(atlas.files for atlas in embedded_atlases(WHOLE, DEFAULT)[0])


def test_a_finer_grid_is_brought_over_by_nearest_neighbour(tmp_path: Path) -> None:
    fine = np.repeat(np.repeat(np.repeat(halves(), 2, 0), 2, 1), 2, 2)
    affine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    affine[:3, 3] -= 0.5
    path = write_atlas(tmp_path / "fine.nii.gz", fine, affine)
    atlas = resolve_atlas(str(path), axial(), "X")
    np.testing.assert_array_equal(atlas.labels, halves())
    assert "nearest neighbour" in atlas.note
    assert "names no space" in atlas.note


def test_an_atlas_in_another_space_is_refused_by_name(tmp_path: Path) -> None:
    path = write_atlas(tmp_path / "tpl-MNI152NLin6Asym_atlas-A_dseg.nii.gz", halves())
    with pytest.raises(BadData, match="is in MNI152NLin6Asym, the maps are in MNI152NLin2009aSym"):
        resolve_atlas(str(path), axial(), DEFAULT)
    # a sidecar counts for more than the file's name
    path.with_name("tpl-MNI152NLin6Asym_atlas-A_dseg.json").write_text(
        json.dumps({"Space": DEFAULT})
    )
    assert resolve_atlas(str(path), axial(), DEFAULT).labels.any()


def test_a_file_that_is_no_atlas_is_refused(tmp_path: Path) -> None:
    far = AFFINE.copy()
    far[:3, 3] += 500
    path = write_atlas(tmp_path / "far.nii.gz", halves(), far)
    with pytest.raises(BadData, match="none of its labels"):
        resolve_atlas(str(path), axial(), "X")
    soft = tmp_path / "soft.nii.gz"
    nib.save(nib.Nifti1Image(np.full(SHAPE, 0.3, np.float32), AFFINE), soft)
    with pytest.raises(BadData, match="whole numbers"):
        resolve_atlas(str(soft), axial(), "X")
    with pytest.raises(NoInput, match=r"absent\.nii\.gz: not found"):
        resolve_atlas(str(tmp_path / "absent.nii.gz"), axial(), "X")
    (tmp_path / "text.nii.gz").write_text("no image")
    with pytest.raises(BadData, match="not a NIfTI image that can be read"):
        resolve_atlas(str(tmp_path / "text.nii.gz"), axial(), "X")


def test_a_table_that_does_not_fit_is_refused_or_said(tmp_path: Path) -> None:
    path = write_atlas(tmp_path / "a.nii.gz", halves(), names="number\tlabel\n1\tx\n")
    with pytest.raises(BadData, match=r"a\.tsv: columns index and name"):
        resolve_atlas(str(path), axial(), "X")
    path = write_atlas(tmp_path / "d.nii.gz", halves(), names="index\tname\n1\tx\ty\n2\tz\tw\n")
    with pytest.raises(BadData, match=r"d\.tsv: cannot be read .* more fields than the header"):
        resolve_atlas(str(path), axial(), "X")
    path = write_atlas(tmp_path / "b.nii.gz", halves(), names="index\tname\n1\tx\n")
    assert "left out: [2]" in resolve_atlas(str(path), axial(), "X").note
    path = write_atlas(tmp_path / "c.nii.gz", halves(), names="")
    atlas = resolve_atlas(str(path), axial(), "X")
    assert list(atlas.regions["name"]) == ["label-1", "label-2"]


def test_a_table_of_other_letters_or_of_halves_is_refused(tmp_path: Path) -> None:
    path = write_atlas(tmp_path / "a.nii.gz", halves())
    (tmp_path / "a.tsv").write_bytes("index\tname\n1\tGyrus äußerer\n".encode("latin-1"))
    with pytest.raises(BadData, match=r"a\.tsv: not UTF-8"):
        resolve_atlas(str(path), axial(), "X")
    for index in ("1.5", "inf", "x"):
        path = write_atlas(tmp_path / "b.nii.gz", halves(), names=f"index\tname\n{index}\tx\n")
        with pytest.raises(BadData, match=r"b\.tsv: column index must hold whole numbers"):
            resolve_atlas(str(path), axial(), "X")


def test_a_label_that_no_table_can_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.nii.gz"
    nib.save(
        nib.Nifti1Image(np.where(halves() == 1, 3_000_000_000, 2).astype(np.uint32), AFFINE), path
    )
    with pytest.raises(BadData, match="is larger than 2147483647"):
        resolve_atlas(str(path), axial(), "X")


def test_an_atlas_of_templateflow_is_taken_from_a_home(tmp_path: Path) -> None:
    folder = tmp_path / "tpl-X"
    folder.mkdir()
    stem = "tpl-X_res-02_atlas-Parcels_desc-{}_dseg.nii.gz"
    for kind in ("7N", "17N"):
        path = write_atlas(folder / stem.format(kind), halves(), names="")
        table = path.name.replace("_res-02", "").replace(".nii.gz", ".tsv")
        (folder / table).write_text("index\tname\n1\tfront\n2\tback\n")
    atlas = resolve_atlas("Parcels:7N", axial(), "X", [tmp_path])
    assert list(atlas.regions["name"]) == ["front", "back"]
    with pytest.raises(UsageError, match="Parcels:17N"):
        resolve_atlas("Parcels", axial(), "X", [tmp_path])
    with pytest.raises(NoInput, match="templateflow get X --atlas Absent"):
        resolve_atlas("Absent", axial(), "X", [tmp_path])


def test_every_embedded_file_says_its_licence() -> None:
    for name, (file, _) in EMBEDDED.items():
        path = Path(resolve_atlas.__code__.co_filename).parent / "atlases" / file
        if path.name.endswith(".nii.gz"):
            about = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
            assert "Copyright" in about["License"], name
            assert about["Sources"]
        else:
            lines = path.read_text().splitlines()
            assert all(line.split("\t")[-1].strip() for line in lines)


def test_a_slab_sees_what_of_an_atlas_lies_in_it() -> None:
    window = slab((79, 95, 79), SPM12, "axial", 30)
    atlas = resolve_atlas("tissue", window, DEFAULT)
    assert atlas.labels.shape == (79, 95, 79)
    assert 0 < (window.cut(atlas.labels) == 1).sum() < (atlas.labels == 1).sum()


def test_an_embedded_atlas_that_is_named_is_there_once() -> None:
    atlases, notes = choose_atlases(("tissue", "pain_spheres"), WHOLE, DEFAULT)
    assert [atlas.name for atlas in atlases] == list(EMBEDDED)
    assert notes == []
