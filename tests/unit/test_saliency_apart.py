"""Maps over people's own heads: averaged where transforms bring them together, else not at all."""

import json
from pathlib import Path

import numpy as np
import pytest

from bidsapp.contracts.unit import units_in
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.modalities.t1w.native.files import write_box
from bidsapp.recipes import load_recipe
from bidsapp.recipes.images import Representation
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.saliency import saliency_section
from bidsapp.representation.spec import space_of
from bidsapp.saliency.apart import write_apart
from bidsapp.saliency.stack import MapStack
from bidsapp.spaces.files import read_whole
from bidsapp.spaces.itk_transform import write_composite
from tests.unit.saliency_stacks import rows_of

SPOT = np.array([-22.0, 14.0, 30.0])  # mm of the template
BOX, SIZE, AXES = (36, 40, 32), 5.0, "PSR"
TEMPLATE = "MNI152NLin2009aSym"
BOTH = np.diag([-1.0, -1.0, 1.0])  # RAS to LPS


def turned(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def leave_transform(path: Path, matrix: np.ndarray, shift: np.ndarray) -> None:
    """Write what resamples a head into the template: its points to those of the head."""
    parameters = np.concatenate([(BOTH @ matrix @ BOTH).ravel(), BOTH @ shift])
    write_composite(path, [("AffineTransform_double_3_3", np.zeros(3), parameters)])
    path.with_suffix(".json").write_text(json.dumps({"SHA256": file_sha256(path)}))


def leave_sidecar(path: Path, verdict: str, source: str) -> None:
    path.write_text(json.dumps({"Quality": {"verdict": verdict}, "SourceSHA256": source}))


@pytest.fixture
def heads(tmp_path: Path):
    """Eight people, each with a hot spot over one place of the template, in boxes of their own.

    Of the last two, one has a normalisation that failed, one a normalisation of another file.
    """
    rng = np.random.default_rng(3)
    rows = rows_of(n=8, folds=2)
    stem = f"space-individual_res-5_desc-head{AXES}"
    blocks, images = [], {}
    for k, unit in enumerate(units_in(rows)):
        matrix = turned(8.0 * (k - 3)) * (0.9 + 0.03 * k)
        shift = rng.uniform(-25, 25, 3)
        folder = tmp_path / f"sub-{unit.participant}" / "anat"
        folder.mkdir(parents=True)
        image = folder / f"sub-{unit.participant}_{stem}_T1w.nii.gz"
        affine = np.eye(4)
        affine[:3, :3] = turned(5.0 * k) @ (SIZE * np.array([[0, 0, 1], [-1, 0, 0], [0, 1.0, 0]]))
        middle = matrix @ np.array([0.0, -20, 10]) + shift
        affine[:3, 3] = middle - affine[:3, :3] @ (np.array(BOX) - 1) / 2
        at = np.moveaxis(np.indices(BOX), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
        away = ((at - (matrix @ SPOT + shift)) ** 2).sum(-1)
        values = np.exp(-away / 2 / 8.0**2).astype(np.float32)
        write_box(image, values, affine)
        leave_sidecar(image.parent / image.name.replace(".nii.gz", ".json"), "pass", f"file{k}")
        space = space_of(Representation(kind="volume", channels=("head",)), read_whole(image))
        blocks.append(space.cut(values)[None])
        images[unit] = image
        start = f"sub-{unit.participant}"
        leave_transform(folder / f"{start}_from-T1w_to-{TEMPLATE}_mode-image_xfm.h5", matrix, shift)
        leave_sidecar(
            folder / f"{start}_space-{TEMPLATE}_res-2_desc-preproc_T1w.json",
            "fail" if k == 6 else "pass",
            "another" if k == 7 else f"file{k}",
        )
    about = {"variant": "own", "method": "gradient", "target": "logit", "units": "1"}
    stack = MapStack(rows, np.stack(blocks), ("head",), space, {**about, "threshold": 0.5})
    return stack, images


def written(stack, images, folder: Path) -> dict:
    recipe = load_recipe(
        "t1w",
        (
            'preparation={"space": "native"}',
            'representation.channels=["head"]',
            "saliency.of=all",
            "saliency.permutations=0",
            "saliency.atlases=[]",
            "saliency.smoothing_fwhm_mm=0",
            *(f'variants.image_{plane}.representation.channels=["head"]'
              for plane in ("axial", "coronal", "sagittal")),
        ),
    )  # fmt: skip
    shared = {
        "template_label": "individual",
        "mask": Path("none"),
        "images": None,
        "leaks": (),
        "sanity": {"verdict": "not decisive", "sentences": [], "checks": {}},
    }
    write_apart(stack, folder, recipe, images, folder.parent / "work", shared)
    return json.loads((folder / "summary.json").read_text())


def test_maps_meet_in_the_template_over_one_place_or_not_at_all(
    heads, tmp_path: Path, capsys
) -> None:
    stack, images = heads
    folder = tmp_path / "saliency" / "own"
    folder.mkdir(parents=True)
    summary = written(stack, images, folder)
    assert summary["template"] == TEMPLATE
    assert summary["n"]["all"] == 6
    assert "2 of 8 scans have no transform" in capsys.readouterr().err
    assert any("2 of 8 scans" in note for note in summary["notes"])
    mean = read_whole(folder / summary["maps"]["all"])
    peak = np.array(np.unravel_index(mean.values.argmax(), mean.values.shape))
    assert np.abs(mean.affine[:3, :3] @ peak + mean.affine[:3, 3] - SPOT).max() <= 2
    # as high as one person's spot: nobody's lies elsewhere
    assert mean.values.max() > 0.9
    told = json.loads((folder / summary["maps"]["all"].replace(".nii.gz", ".json")).read_text())
    assert told["Space"] == TEMPLATE
    # without a transform there is no mean, and none of before is left
    (folder / "sanity.tsv").write_text("kept\n")
    for image in images.values():
        for path in image.parent.glob("*_xfm.h5"):
            path.unlink()
    summary = written(stack, images, folder)
    assert summary["native_only"] is True
    assert summary["maps"] == {}
    assert "native only" in capsys.readouterr().err
    assert any("native only" in note for note in summary["notes"])
    (part,) = saliency_section(RunFiles(tmp_path)).parts
    assert "native only" in " ".join(part.notes)
    assert "no voxel in common" in part.problem
    assert [path.name for path in folder.iterdir() if path.name != "summary.json"] == ["sanity.tsv"]
