"""Datasets of every modality as users give them, with all that is read beside an image.

Any of their files may be altered, cut, emptied, taken away, or be something else by its name.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.errors import NothingSelected
from tests.faults.fuzz_targets import PEOPLE, Target

_VOLUMES = 40
_SERIES = {
    "RepetitionTime": 2.0,
    "PhaseEncodingDirection": "j-",
    "TotalReadoutTime": 0.03,
    "SliceTiming": [n * 0.1 for n in range(10)],
    "B0FieldSource": ["field"],
}
_FIELD = {"B0FieldIdentifier": "field", "IntendedFor": "func/sub-01_task-rest_bold.nii.gz"}


def save_image(path: Path, values: np.ndarray, affine: np.ndarray, seconds: float = 0.0) -> Path:
    import nibabel as nib

    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm", "sec")
    if seconds:
        image.header.set_zooms((*image.header.get_zooms()[:3], seconds))
    image.set_sform(affine, 1)
    image.to_filename(path)
    return path


def save_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def begin_dataset(folder: Path) -> Path:
    """Begin a dataset: its description, its tables, and files that it is not to use."""
    bids = folder / "bids"
    save_json(bids / "dataset_description.json", {"Name": "x", "BIDSVersion": "1.10.0"})
    (bids / "participants.tsv").write_text(PEOPLE, encoding="utf-8")
    (bids / ".bidsignore").write_text("*_scout.nii.gz\nextra/\n", encoding="utf-8")
    return bids


def _head(path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 500, (20, 20, 20)).astype(np.int16)
    save_image(path, values, np.diag([5.0, 5, 5, 1]))


def _heads(folder: Path) -> None:
    bids = begin_dataset(folder)
    for session in ("1", "2"):
        place = bids / "sub-01" / f"ses-{session}"
        stem = f"sub-01_ses-{session}"
        _head(place / "anat" / f"{stem}_T1w.nii.gz")
        save_json(place / "anat" / f"{stem}_T1w.json", {"ContrastBolusIngredient": "none"})
        (place / f"{stem}_scans.tsv").write_text(
            f"filename\tacq_time\nanat/{stem}_T1w.nii.gz\t2020-01-0{session}T10:00:00\n"
        )
    (bids / "sub-01" / "sub-01_sessions.tsv").write_text(
        "session_id\tacq_time\tpain\nses-1\t2020-01-01\t3\nses-2\tn/a\t4\n"
    )
    (bids / "phenotype").mkdir()
    (bids / "phenotype" / "scales.tsv").write_text("participant_id\trelief\nsub-01\t40\n")
    save_json(bids / "phenotype" / "scales.json", {"relief": {"Levels": {"-9": "not asked"}}})
    save_json(bids / "T1w.json", {"Manufacturer": "x", "MagneticFieldStrength": 3})


def _scan(folder: Path, **sources: str) -> Any:
    """Name the files of a person by their sources, as far as they are there; ``*`` is any text."""
    from bidsapp.contracts.scan import Scan, SourceFile

    found = {}
    for source, pattern in sources.items():
        root = folder / "bids"
        if pattern.startswith("derivatives/"):
            root = root.joinpath(*Path(pattern).parts[:2])
        files = [path for path in sorted((folder / "bids").glob(pattern)) if path.is_file()]
        found[source] = tuple(
            SourceFile(path, path.relative_to(root).as_posix(), _entities(path)) for path in files
        )
    if not next(iter(found.values())):
        raise NothingSelected("no image of the main kind")
    return Scan("01", None, {name: files for name, files in found.items() if files})


def _entities(path: Path) -> dict[str, str]:
    pairs = [part.split("-", 1) for part in path.name.split("_") if "-" in part]
    return {"suffix": path.name.split("_")[-1].split(".")[0], **dict(pairs)}


@cache
def _recipe(name: str, settings: tuple[str, ...] = ()) -> Any:
    from bidsapp.recipes import load_recipe

    return load_recipe(name, settings)


def _read_heads(folder: Path) -> Any:
    """Choose and read heads, and what the tables and sidecars say of them."""
    from bidsapp.dataset.description import check_dataset
    from bidsapp.dataset.scanners import sidecar_columns
    from bidsapp.dataset.sources import select_scans
    from bidsapp.dataset.user_columns import Columns
    from bidsapp.modalities.t1w.modality import MODALITY
    from bidsapp.modalities.t1w.reading import read_head
    from bidsapp.options import RunOptions

    options = RunOptions(
        bids_dir=folder / "bids", output_dir=folder / "out", work_dir=folder / "work",
        analysis_level="participant",
    )  # fmt: skip
    check_dataset(folder / "bids")
    scans = select_scans(options, MODALITY.sources).scans
    people = [(f"sub-{scan.participant}", f"ses-{scan.session}") for scan in scans]
    columns = Columns.read(folder / "bids")
    for name in columns.names():
        columns.values(name, people)
    sidecar_columns(folder / "bids", people, "anat", "T1w")
    return [read_head(scan.main.path) for scan in scans]


def _series(folder: Path) -> None:
    bids = begin_dataset(folder)
    person = bids / "sub-01"
    rng = np.random.default_rng(0)
    affine = np.diag([10.0, 10, 10, 1])
    _head(person / "anat" / "sub-01_T1w.nii.gz")
    series = rng.integers(400, 600, (10, 11, 10, _VOLUMES)).astype(np.int16)
    save_image(person / "func" / "sub-01_task-rest_bold.nii.gz", series, affine, 2.0)
    save_json(person / "func" / "sub-01_task-rest_bold.json", _SERIES)
    save_json(bids / "task-rest_bold.json", {"TaskName": "rest", "EchoTime": 0.03})
    fields = {
        "dir-AP_epi": {"PhaseEncodingDirection": "j", "TotalReadoutTime": 0.03},
        "phasediff": {"EchoTime1": 0.00492, "EchoTime2": 0.00738, "Units": "arbitrary"},
        "magnitude1": {"EchoTime": 0.00492},
        "fieldmap": {"Units": "Hz"},
    }
    for name, told in fields.items():
        image = rng.integers(-4096, 4095, (10, 11, 10)).astype(np.int16)
        image = 500 + image // 9 if name in ("magnitude1", "dir-AP_epi") else image
        save_image(person / "fmap" / f"sub-01_{name}.nii.gz", image, affine)
        save_json(person / "fmap" / f"sub-01_{name}.json", told | _FIELD)


def _read_series(folder: Path) -> Any:
    """Read a series, and its field as a map, as phases and as reversed phase."""
    from dataclasses import replace

    import torch

    from bidsapp.contracts.modality import modality_named
    from bidsapp.modalities.bold.field import measured_field
    from bidsapp.modalities.bold.files import series_metadata
    from bidsapp.modalities.bold.reading import read_run

    fields = {
        "field_map": "sub-01/fmap/*_fieldmap.nii.gz",
        "phase_difference": "sub-01/fmap/*_phasediff.nii.gz",
        "reversed": "sub-01/fmap/*_epi.nii.gz",
    }
    scan = _scan(folder, bold="sub-01/func/*_bold.nii.gz", **fields,
                 magnitude="sub-01/fmap/*_magnitude1.nii.gz")  # fmt: skip
    modality_named("bold").check_scan(
        scan, _recipe("rest", ("preparation.confounds=none",)).preparation
    )
    metadata = series_metadata(scan, "auto")
    run = read_run(scan.main.path, metadata)
    told = []
    for kind in fields:
        others = fields.keys() - {kind}
        one = replace(scan, files={k: some for k, some in scan.files.items() if k not in others})
        mean = run.data.mean(axis=-1)
        told.append(measured_field(run, mean, one, metadata, torch.device("cpu")))
    return told


def _knees(folder: Path) -> None:
    from bidsapp.modalities.knee.synthetic import knee_labels
    from tests.unit.knees import affine_of, write_echoes, write_knee

    bids = begin_dataset(folder)
    anat, seen = bids / "sub-01" / "anat", bids / "derivatives" / "seg"
    spacing = (6.0, 5.0, 5.0)
    labels, affine = knee_labels(spacing=spacing), affine_of("R", spacing)
    labels[:7, 0, 0] = np.arange(1, 8)  # each is somewhere, however coarse the grid
    save_image(anat / "sub-01_acq-right_T2w.nii.gz", labels.astype(np.int16) * 9, affine)
    write_knee(seen / "sub-01" / "anat", "sub-01_acq-right", labels, affine)
    save_json(seen / "dataset_description.json", {"Name": "y", "BIDSVersion": "1.10.0"})
    echoes = write_echoes(anat, "sub-01_acq-right", (0.01, 0.02, 0.04), shape=(4, 12, 14))
    image = _affine_of_file(echoes[0])
    save_image(anat / "sub-01_acq-right_T2map.nii.gz", np.full((4, 12, 14), 40, np.float32), image)
    save_json(anat / "sub-01_acq-right_T2map.json", {"Units": "ms"})
    (bids / "sub-01" / "sub-01_scans.tsv").write_text(
        "filename\tside\nanat/sub-01_acq-right_T2w.nii.gz\tR\n"
    )


def _affine_of_file(path: Path) -> np.ndarray:
    """Give the affine of an image that a test wrote."""
    import nibabel as nib

    image: Any = nib.load(path)
    return np.asarray(image.affine)


def _read_knees(folder: Path) -> Any:
    """Read all that a knee is measured by: its labels, its echoes and its map of T2."""
    from bidsapp.contracts.modality import modality_named
    from bidsapp.modalities.knee.echoes import read_echoes
    from bidsapp.modalities.knee.label_map import label_table, read_label_map, require_same_grid
    from bidsapp.modalities.knee.t2_map import metadata_of_map, read_t2_map

    bids, settings = folder / "bids", ("preparation.t2=true",)
    preparation = _recipe("morales2021", settings).preparation
    scan = _scan(
        folder, image="sub-01/anat/*_T2w.nii.gz", echoes="sub-01/anat/*_MESE.nii.gz",
        labels="derivatives/seg/sub-01/anat/*_dseg.nii.gz", t2_map="sub-01/anat/*_T2map.nii.gz",
    )  # fmt: skip
    modality_named("knee").check_scan(scan, preparation)
    found: list[Any] = []
    for file in scan.files.get("labels", ()):
        table = label_table(file.path, bids / "derivatives" / "seg")
        labels = read_label_map(file.path, table, preparation.bones)
        require_same_grid(labels, file.path, scan.main.path)
        found.append(labels)
    if "echoes" in scan.files:
        found.append(read_echoes([one.path for one in scan.files["echoes"]]))
    found += [read_t2_map(one.path, metadata_of_map(one)) for one in scan.files.get("t2_map", ())]
    return found


def _necks(folder: Path) -> None:
    from tests.unit.spine_necks import box_about, foramen_mm, grid, sampled, stack_of

    sizes = {"sizes": (1.5, 1.5, 4.0), "shape": (60, 56, 9)}
    bids = begin_dataset(folder)
    anat, boxes = bids / "sub-01" / "anat", bids / "derivatives" / "boxes"
    shape, affine = grid(**sizes)
    save_image(anat / "sub-01_T2w.nii.gz", sampled(shape, affine, "L").astype(np.int16), affine)
    stack = stack_of(folder, **sizes)
    (folder / "neck_T2w.nii").unlink()
    place, (i0, i1, j0, j1) = box_about(stack, foramen_mm("L"))
    stem = boxes / "sub-01" / "anat" / "sub-01"
    row = ("C6", "L", place, i0, i1, j0, j1, "AB", "2020-01-02")
    stem.parent.mkdir(parents=True)
    stem.with_name("sub-01_desc-foramen_roi.tsv").write_text(
        "level\tside\tslice\ti0\ti1\tj0\tj1\trater\tdate\n" + "\t".join(map(str, row)) + "\n"
    )
    save_json(stem.with_name("sub-01_desc-foramen_roi.json"), {"IndexBase": 0, "SliceAxis": 2})
    marked = np.zeros(shape, np.uint8)
    marked[i0 : i1 + 1, j0 : j1 + 1, place] = 1
    save_image(stem.with_name("sub-01_label-foramen_mask.nii.gz"), marked, affine)
    save_json(stem.with_name("sub-01_label-foramen_mask.json"), {"Labels": {"1": "C6-L"}})
    cord = np.zeros(shape, np.uint8)
    cord[28:31, 26:30] = 1
    save_image(stem.with_name("sub-01_label-cord_mask.nii.gz"), cord, affine)
    save_json(boxes / "dataset_description.json", {"Name": "y", "BIDSVersion": "1.10.0"})
    (bids / "participants.tsv").write_text(
        "participant_id\tinjection_level\tinjection_side\toutcome_date\nsub-01\tC6\tL\t2020-03-01\n"
    )


def _read_necks(folder: Path) -> Any:
    """Cut out the region of every injection that is told of."""
    from bidsapp.modalities.spine.steps import parts_of, prepare

    boxes = "derivatives/boxes/sub-01/anat/"
    scan = _scan(folder, t2w="sub-01/anat/*_T2w.nii.gz", roi=f"{boxes}*_roi.tsv",
                 foramen=f"{boxes}*_label-foramen_mask.nii.gz",
                 cord=f"{boxes}*_label-cord_mask.nii.gz")  # fmt: skip
    settings = _recipe("wang2023").preparation
    return [prepare(scan, part, settings) for part in parts_of(scan)]


def _dated(folder: Path) -> Any:
    """Find the days of scans, as a division by time asks for them."""
    from bidsapp.dataset.normalized import NormalizedImage
    from bidsapp.dataset.scan_dates import scan_dates

    images = [
        NormalizedImage(
            "sub-01", f"ses-{n}", folder / "x.nii.gz", None, {}, "", "",
            source=f"sub-01/ses-{n}/anat/sub-01_ses-{n}_T1w.nii.gz" if n == 1 else "",
        )
        for n in (1, 2)
    ]  # fmt: skip
    return scan_dates(folder / "bids", images, "T1w")


IMAGES: dict[str, Target] = {
    "heads": Target("bids/**/*", _heads, lambda folder: (_read_heads(folder), _dated(folder))),
    "series": Target("bids/**/*", _series, _read_series),
    "knees": Target("bids/**/*", _knees, _read_knees),
    "necks": Target("bids/**/*", _necks, _read_necks),
}
