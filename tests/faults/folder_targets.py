"""Folders that the app goes on with: its own output, that of others, a run, a model.

Any of their files may be altered, cut, emptied, taken away, or be something else by its name.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults.fuzz_targets import TARGETS, Target, bundle, open_bundle, reseal
from tests.faults.input_targets import INPUTS

_PEOPLE = 4


def _study(folder: Path) -> None:
    """Write tables of a few people and their images, prepared, as the participant level does."""
    from tests.unit.cohort_trees import normalise, study

    rows = "".join(f"sub-{n:02d} {n % 2}\n" for n in range(_PEOPLE))
    study(folder / "bids", f"participant_id chronic\n{rows}")
    _described(folder / "bids")
    for number in range(_PEOPLE):
        who = f"sub-{number:02d}"
        (folder / "bids" / who).mkdir()
        normalise(folder / "out", who, number)
    _described(folder / "out", GeneratedBy=[{"Name": "NociCast", "Version": "0.1.0"}])


def _described(folder: Path, **more: Any) -> None:
    told = {"Name": "x", "BIDSVersion": "1.10.0", **more}
    (folder / "dataset_description.json").write_text(json.dumps(told))


def _cohort(folder: Path) -> Any:
    """Build the cohort of a group run that begins in this folder."""
    from bidsapp.derivatives.description import check_output
    from tests.unit.cohort_trees import build

    check_output(folder / "out", folder / "bids")
    return build(folder, channels=("t1w", "log_jacobian"))


def _prepared_elsewhere(folder: Path) -> None:
    _study(folder)
    (folder / "out").rename(folder / "prep")
    _described(folder / "prep", DatasetType="derivative", GeneratedBy=[{"Name": "fMRIPrep"}])
    for name in (*folder.rglob("*logjacobian*"), *folder.glob("prep/sub-*/anat/*.json")):
        name.unlink()  # which only this app writes


def _cohort_from_elsewhere(folder: Path) -> Any:
    from tests.unit.cohort_trees import build

    return build(folder, derivatives={"prep": folder / "prep"})


def _finished(folder: Path) -> None:
    """Write what an earlier run left of a few people: sidecars, images, pages."""
    from tests.unit.cohort_trees import save
    from tests.unit.finished_trees import leave_sidecar

    for number in range(_PEOPLE):
        sidecar = leave_sidecar(folder / "out", f"sub-{number:02d}")
        save(sidecar.with_suffix(".nii.gz"), number)
        (folder / "out" / f"sub-{number:02d}.html").write_text("<!DOCTYPE html><html></html>\n")
    _described(folder / "out", GeneratedBy=[{"Name": "NociCast", "Version": "0.1.0"}])


def _resumed(folder: Path) -> Any:
    """Look at what is there as a run that goes on does, and write the pages about all."""
    from bidsapp.derivatives.description import check_output
    from bidsapp.derivatives.finished import finished_images
    from bidsapp.derivatives.sidecars import finished_key
    from bidsapp.reports.cohort_pages import after_run

    check_output(folder / "out", folder / "bids")
    found = [one.names for one in finished_images(folder / "out")]
    keys = [finished_key(names) for names in found]
    after_run(folder / "out", {}, found)
    return keys


def _run(folder: Path) -> None:
    from tests.unit.evaluation_runs import write_run

    write_run(folder / "run", n=8, folds=2)


def _read_run(folder: Path) -> Any:
    """Read a run as ``--evaluate-only`` does."""
    from bidsapp.evaluation.state import read_state

    return read_state(folder / "run")


def _sealed(folder: Path) -> None:
    """Give the manifest fitting hashes, where it is one and all that it lists are files."""
    files = [path for path in (folder / "model").rglob("*") if not path.is_dir()]
    if all(path.is_file() and not path.is_symlink() for path in files):
        with suppress(ValueError, KeyError, TypeError, OSError, RecursionError):
            reseal(folder)


def _folder(
    files: str,
    sound: Callable[[Path], None],
    read: Callable[[Path], Any],
    seal: Callable[[Path], None] | None = None,
) -> Target:
    return Target(files, sound, read, seal=seal)


FOLDERS: dict[str, Target] = {
    "normalised": _folder("out/**/*", _study, _cohort),
    "prepared_elsewhere": _folder("prep/**/*", _prepared_elsewhere, _cohort_from_elsewhere),
    "resumed": _folder("out/**/*", _finished, _resumed),
    "run": _folder("run/**/*", _run, _read_run),
    "bundle": _folder("model/**/*", bundle, open_bundle),
    "bundle_resealed": _folder("model/**/*", bundle, open_bundle, _sealed),
}
ALL: dict[str, Target] = TARGETS | INPUTS | FOLDERS
