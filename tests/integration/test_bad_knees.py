"""Every way in which a knee can be bad: one run, each told by itself, and good ones unharmed."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.modalities.knee.phantom import make_knee_phantom
from bidsapp.modalities.knee.synthetic import NAMES
from tests.integration.running import Ended, run_app

pytestmark = pytest.mark.slow

RECIPE = """
name: knees
summary: Synthetic knees
outcome: {column: chronic_pain, positive: ["1"]}
preparation: {modality: knee, t2: true, pixels: 32}
representation: {kind: sphere}
network: {name: resnet, depth: 10, start: random, dims: 2}
training: {epochs: 1}
protocol: {kind: kfold, folds: 2}
"""


@dataclass(frozen=True)
class Files:
    """One person's files."""

    image: Path
    labels: Path
    echoes: list[Path]
    table: Path

    def change(self, path: Path, changed: Callable[[np.ndarray], np.ndarray]) -> None:
        old = nib.Nifti1Image.load(path)
        data = changed(np.asarray(old.dataobj))
        nib.save(nib.Nifti1Image(data.astype(old.get_data_dtype()), old.affine), path)

    def name(self, names: dict[int, str]) -> None:
        lines = ["index\tname", *(f"{number}\t{name}" for number, name in names.items())]
        path = self.labels.with_name(self.labels.name.replace(".nii.gz", ".tsv"))
        path.write_text("\n".join(lines) + "\n")

    def time(self, echo: int, seconds: float) -> None:
        path = self.echoes[echo]
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(
            json.dumps({"EchoTime": seconds})
        )


def missing_label(knee: Files) -> None:
    knee.name({n: name for n, name in enumerate(NAMES) if name != "femoral_cartilage"})


def unknown_numbering(knee: Files) -> None:
    knee.name({n: f"region {n}" for n in range(8)})


def number_that_no_table_names(knee: Files) -> None:
    knee.change(knee.labels, lambda data: np.where(data == 3, 40, data))


def other_grid(knee: Files) -> None:
    knee.change(knee.labels, lambda data: data[:, :, 1:])


def other_place(knee: Files) -> None:
    old = nib.Nifti1Image.load(knee.labels)
    affine = old.affine + np.diag([0.0, 0, 0, 0])
    affine[2, 3] += 9
    nib.save(nib.Nifti1Image(np.asarray(old.dataobj), affine), knee.labels)


def echo_shapes(knee: Files) -> None:
    knee.change(knee.echoes[2], lambda data: data[..., :-2])


def milliseconds(knee: Files) -> None:
    for number in range(7):
        knee.time(number, 10.0 * (number + 1))


def unsorted(knee: Files) -> None:
    one, other = (np.asarray(nib.Nifti1Image.load(knee.echoes[i]).dataobj) for i in (1, 4))
    knee.change(knee.echoes[1], lambda _: other)
    knee.change(knee.echoes[4], lambda _: one)
    knee.time(1, 0.05)
    knee.time(4, 0.02)


def no_patella(knee: Files) -> None:
    knee.change(knee.labels, lambda data: np.where(data >= 6, 0, data))


