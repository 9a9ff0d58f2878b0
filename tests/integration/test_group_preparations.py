"""One run over images of two preparations: each variant is given its own, of the same people."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import pytest

from tests.integration.group_studies import brain, make_study, rerun, table_of, write_normalised

pytestmark = pytest.mark.slow


def test_variants_of_two_resolutions_are_trained_scored_and_explained(tmp_path: Path) -> None:
    make_study(tmp_path, people=8)
    for i in range(8):
        write_normalised(
            tmp_path / "out",
            f"sub-{i:02d}",
            brain(i, bool(i % 2), 1),
            verdict="fail" if i == 3 else "pass",
        )
    changes = (
        "variants.fine={preparation.resolution: 1}",
        "variants.other={representation: {slices: 4}}",
        "ensembles.apart={of: [base, fine], rule: mean}",
        "ensembles.mean={of: [base, other], rule: mean}",
        "saliency.atlases=[]",
        "training.epochs=1",
    )
    asked = ("--variants", "mean", "apart", "--permutations", 2, "--set", *changes)
    assert rerun(tmp_path, *asked, maps=True) == 0
    folder = tmp_path / "out/group/small"
    excluded = table_of(folder / "exclusions.tsv")
    assert list(excluded["participant_id"]) == ["sub-03"]
    assert "variant fine" in excluded["detail"].iloc[0]
    scores = table_of(folder / "scores.tsv")
    people = {name: set(own["participant_id"]) for name, own in scores.groupby("variant")}
    assert people["fine"] == people["base"] == people["other"]
    assert len(people["fine"]) == 7
    images = table_of(folder / "preparations.tsv")
    assert set(images["variant"]) == {"fine"}
    assert images["image"].str.contains("_res-1_").all()
    seen = {
        name: json.loads((folder / f"model/{name}/configs/training_images.json").read_text())
        for name in ("base", "fine", "other")
    }
    assert seen["base"] == seen["other"] != seen["fine"]
    for name, shape in (("base", (79, 95, 79)), ("fine", (157, 189, 156))):
        for path in (folder / "saliency" / name).glob("sub-*/anat/*_statmap.nii.gz"):
            assert nib.Nifti1Image.load(path).shape == shape
    # permuted pipelines are explained too, each on the grid of its own images
    nulls = sorted(tmp_path.glob("out/work/**/maps_null.json"))
    assert [path.parent.name for path in nulls] == ["00001", "00002"]
    for path in nulls:
        assert json.loads(path.read_text())["largest"].keys() == {"base", "fine", "other"}
    # maps are joined within a preparation, not across
    assert (folder / "saliency/mean/summary.json").is_file()
    assert not (folder / "saliency/apart").exists()
    # with the same images again nothing is set aside; with another one it is
    assert rerun(tmp_path, "--variants", "mean", "apart", "--set", *changes) == 0
    assert [path.name for path in folder.parent.glob("small*")] == ["small"]
    write_normalised(tmp_path / "out", "sub-05", brain(99, True, 1))
    assert rerun(tmp_path, "--variants", "mean", "apart", "--set", *changes) == 0
    assert len(list(folder.parent.glob("small*"))) == 2
    shutil.rmtree(tmp_path / "out")
