"""T2 of knees from maps, as a user runs it: seconds and milliseconds, and a map without a unit."""

import json

import nibabel as nib
import numpy as np
import pytest

from bidsapp.modalities.knee.phantom import make_knee_phantom
from tests.integration.running import Ended, run_app, validation_errors

pytestmark = pytest.mark.slow

RECIPE = """
name: knees
summary: Synthetic knees
outcome: {column: chronic_pain, positive: ["1"]}
preparation: {modality: knee, t2: true, t2_from: map, pixels: 32, bones: [patella]}
representation: {kind: sphere}
network: {name: resnet, depth: 10, start: random, dims: 2}
training: {epochs: 1}
protocol: {kind: kfold, folds: 2}
"""
# A person: by how much the map's values are those in milliseconds, and its JSON file.
MAPS = {
    "01": (1e-3, {"Units": "s"}),
    "02": (1.0, {"Units": "ms"}),
    "03": (1.0, {}),
    "04": (1.0, {"Units": "s"}),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("maps")
    bids = folder / "bids"
    make_knee_phantom(bids, participants=5, spacing=(1.5, 1.3, 1.3), echoes=False)
    for label, (factor, told) in MAPS.items():
        labels = nib.Nifti1Image.load(
            next((bids / "derivatives").rglob(f"sub-{label}_*_dseg.nii.gz"))
        )
        data = np.asarray(labels.dataobj)
        values = np.where(data > 0, (30.0 + 2 * int(label)) * factor, 0).astype(np.float32)
        path = bids / f"sub-{label}" / "anat" / f"sub-{label}_T2map.nii.gz"
        image = nib.Nifti1Image(values, labels.affine)
        image.header.set_xyzt_units("mm")
        nib.save(image, path)
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(told))
    (folder / "knees.yaml").write_text(RECIPE)
    return run_app(bids, folder / "out", "--recipe", folder / "knees.yaml", "-w", folder / "work")


def test_seconds_and_milliseconds_give_the_t2_that_was_put_in(ran: Ended) -> None:
    assert ran.code != 0
    assert "2 of 5 prepared" in ran.said
    for label in ("01", "02"):
        (sidecar,) = (ran.output_dir / f"sub-{label}").rglob("*_desc-joint_dseg.json")
        quality = json.loads(sidecar.read_text())["Quality"]
        assert quality["patella_t2_ms"] == pytest.approx(30 + 2 * int(label), abs=0.01)
        assert quality["patella_t2_fitted_share"] == 1
        assert not {"patella_t2_goodness", "echoes_moved_mm"} & set(quality)
        assert len(list(sidecar.parent.glob("*_desc-patellat2*_statmap.shape.gii"))) == 3
        page = (ran.output_dir / f"sub-{label}.html").read_text()
        assert "Map of T2 of the whole cartilage of the patella" in page
        assert f"sub-{label}_T2map.nii.gz" in page
    assert "read from the maps of T2" in (ran.output_dir / "logs" / "CITATION.md").read_text()
    assert validation_errors(ran.output_dir) == (0, [])


def test_what_is_wrong_with_a_map_is_told_of_each(ran: Ended) -> None:
    def told(label: str) -> str:
        return next(line for line in ran.said.splitlines() if line.startswith(f"sub-{label}: "))

    assert told("03").startswith("sub-03: refused: ")
    assert "Units is not there in its JSON file. Write the unit" in told("03")
    assert told("04").startswith("sub-04: failed: ")
    assert 'its values look like ms. Correct it to "ms"' in told("04")
    assert told("05").startswith("sub-05: refused: no T2map (t2_map)")
    assert "preparation.t2_from=echoes" in told("05")