def cut_femur(knee: Files) -> None:
    def cut(data: np.ndarray) -> np.ndarray:
        height = np.flatnonzero((data == 1).any((0, 1)))
        return np.where((np.arange(data.shape[2]) > height[len(height) // 4]) & (data < 3), 0, data)

    knee.change(knee.labels, cut)


def empty_cartilage(knee: Files) -> None:
    knee.change(knee.labels, lambda data: np.where(data == 7, 0, data))


def a_few_voxels(knee: Files) -> None:
    def small(data: np.ndarray) -> np.ndarray:
        found = np.argwhere(data == 6)
        away = np.abs(np.stack(np.indices(data.shape), -1) - found.mean(0)).max(-1)
        return np.where((data == 6) & (away > 4), 0, data)

    knee.change(knee.labels, small)


def echoes_of_another_place(knee: Files) -> None:
    for path in knee.echoes:
        old = nib.Nifti1Image.load(path)
        affine = old.affine.copy()
        affine[0, 3] += 400
        nib.save(nib.Nifti1Image(np.asarray(old.dataobj), affine), path)


def unknown_side(knee: Files) -> None:
    # One label for both plates, no word of the side, and bones that are their own mirror image.
    knee.change(knee.labels, lambda data: np.where(data == 5, 4, data))
    names = {n: name for n, name in enumerate(NAMES) if n not in (4, 5)}
    knee.name({**names, 4: "tibial_cartilage"})
    table = pd.read_csv(knee.table, sep="\t", dtype=str)
    own = table["participant_id"] == knee.image.name.split("_")[0]
    table.loc[own, "knee_side"] = "n/a"
    table.to_csv(knee.table, sep="\t", index=False)


def side_that_is_none(knee: Files) -> None:
    table = pd.read_csv(knee.table, sep="\t", dtype=str)
    own = table["participant_id"] == knee.image.name.split("_")[0]
    table.loc[own, "knee_side"] = "both"
    table.to_csv(knee.table, sep="\t", index=False)


REFUSED: dict[Callable[[Files], None], str] = {
    missing_label: "no label is called femoral_cartilage",
    unknown_numbering: "no label is called femur or femoral_cartilage",
    number_that_no_table_names: "the tibia (label 3 by desc-knee_dseg.tsv) has no voxels",
    other_grid: "it lies on another grid. Resample the label map onto the image",
    other_place: "lies up to 9.0 mm away from its image",
    echo_shapes: "the echoes of one acquisition have one grid. Convert them again",
    milliseconds: "BIDS has it in seconds, and this looks like milliseconds",
    no_patella: "the patella (label 6 by desc-knee_dseg.tsv) has no voxels",
    empty_cartilage: "the patella's cartilage (label 7 by desc-knee_dseg.tsv) has no voxels",
    a_few_voxels: "a bone has at least 2000. Correct the label map",
    echoes_of_another_place: "The echoes lie beside the label map by their headers",
    unknown_side: "The side of the knee is not known, and its bones do not tell",
    side_that_is_none: "side 'both' is neither L nor R",
}
MEASURED = (unsorted, cut_femur)
KINDS = [*REFUSED, *MEASURED]
GOOD = 2


def label_of(kind: Callable[[Files], None]) -> str:
    return f"{KINDS.index(kind) + 1 + GOOD:02d}"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("knees")
    bids = folder / "bids"
    make_knee_phantom(bids, participants=GOOD + len(KINDS), spacing=(1.5, 1.3, 1.3))
    (folder / "knees.yaml").write_text(RECIPE)
    for kind in KINDS:
        person = bids / f"sub-{label_of(kind)}" / "anat"
        labels = bids / "derivatives" / "labels" / f"sub-{label_of(kind)}"
        kind(
            Files(
                next(person.glob("*_T2w.nii.gz")),
                next(labels.rglob("*_dseg.nii.gz")),
                sorted(person.glob("*_MESE.nii.gz")),
                bids / "participants.tsv",
            )
        )
    given = ("--recipe", folder / "knees.yaml", "-w", folder / "work")
    return run_app(bids, folder / "out", *given)


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_a_bad_knee_is_told_by_itself(ran: Ended, kind: Callable[[Files], None]) -> None:
    assert ran.code == 65, ran.said
    told = [line for line in ran.said.splitlines() if f"sub-{label_of(kind)}" in line]
    assert REFUSED[kind] in " ".join(told)
    assert re.search(r"\S+\.(nii\.gz|json|tsv)\b", " ".join(told)), "no file is named"
    assert not list((ran.output_dir / f"sub-{label_of(kind)}").rglob("*.gii"))


def test_good_knees_are_measured_all_the_same(ran: Ended) -> None:
    assert f"{GOOD + len(MEASURED)} of {GOOD + len(KINDS)} prepared" in ran.said
    for label in ("01", "02"):
        maps = list((ran.output_dir / f"sub-{label}").rglob("*_statmap.shape.gii"))
        assert len(maps) == 18  # of three bones
        sidecar = next((ran.output_dir / f"sub-{label}").rglob("*_desc-joint_dseg.json"))
        assert json.loads(sidecar.read_text())["Quality"]["verdict"] != "fail"


def test_what_can_be_measured_says_what_was_unusual(ran: Ended) -> None:
    told = {}
    for kind in MEASURED:
        folder = ran.output_dir / f"sub-{label_of(kind)}"
        told[kind] = json.loads(next(folder.rglob("*_desc-joint_dseg.json")).read_text())
    assert "not in the order of their times; the times were used" in " ".join(
        told[unsorted]["Notes"]
    )
    assert told[unsorted]["Quality"]["femur_t2_ms"] == pytest.approx(40, abs=3)
    assert told[cut_femur]["Quality"]["verdict"] == "fail"
    assert "shaft" in " ".join(told[cut_femur]["Quality"]["reasons"])
