"""A knee's labels and side: any numbering and names, what is missing, what contradicts itself."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.errors import BadData, NoInput
from bidsapp.modalities.knee.anatomy import BONES
from bidsapp.modalities.knee.label_map import (
    LabelMap,
    label_table,
    read_label_map,
    require_same_grid,
)
from bidsapp.modalities.knee.label_names import structure_of
from bidsapp.modalities.knee.page import labels_over_image
from bidsapp.modalities.knee.quality import quality_of
from bidsapp.modalities.knee.side import Seen, decide, read_side, seen_in_labels
from bidsapp.modalities.knee.synthetic import NAMES
from bidsapp.modalities.knee.whole_knee import KneeSettings, measure_knee, side_of
from tests.unit.knees import affine_of, label_map, plain_knee, without_sides, write_knee


@pytest.mark.parametrize(
    ("name", "structure"),
    [
        ("Femur", "femur"),
        ("Femur Bone", "femur"),
        ("femoral_bone_lesion", "femur"),
        ("FemoralCartilage", "femoral_cartilage"),
        ("cartilage, femoral (medial)", "femoral_cartilage"),
        ("Femoral Cartilage (trochlea)", "femoral_cartilage"),
        ("FC", "femoral_cartilage"),
        ("trochlea", "femoral_cartilage"),
        ("TrF", "femoral_cartilage"),
        ("femoral articular cartilage", "femoral_cartilage"),
        ("lateral tibial articular cartilage", "lateral_tibial_cartilage"),
        ("trochlear bone", ""),
        ("articular bone of the tibia", ""),
        ("MTC", "medial_tibial_cartilage"),
        ("lateral tibial plateau cartilage", "lateral_tibial_cartilage"),
        ("tib_cart_med", "medial_tibial_cartilage"),
        ("Tibial Cartilage", "tibial_cartilage"),
        ("kneecap", "patella"),
        ("cartilage_patella_R", "patellar_cartilage"),
        ("meniscus_1", "meniscus"),
        ("Medial Meniscus", "medial_meniscus"),
        ("fibula", "fibula"),
        ("background", ""),
        ("femoral nerve", ""),
        ("patellar tendon", ""),
        ("medial femoral condyle", ""),
        ("femur and tibia", ""),
        ("fibula cartilage", ""),
        ("", ""),
    ],
)
def test_names(name: str, structure: str) -> None:
    assert structure_of(name) == structure


def test_any_numbering_is_the_same_knee(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(np.arange(1, 40))[: len(NAMES) - 1]
    numbers = np.concatenate([[0], order])
    names = {int(numbers[n]): name.upper().replace("_", " ") for n, name in enumerate(NAMES)}
    path = write_knee(tmp_path, data=numbers.astype(np.uint8)[plain_knee()], names=names)
    found = read_label_map(path, label_table(path, tmp_path), BONES)
    plain = label_map()
    for structure in NAMES[1:]:
        np.testing.assert_array_equal(found.mask(structure), plain.mask(structure))
    np.testing.assert_allclose(found.affine, plain.affine, atol=1e-4)


def test_the_nearest_table_that_fits_is_taken(tmp_path: Path) -> None:
    image = tmp_path / "sub-1" / "anat" / "sub-1_acq-DESS_desc-knee_dseg.nii.gz"
    image.parent.mkdir(parents=True)
    assert label_table(image, tmp_path) is None
    (tmp_path / "dseg.tsv").touch()
    assert label_table(image, tmp_path) == tmp_path / "dseg.tsv"
    (tmp_path / "desc-knee_dseg.tsv").touch()
    (tmp_path / "desc-other_dseg.tsv").touch()
    assert label_table(image, tmp_path) == tmp_path / "desc-knee_dseg.tsv"
    own = image.with_name("sub-1_desc-knee_dseg.tsv")
    own.touch()
    image.with_name("sub-2_desc-knee_dseg.tsv").touch()
    assert label_table(image, tmp_path) == own


def _names(change: Callable[[dict[int, str]], None]) -> dict[int, str]:
    names = dict(enumerate(NAMES))
    change(names)
    return names


def _empty(number: int) -> np.ndarray:
    return np.where(plain_knee() == number, 0, plain_knee())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"names": _names(lambda n: n.pop(6))},
            "no label is called patella; it has 0 background, 1 femur.*preparation.bones",
        ),
        ({"names": _names(lambda n: n.update({2: "gristle"}))}, "called femoral_cartilage"),
        ({"names": {n: f"label {n}" for n in range(8)}}, "called femur or femoral_cartilage"),
        ({"data": _empty(6)}, r"the patella \(label 6 by .*dseg.tsv\) has no voxels"),
        ({"data": _empty(7)}, r"the patella's cartilage \(label 7"),
        (
            {"data": plain_knee().astype(np.float32) + 0.4},
            "no labels, such as 0.4; labels are whole",
        ),
        (
            {"data": plain_knee().astype(np.int32) * 8000},
            r"such as (40|48|56)000; .* from 0 to 32767",
        ),
        ({"data": plain_knee().astype(np.int16) - 3}, "such as -3"),
        ({"data": np.stack([plain_knee()] * 2, -1)}, "has 4 axes"),
        ({"names": {}}, "no label is called femur"),
    ],
)
def test_label_maps_that_cannot_be_used(tmp_path: Path, arguments: dict, said: str) -> None:
    path = write_knee(tmp_path, **arguments)
    with pytest.raises(BadData, match=said):
        read_label_map(path, label_table(path, tmp_path), BONES)


def test_a_knee_without_patella_is_measured_where_none_is_asked_for(tmp_path: Path) -> None:
    path = write_knee(tmp_path, data=_empty(6), names=_names(lambda n: n.pop(6)))
    labels = read_label_map(path, label_table(path, tmp_path), ("tibia",))
    knee = measure_knee(labels, {}, KneeSettings(bones=("tibia",), rows=32, columns=32))
    assert list(knee.bones) == ["tibia"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("number\tname\n1\tfemur\n", "expected the columns index and name"),
        ("", "found nothing"),
        ("index\tname\none\tfemur\n", "line 2: index 'one' is no label number"),
        ("index\tname\n1\tfemur\n1\ttibia\n", "line 3: index 1 is there twice"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    path = write_knee(tmp_path)
    table = label_table(path, tmp_path)
    assert table is not None
    table.write_text(text)
    with pytest.raises(BadData, match=said):
        read_label_map(path, table, BONES)
    table.unlink()
    with pytest.raises(BadData, match="no table names its labels"):
        read_label_map(path, label_table(path, tmp_path), BONES)
    with pytest.raises(NoInput, match="cannot be read"):
        read_label_map(path, table, BONES)


def test_another_grid_than_the_image(tmp_path: Path) -> None:
    path = write_knee(tmp_path)
    labels = read_label_map(path, label_table(path, tmp_path), BONES)
    image = tmp_path / "sub-01_acq-DESS_T2w.nii.gz"
    same = np.zeros(plain_knee().shape, np.float32)
    nib.save(nib.Nifti1Image(same, affine_of()), image)
    require_same_grid(labels, path, image)
    nib.save(nib.Nifti1Image(same[1:], affine_of()), image)
    with pytest.raises(BadData, match=r"and its image sub-01.* voxels|lies on another grid"):
        require_same_grid(labels, path, image)
    moved = affine_of().copy()
    moved[2, 3] += 4
    nib.save(nib.Nifti1Image(same, moved), image)
    with pytest.raises(BadData, match=r"up to 4\.0 mm away from its image"):
        require_same_grid(labels, path, image)


def test_a_bone_of_a_few_voxels_is_no_bone() -> None:
    labels = plain_knee().copy()
    there = np.argwhere(labels == 6)
    labels[tuple(there[:-500].T)] = 0
    with pytest.raises(BadData, match="patella has 500 voxels"):
        measure_knee(label_map(labels), {}, KneeSettings(bones=("patella",)))


@pytest.mark.parametrize(
    ("text", "side"),
    [("R", "R"), ("left", "L"), ("Right knee", "R"), ("links", "L"), ("both", None), ("L/R", None)],
)
def test_sides_as_tables_write_them(text: str, side: str | None) -> None:
    assert read_side(text) == side


def test_the_side_that_is_told_and_seen() -> None:
    right, left = label_map(), label_map(affine=affine_of("L"))
    assert side_of(right, {"sessions.tsv": "R"}, BONES) == ("R", "told by sessions.tsv", "")
    side, words, _ = side_of(left, {}, BONES)
    assert (side, words) == ("L", "seen: the lateral plate lies to the left of the medial")
    with pytest.raises(
        BadData,
        match=r"sessions.tsv says R, and the lateral plate.*as in a left knee.*told is wrong",
    ):
        side_of(left, {"sessions.tsv": "R"}, BONES)
    with pytest.raises(BadData, match="told differently: "):
        side_of(right, {"sessions.tsv": "R", "the file's name": "L"}, BONES)
    with pytest.raises(BadData, match="'both' is neither L nor R"):
        side_of(right, {"scans.tsv": "both"}, BONES)


def test_a_told_side_that_shapes_contradict_is_taken_and_doubted() -> None:
    shapes = Seen(
        "L", False, "the bones' shapes are those of a left knee (r with a right one: -0.8)"
    )
    side, words, doubt = decide({"participants.tsv": "R"}, [shapes])
    assert (side, words) == ("R", "told by participants.tsv, against the bones' shapes")
    assert doubt.startswith(
        "participants.tsv says R, and the bones' shapes are those of a left knee"
    )
    assert decide({"participants.tsv": "L"}, [shapes]) == ("L", "told by participants.tsv", "")


@pytest.mark.parametrize(
    ("side", "halves"), [("R", ("medial", "lateral")), ("L", ("lateral", "medial"))]
)
def test_sagittal_slices_name_the_half_of_the_knee(
    tmp_path: Path, side: str, halves: tuple[str, str]
) -> None:
    labels = write_knee(tmp_path, affine=affine_of(side))
    image = tmp_path / "image.nii.gz"
    nib.save(nib.Nifti1Image(plain_knee().astype(np.float32), affine_of(side)), image)
    tiles = [t for t in labels_over_image(image, labels, side) if t.plane == "sagittal"]
    assert (tiles[0].hemisphere, tiles[-1].hemisphere) == halves
    assert {tile.hemisphere for tile in tiles} <= {"medial", "middle", "lateral"}
    assert not any(tile.hemisphere for tile in labels_over_image(image, labels, None))


def test_an_unknown_side_is_asked_for() -> None:
    data, names = without_sides(plain_knee())  # and bones that are nobody's
    with pytest.raises(BadData, match=r"not known.*knee_side of sessions.tsv"):
        side_of(label_map(data, names=names), {}, BONES)
    with pytest.raises(BadData, match="not known"):
        decide({}, [])


def test_a_fibula_tells_and_contradictions_are_refused() -> None:
    middle = {"tibia": np.zeros(3), "fibula": np.array([-30.0, -20, -20])}
    found = seen_in_labels(middle)
    assert found is not None
    assert (found.side, found.sure) == ("L", True)
    assert seen_in_labels({"tibia": np.zeros(3), "fibula": np.array([2.0, 0, 0])}) is None
    plates = {
        "lateral_tibial_cartilage": np.array([20.0, 0, 0]),
        "medial_tibial_cartilage": np.array([-20.0, 0, 0]),
    }
    with pytest.raises(BadData, match="contradicts itself"):
        seen_in_labels({**middle, **plates})


def small(path: Path, data: np.ndarray | None = None) -> LabelMap:
    written = write_knee(path, data=data)
    return read_label_map(written, label_table(written, path), BONES)


@pytest.mark.parametrize("number", [4, 5])
def test_a_plate_without_a_voxel_is_a_warning_that_names_it(tmp_path: Path, number: int) -> None:
    labels = small(tmp_path, _empty(number))
    assert labels.lost == (NAMES[number],)
    settings = {"bones": ["tibia"], "t2": False}
    knee = measure_knee(labels, {"it": "R"}, KneeSettings(bones=("tibia",), rows=32, columns=32))
    quality = quality_of(labels, knee, settings)
    assert quality["verdict"] == "warn"
    assert quality["lost_cartilages"] == [NAMES[number]]
    assert f"No voxel of {NAMES[number]}, which" in " ".join(quality["reasons"])
    assert small(tmp_path / "whole").lost == ()


def test_a_part_of_a_plate_that_is_lost_is_named_too(tmp_path: Path) -> None:
    names = {
        **dict(enumerate(NAMES)),
        2: "medial femoral cartilage",
        9: "Lateral Femoral Cartilage",
    }
    path = write_knee(tmp_path, names=names)
    assert read_label_map(path, label_table(path, tmp_path), BONES).lost == (names[9],)
    assert read_label_map(path, label_table(path, tmp_path), ("tibia",)).lost == ()


TIBIA = {**dict(enumerate(NAMES)), 4: "medial tibial cartilage", 5: "lateral tibial cartilage"}


@pytest.mark.parametrize(
    ("number", "name", "said"),
    [
        (8, "medial tibia", ["label 8 'medial tibia'"]),
        (8, "gristle", ["label 8 'gristle'"]),
        (8, "", ["label 8"]),
        (8, "muscle", []),
        (8, "anterior cruciate ligament", []),
        (8, "Medial Meniscus", []),
        (8, "bone", []),
        (9, "medial tibia", []),  # has no voxel
    ],
)
def test_a_label_with_voxels_that_is_not_understood_is_a_warning(
    tmp_path: Path, number: int, name: str, said: list[str]
) -> None:
    data = plain_knee().copy()
    data[:3, :3, :3] = 8
    names = {**TIBIA, number: name}
    path = write_knee(tmp_path, data=data, names=names if number == 8 else {**names, 8: "muscle"})
    labels = read_label_map(path, label_table(path, tmp_path), ("tibia",))
    knee = measure_knee(labels, {"it": "R"}, KneeSettings(bones=("tibia",), rows=32, columns=32))
    quality = quality_of(labels, knee, {"bones": ["tibia"], "t2": False})
    assert quality["unread_labels"] == said
    assert all(
        f"Not understood and not used: {one}" in " ".join(quality["reasons"]) for one in said
    )
    assert not said or quality["verdict"] == "warn"


@pytest.mark.parametrize(
    ("number", "name", "missing"),
    [
        (4, "medial tibia", "medial_tibial_cartilage"),
        (5, "lateral tibia", "lateral_tibial_cartilage"),
        (5, "gristle", "lateral_tibial_cartilage"),
    ],
)
def test_half_a_plate_is_refused_and_the_other_half_asked_for(
    tmp_path: Path, number: int, name: str, missing: str
) -> None:
    path = write_knee(tmp_path, names={**TIBIA, number: name})
    with pytest.raises(BadData, match=r"only the .* half is named") as told:
        read_label_map(path, label_table(path, tmp_path), ("tibia",))
    assert f"{number} {name}" in str(told.value)
    assert "Name the other label" in str(told.value)
    assert missing in str(told.value)
    whole = read_label_map(path, label_table(path, tmp_path), ("femur",))
    assert whole.unread == (f"label {number} {name!r}",)


def test_a_trochlea_is_part_of_the_femurs_cartilage(tmp_path: Path) -> None:
    data = plain_knee().copy()
    there = np.argwhere(data == 2)
    for number, half in enumerate(np.array_split(there, 3)):
        data[tuple(half.T)] = (2, 8, 9)[number]
    names = {**TIBIA, 2: "MFC", 8: "LFC", 9: "TrF"}
    path = write_knee(tmp_path, data=data, names=names)
    found = read_label_map(path, label_table(path, tmp_path), BONES)
    np.testing.assert_array_equal(found.mask("femoral_cartilage"), plain_knee() == 2)
    assert not found.unread


def test_voxels_that_are_no_number_are_background_and_counted(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    data = plain_knee().astype(np.float32)
    data[:2, :3, :4] = np.nan
    found = small(tmp_path, data)
    assert "24 voxels of the label map" in found.notes[0]
    np.testing.assert_array_equal(found.data, np.nan_to_num(data))
    data[0, 0, 0] = np.inf
    with pytest.raises(BadData, match="numbers that are no labels"):
        small(tmp_path / "infinite", data)
    assert not [str(one.message) for one in recwarn if one.category is RuntimeWarning]


def test_masks_of_numbers_that_are_not_there() -> None:
    labels = LabelMap(np.ones((2, 2, 2), np.int16), np.eye(4), {"femur": (1,), "tibia": (90,)})
    assert labels.mask("femur").all()
    assert not labels.mask("tibia", "patella").any()
    assert labels.middle("tibia") is None
    assert replace(labels, affine=np.diag([2.0, 2, 2, 1])).middle("femur") == pytest.approx([1] * 3)
