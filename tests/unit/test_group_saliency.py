"""Saliency in the group report: on the right side, at the right place, whatever comes in."""

import base64
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bidsapp.contracts.modality import modality_named
from bidsapp.reports.group_report import write_group_report
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.saliency import SaliencyPart, saliency_section
from bidsapp.reports.saliency.colour_meaning import sides_of
from bidsapp.reports.saliency.grid import read_map, stage_of
from bidsapp.reports.saliency.overlays import colour_index, map_colours
from tests.unit.saliency_folders import BALL_MM, write_saliency


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a recipe and maps, and nothing else."""
    from bidsapp.recipes import dump_recipe, load_recipe

    folder = tmp_path_factory.mktemp("saliency") / "group" / "attias2025"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(dump_recipe(load_recipe("attias2025")))
    write_saliency(folder, "axial")
    return folder


def part_of(folder: Path) -> SaliencyPart:
    return saliency_section(RunFiles(folder)).parts[0]


@pytest.fixture(scope="module")
def part(bare: Path) -> SaliencyPart:
    return part_of(bare)


def unpacked(pixels: str, shape: list[int], across: int) -> np.ndarray:
    """Read a sheet of slices as the viewer does: (x, y, z)."""
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(pixels))))
    nx, ny, nz = shape
    volume = np.empty(shape, np.uint8)
    for z in range(nz):
        row, column = divmod(z, across)
        tile = sheet[row * ny : (row + 1) * ny, column * nx : (column + 1) * nx]
        volume[:, :, z] = tile.T
    return volume


def test_the_viewer_holds_the_ball_where_it_was_planted(bare: Path, part: SaliencyPart) -> None:
    stage = json.loads(saliency_section(RunFiles(bare)).stage)
    first = json.loads(part.payload)["maps"][0]
    assert first["name"] == "true positives"
    volume = unpacked(first["pixels"], stage["shape"], stage["across"]).astype(int) - 128
    strongest = np.unravel_index(volume.argmax(), volume.shape)
    found = np.array(stage["affine"]) @ [*strongest, 1]
    assert np.abs(found[:3] - BALL_MM).max() <= 1.01
    assert first["top"] == pytest.approx(2, abs=0.05)
    lowest = np.unravel_index(volume.argmin(), volume.shape)
    assert (np.array(stage["affine"]) @ [*lowest, 1])[0] == pytest.approx(-BALL_MM[0], abs=1.01)
    # one step of 8 bits
    assert volume.min() / 127 * first["top"] == pytest.approx(-1, abs=0.03)


def test_warm_lies_right_and_cold_left_in_every_slice(part: SaliencyPart) -> None:
    seen = 0
    for tile in part.tiles:
        if tile.plane == "sagittal":
            continue
        assert tile.sides == ("L", "R")
        uri = tile.pictures[0].uri
        rgb = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))).astype(int)
        warm = np.nonzero(rgb[..., 0] - rgb[..., 2] > 70)
        cold = np.nonzero(rgb[..., 2] - rgb[..., 0] > 70)
        if len(warm[1]) > 50 and len(cold[1]) > 50:
            assert warm[1].min() > rgb.shape[1] / 2 > cold[1].max()
            seen += 1
    assert seen >= 4


def test_a_slice_of_each_plane_cuts_the_strongest_point(part: SaliencyPart) -> None:
    for plane, millimetres in zip(("sagittal", "coronal", "axial"), BALL_MM, strict=True):
        own = [tile for tile in part.tiles if tile.plane == plane]
        labels = [int(re.sub(r"[^-\d]", "", t.label.replace("−", "-"))) for t in own]
        assert millimetres in labels
        assert labels == sorted(labels)
        found = own[labels.index(int(millimetres))]
        assert plane != "sagittal" or found.hemisphere == "right"


def test_the_template_lies_under_the_maps(bare: Path) -> None:
    """Symmetric template, and grey matter brighter than what lies outside."""
    maps = next((bare / "saliency" / "axial").glob("*truepositives*.nii.gz"))
    stage = stage_of("MNI152NLin2009aSym", read_map(maps))
    middle = stage.brain.affine @ [(stage.brain.data.shape[0] - 1) / 2, 0, 0, 1]
    assert middle[0] == pytest.approx(0, abs=1.01)
    data = np.asarray(stage.brain.data)
    mirrored = np.corrcoef(data.ravel(), data[::-1].ravel())[0, 1]
    assert mirrored > 0.99
    brain_ml = stage.inside.sum() * np.prod(stage.brain.voxel_sizes) / 1000
    assert 1400 < brain_ml < 2200


def test_fine_maps_are_thinned_to_the_same_places(bare: Path, tmp_path: Path) -> None:
    shutil.copy(bare / "recipe.yaml", tmp_path / "recipe.yaml")
    write_saliency(tmp_path, "axial", voxel=1.0)
    section = saliency_section(RunFiles(tmp_path))
    stage = json.loads(section.stage)
    first = json.loads(section.parts[0].payload)["maps"][0]
    assert np.prod(stage["shape"]) < 700_000
    volume = unpacked(first["pixels"], stage["shape"], stage["across"])
    place = np.array(stage["affine"]) @ [*np.unravel_index(volume.argmax(), volume.shape), 1]
    assert np.abs(place[:3] - BALL_MM).max() <= 2.01


def test_colours_grow_lighter_and_keep_their_sign() -> None:
    light = map_colours().astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light[:128]) < 1e-9).all()
    assert (np.diff(light[128:]) > -1e-9).all()
    values = np.array([-3.0, -1.0, 1.0, 3.0])
    assert colour_index(values, 1.0, 3.0).tolist() == [0, 127, 128, 255]
    # told apart without red and green: by blue against yellow
    blue = map_colours()[:, 2].astype(float) - map_colours()[:, :2].mean(axis=1)
    assert (blue[:128] > 0).all()
    assert (blue[128:] < 0).all()


def test_a_script_in_a_name_cannot_leave_the_payload(bare: Path, tmp_path: Path) -> None:
    folder = tmp_path / "attias2025"
    shutil.copytree(bare, folder)
    summary = folder / "saliency" / "axial" / "summary.json"
    content = json.loads(summary.read_text())
    name = "</script><script>alert(1)</script>"
    content["maps"] = {name: content["default"]}
    content["units"] = name
    summary.write_text(json.dumps(content))
    found = part_of(folder)
    assert "<" not in found.payload
    assert json.loads(found.payload)["maps"][0]["name"] == name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sanity": {"verdict": "fail", "sentences": ["x"]}}, "failed"),
        ({"sanity": {"verdict": "not decisive", "sentences": []}}, "not decisive"),
        ({"sanity": {"verdict": "pass", "sentences": []}}, "not decisive"),
        ({"sanity": {"verdict": "not run", "sentences": []}}, "No sanity check"),
        ({"sanity": None}, "No sanity check"),
    ],
)
def test_the_verdict_of_the_checks_is_said(
    bare: Path, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    shutil.copy(bare / "recipe.yaml", tmp_path / "recipe.yaml")
    write_saliency(tmp_path, "axial", **changes)
    found = part_of(tmp_path)
    assert words in found.verdict
    assert found.status != "pass"


@pytest.mark.parametrize(
    ("test", "says"),
    [
        ({"p_from": "", "df": 40}, "descriptive: map of t without p (see the notes)"),
        # written before p was known not to hold
        ({"smallest_p_fwe": 0.01, "voxels_below_05_fwe": 9, "permutations": 999}, "descriptive"),
        (
            {
                "p_from": "whole pipeline",
                "smallest_p_fwe": 0.01,
                "voxels_below_05_fwe": 9,
                "permutations": 99,
            },
            "smallest corrected p 0.01; 9 voxels at 0.05 or less (99 permutations, networks "
            "trained anew)",
        ),
    ],
)
def test_a_comparison_has_a_p_only_where_it_is_valid(
    bare: Path, tmp_path: Path, test: dict[str, object], says: str
) -> None:
    shutil.copy(bare / "recipe.yaml", tmp_path / "recipe.yaml")
    write_saliency(tmp_path, "axial", test=test)
    said = part_of(tmp_path).facts["Positives against negatives"]
    assert said.startswith(says)
    assert ("0.01" in said) is (test.get("p_from") == "whole pipeline")


def test_maps_that_are_gone_leave_the_rest(bare: Path, tmp_path: Path) -> None:
    folder = tmp_path / "attias2025"
    shutil.copytree(bare, folder)
    for path in (folder / "saliency" / "axial").glob("*.nii.gz"):
        path.unlink()
    section = saliency_section(RunFiles(folder))
    assert section.parts[0].problem
    assert not section.parts[0].tiles
    assert [one.grid.key for one in section.parts[0].tables if one.grid] == ["regions-axial"]
    (folder / "saliency" / "axial" / "summary.json").write_text("{")
    run = RunFiles(folder)
    assert saliency_section(run).parts == []
    assert any("summary.json" in name for name in run.absent)


def test_the_columns_of_the_regions_are_explained(bare: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(bare, tmp_path / "group" / "attias2025"))
    rows = ["atlas\tregion\tcovered\tmean\tshare\tenrichment\trank", "a\tb\t1\t2\t.1\t3\t1"]
    (run / "saliency" / "axial" / "regions.tsv").write_text("\n".join(rows) + "\n")
    (regions,) = part_of(run).tables
    assert list(regions.meaning) == ["covered", "mean", "share", "enrichment", "rank"]
    page = write_group_report(run).read_text(encoding="utf-8")
    assert "than the size of the region explains" in page


def test_the_glass_brain_is_a_figure_that_stands_alone(bare: Path, part: SaliencyPart) -> None:
    assert part.glass is not None
    text = (bare / "figures" / "glass_brain_axial.svg").read_text(encoding="utf-8")
    assert re.findall(r'href="(?!data:image/png)', text) == []
    assert text.count("<image") == 3
    assert [text.count(f">{side}<") for side in "LRPA"] == [2, 2, 1, 1]


def test_a_glass_brain_of_maps_that_leak_is_stamped(bare: Path, tmp_path: Path) -> None:
    shutil.copy(bare / "recipe.yaml", tmp_path / "recipe.yaml")
    write_saliency(tmp_path, "axial", leaks=["saliency.folds: best"])
    part_of(tmp_path)
    text = (tmp_path / "figures" / "glass_brain_axial.svg").read_text(encoding="utf-8")
    assert ">LEAK: saliency.folds: best<" in text


@pytest.mark.parametrize(
    ("method", "absolute", "told", "never"),
    [
        ("gradient", False, "a darker place speaks for the outcome", "against"),
        ("smoothgrad", False, "a higher value there", "against"),
        ("gradient_x_input", False, "speaks for the positive outcome", "darker"),
        ("occlusion", False, "cold colours: against it", "darker"),
        ("gradient", True, "absolute values tell no direction", "cold colours"),
    ],
)
def test_the_colours_mean_what_the_method_gives(bare, tmp_path, method, absolute, told, never):
    """The sign of a slope is no vote: a cold place that is dark speaks for the outcome."""
    shutil.copy(bare / "recipe.yaml", tmp_path / "recipe.yaml")
    write_saliency(tmp_path, "axial", method=method, absolute=absolute)
    sides = part_of(tmp_path).sides
    words = f"{sides.sentence} {sides.below} {sides.above}"
    assert told in words
    assert never not in words
    assert bool(sides.below) is not absolute


def test_every_word_of_what_colours_mean_is_said_once() -> None:
    known = modality_named("knee").channels()
    every = sides_of("gradient", False, known.values()).sentence
    assert "(thicker, or further, or longer)" in every
    assert "a thinner or nearer or shorter place" in every
    one = sides_of("gradient", False, [known["tibia_thickness"]]).sentence
    assert "(thicker)" in one
    assert "a thinner place" in one


def test_colours_of_maps_of_components_speak_of_components(tmp_path) -> None:
    """What a network reads of a series are strengths of components, and no sizes of places."""
    from bidsapp.recipes import dump_recipe, load_recipe

    (tmp_path / "recipe.yaml").write_text(dump_recipe(load_recipe("teh2022")))
    for variant in ("all_components", "raw_series"):
        write_saliency(tmp_path, variant, channels=["C01"])
    sides = {part.variant: part.sides for part in saliency_section(RunFiles(tmp_path)).parts}
    components, series = (sides[name].sentence for name in ("all_components", "raw_series"))
    assert "a higher value there (a stronger component) raises" in components
    assert "so that a weaker component there speaks for the outcome" in components
    assert "(more signal)" in series
    assert "so that a lower value there speaks for the outcome" in series
    volumes = sides_of("gradient", False, [modality_named("t1w").channels()["log_jacobian"]])
    assert "so that a smaller place speaks for the outcome" in volumes.sentence
