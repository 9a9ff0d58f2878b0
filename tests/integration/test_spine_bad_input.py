"""What is wrong with an injection is said by the command itself: the file, the remedy, the code."""

import json
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.errors import BadData
from bidsapp.modalities.spine.stack import read_stack
from tests.integration.running import Ended, run_app
from tests.unit.spine_necks import box_about, foramen_mm, grid, sampled, save

RECIPE = """
name: necks
summary: regions of injections
preparation: {modality: spine}
representation: {kind: slice}
network: {name: efficientnetv2, depth: 0, dims: 2, start: random}
"""
SHAPE, SIZES = (60, 56, 9), (1.5, 1.5, 4.0)
TABLE = "sub-{0}_acq-axial_desc-foramen_roi.tsv"
SCAN = "sub-{0}_acq-axial_T2w.nii.gz"


@dataclass(frozen=True)
class Fault:
    """One person's fault, and what has to be said of it.

    ``row`` changes the row of boxes, ``again`` adds another; the rest is of scan and tables.
    """

    file: str
    words: tuple[str, ...]
    row: dict[str, object] | None = None
    again: bool = False
    order: tuple[int, int, int] = (0, 1, 2)
    shape: tuple[int, int, int] = SHAPE
    sizes: tuple[float, float, float] = SIZES
    told: str = ""
    known: str = ""
    oriented: bool = True


FAULTS = {
    "outside": Fault(
        TABLE, ("line 2 has i1 300, and the image has 0 to 59 there", "Draw the box"), {"i1": 300}
    ),
    "fromone": Fault(
        TABLE,
        ("line 2 has slice 9, and the image has 0 to 8 there", "say IndexBase: 1 in its sidecar"),
        {"slice": 9},
    ),
    "middle": Fault(TABLE, ("line 2: side 'middle' is neither L nor R",), {"side": "middle"}),
    "contradicts": Fault(
        TABLE,
        ("has a box for C6-L, but participants.tsv or phenotype/ tell of C6-R", "Correct level"),
        told="C6\tR",
    ),
    "otherside": Fault(
        TABLE, ("the box of C6-R lies on the patient's left", "Correct the side"), {"side": "R"}
    ),
    "twice": Fault(
        TABLE, ("line 3 repeats line 2 (C6-L)", "Keep one row for each injection"), again=True
    ),
    "sagittal": Fault(
        SCAN,
        ("is a sagittal series", "an axial series is expected", "--bids-filter-file"),
        shape=(9, 56, 60),
        sizes=(4.0, 1.5, 1.5),
    ),
    "localiser": Fault(SCAN, ("has 3 slices, as a localiser has",), shape=(60, 56, 3)),
    "lostsides": Fault(SCAN, ("left and right are not known",), oriented=False),
    "afterwards": Fault(
        TABLE,
        ("was drawn on 2024-06-01, after the outcome was known (2024-05-01)", "BlindedToOutcome"),
        {"date": "2024-06-01"},
        known="2024-05-01",
    ),
}


def write_person(bids: Path, label: str, fault: Fault) -> str:
    """Write scan and boxes of one person; gives the row of participants.tsv."""
    shape, affine = grid(fault.order, sizes=fault.sizes, shape=fault.shape)
    path = save(bids / f"sub-{label}/anat" / SCAN.format(label), sampled(shape, affine), affine)
    row: dict[str, object] = {"level": "C6", "side": "L", **box(path)}
    if not fault.oriented:
        image = nib.Nifti1Image.load(path)
        image.set_sform(None, code=0)
        image.set_qform(None, code=0)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), path)
    path.with_name(path.name.replace(".nii.gz", ".json")).write_text('{"BodyPart": "CSPINE"}')
    row |= {"date": "2024-01-01"} | (fault.row or {})
    table = bids / f"derivatives/rois/sub-{label}/anat" / TABLE.format(label)
    table.parent.mkdir(parents=True)
    lines = ["\t".join(row), *["\t".join(map(str, row.values()))] * (2 if fault.again else 1)]
    table.write_text("\n".join([*lines, ""]))
    told = fault.told or "n/a\tn/a"
    return f"sub-{label}\t{told}\t{fault.known or 'n/a'}"


def box(path: Path) -> dict[str, int]:
    """A box on the left foramen of a neck; any numbers where the scan itself is refused."""
    names = ("slice", "i0", "i1", "j0", "j1")
    try:
        stack = read_stack(path)
    except BadData:
        return dict(zip(names, (1, 5, 25, 5, 25), strict=True))
    index, found = box_about(stack, foramen_mm("L"), 10.0)
    return dict(zip(names, (index, *found), strict=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """One run on everybody with a fault, and one person without."""
    root = tmp_path_factory.mktemp("necks")
    bids = root / "bids"
    people = {**FAULTS, "sound": Fault("", ())}
    rows = [write_person(bids, label, fault) for label, fault in people.items()]
    head = "participant_id\tinjection_level\tinjection_side\toutcome_date"
    (bids / "participants.tsv").write_text("\n".join([head, *rows, ""]))
    about = {"Name": "necks", "BIDSVersion": "1.10.0"}
    (bids / "dataset_description.json").write_text(json.dumps(about))
    about |= {"DatasetType": "derivative", "GeneratedBy": [{"Name": "a reader"}]}
    (bids / "derivatives/rois/dataset_description.json").write_text(json.dumps(about))
    (root / "necks.yaml").write_text(RECIPE)
    fixed = ("--recipe", root / "necks.yaml", "--skip-bids-validation", "-w", root / "work")
    return run_app(bids, root / "out", *fixed)


def test_the_code_is_that_of_bad_data_for_every_one_of_them(run: Ended) -> None:
    assert run.code == 65, run.said  # another code of a single person would have made it 1
    # one is told of two injections, of which neither can be prepared
    assert f"1 of {len(FAULTS) + 2} prepared" in run.said
    assert list(run.output_dir.rglob("*preproc_T2w.nii.gz")) == list(
        run.output_dir.rglob("sub-sound/**/*preproc_T2w.nii.gz")
    )
    assert "Traceback" not in run.said


@pytest.mark.parametrize("label", FAULTS)
def test_what_is_wrong_is_said_with_file_and_remedy(run: Ended, label: str) -> None:
    fault = FAULTS[label]
    file = fault.file.format(label)
    lines = [line for line in run.said.splitlines() if file in line]
    assert any(all(word in line for word in fault.words) for line in lines), lines or run.said
