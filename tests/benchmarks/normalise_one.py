"""One normalisation in a process of its own, so that its CPU seconds and its memory are its own.

Started by `tests.benchmarks.normalization` with the fields of `Unit` as JSON; leaves
``unit.json`` and, where there are labels, ``labels.npz`` in the unit's folder.
"""

import json
import os
import resource
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_SYN = {"type_of_transform": "SyN", "syn_metric": "CC", "reg_iterations": (60, 30, 8)}
# The radius in voxels is that of the window of the correlation; 4 is what ANTs' own scripts take.
PEERS: dict[str, dict[str, Any]] = {
    "SyNQuick": {"type_of_transform": "antsRegistrationSyNQuick[s]"},
    "SyN CC": _SYN | {"syn_sampling": 2},
    "SyN CC radius 4": _SYN | {"syn_sampling": 4},
}


FLOAT32 = " float32"


@dataclass(frozen=True)
class Unit:
    """What is to be normalised and how.

    Attributes
    ----------
    method
        A speed of ours, with `FLOAT32` behind it for the arithmetic of a machine without bfloat16;
        or a key of `PEERS`.
    image
        T1w image for ours; for a peer the brain that ours corrected.
    labels
        Label map on the grid of the T1w image, or "".
    folder
        Where the results go.
    work
        Shared by all units: the template on the grids needed.
    resolution
        Of our output, mm.
    """

    method: str
    image: str
    labels: str
    folder: str
    work: str
    resolution: int = 2


def main() -> None:
    """Run the unit that the first argument describes."""
    unit = Unit(**json.loads(sys.argv[1]))
    folder = Path(unit.folder)
    folder.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    found = _peer(unit) if unit.method in PEERS else _ours(unit)
    found["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    found["load"] = [load, os.getloadavg()[0]]
    (folder / "unit.json").write_text(json.dumps(found, indent=1))


def settings_of(unit: Unit, speed: str) -> Any:
    """Keys of the recipe's preparation at a speed."""
    from bidsapp.recipes import load_recipe

    values = [f"preparation.speed={speed}", f"preparation.resolution={unit.resolution}"]
    return load_recipe("attias2025", values).preparation


def template_images(unit: Unit, speed: str) -> Any:
    """Template's brain on the grids of a speed."""
    from bidsapp.modalities.t1w.modality import MODALITY

    return MODALITY.shared(settings_of(unit, speed), Path(unit.work)).files


def _ours(unit: Unit) -> dict[str, Any]:
    """Run the nodes of the participant level one after the other in this process."""
    folder = Path(unit.folder)
    speed = unit.method.removesuffix(FLOAT32)
    if unit.method.endswith(FLOAT32):
        _without_bfloat16()
    # imports, weights and compiled kernels are paid once per process of the app, not per person
    _workflow(unit, "fast", folder / "first")
    start = time.process_time()
    sidecar, work, total = _workflow(unit, speed, folder / "run")
    seconds = dict(sidecar["CPUSeconds"])
    seconds["nipype, sidecars"] = total - seconds.pop("total")
    output = folder / "run" / "out"
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    found = {"seconds": seconds, "total": total, "start": start, "bytes": size}
    found["quality"] = sidecar["Quality"]
    _save_brain(work, folder / "brain.nii")
    found |= _carry(unit, next(output.rglob("*_from-T1w_to-*_xfm.h5")))
    shutil.rmtree(folder / "first")
    shutil.rmtree(folder / "run")
    return found


def _without_bfloat16() -> None:
    """Compute as on a processor that has no instructions for bfloat16."""
    from bidsapp.execution import compute
    from bidsapp.modalities.t1w import brainmask

    for module in (compute, brainmask):
        module.has_bfloat16 = lambda device: False  # type: ignore[attr-defined]


def _workflow(unit: Unit, speed: str, folder: Path) -> tuple[dict[str, Any], Path, float]:
    """Normalise; gives sidecar, work folder and CPU seconds, without what a run does but once."""
    from bidsapp.contracts.job import Job
    from bidsapp.contracts.prepared import Provenance
    from bidsapp.contracts.product import OutputNames, sidecar_name
    from bidsapp.contracts.scan import Scan, SourceFile
    from bidsapp.derivatives import prepare_output
    from bidsapp.execution.run import Running, configure, run_workflow
    from bidsapp.modalities.t1w.modality import MODALITY
    from bidsapp.options import RunOptions

    shutil.rmtree(folder, ignore_errors=True)
    source = Path(unit.image)
    wanted = settings_of(unit, speed)
    shared = MODALITY.shared(wanted, Path(unit.work))
    options = RunOptions(source.parents[2], folder / "out", "participant", folder / "work")
    prepare_output(options.output_dir, options.bids_dir)
    label = source.name.split("_")[0].removeprefix("sub-")
    entities = {"subject": label}
    names = OutputNames(options.output_dir, entities, shared.labels, MODALITY.products_for({}))
    scan = Scan(label, None, {"t1w": (SourceFile(source, source.name, entities),)})
    provenance = Provenance({source.name: ""}, "benchmark", shared.settings, shared.reference)
    job = Job(MODALITY.name, scan, "", names, provenance)
    start = time.process_time()
    workflow = MODALITY.workflow("one", job, shared, wanted, options)
    workflow.base_dir = str(options.work_dir)
    running = Running(1, 8.0, folder / "crash", plugin="Linear")
    configure(running)
    run_workflow(workflow, running)
    total = time.process_time() - start
    sidecar = names.folder / sidecar_name(names["preproc"])
    if not sidecar.exists():
        raise SystemExit(f"{unit.image}: the workflow did not finish; see {folder}")
    return json.loads(sidecar.read_text()), options.work_dir / "one", total


def _save_brain(work: Path, path: Path) -> None:
    """Keep the brain that was registered, for the peers."""
    import SimpleITK as sitk

    corrected = sitk.ReadImage(str(work / "bias" / "corrected.nii"))
    sitk.WriteImage(
        sitk.Mask(corrected, sitk.ReadImage(str(work / "bias" / "cropped.nii"))), str(path)
    )


def _carry(unit: Unit, transform_file: Path) -> dict[str, Any]:
    """Bring the labels to the template with the transform as written; share that folds."""
    import SimpleITK as sitk

    images = template_images(unit, unit.method.removesuffix(FLOAT32))
    template = sitk.ReadImage(str(images["judged"]))
    transform = sitk.ReadTransform(str(transform_file))
    if unit.labels:
        labels = sitk.Resample(
            sitk.ReadImage(unit.labels), template, transform, sitk.sitkNearestNeighbor, 0
        )
        _save_labels(unit, sitk.GetArrayFromImage(labels).T)
    field = sitk.DisplacementFieldTransform(sitk.CompositeTransform(transform).GetNthTransform(1))
    return {"folded": _folded(field.GetDisplacementField(), template)}


def _folded(field: Any, template: Any) -> float:
    """Share of the template's brain, on the field's own grid, where it folds."""
    import SimpleITK as sitk

    from bidsapp.modalities.t1w.transform import SpatialMap

    determinant = SpatialMap(np.eye(4), field).determinant()
    brain = sitk.Resample(template, field, sitk.Transform(), sitk.sitkLinear)
    inside = sitk.GetArrayViewFromImage(brain).T > 0
    return float((determinant[inside] <= 0).mean())


def _save_labels(unit: Unit, labels: np.ndarray) -> None:
    np.savez_compressed(Path(unit.folder) / "labels.npz", labels=labels.astype(np.uint8))


def _peer(unit: Unit) -> dict[str, Any]:
    """Register the brain with antspyx, on one thread."""
    import ants
    import SimpleITK as sitk

    images = template_images(unit, "default")
    fixed, moving = ants.image_read(str(images["judged"])), ants.image_read(unit.image)
    start = time.process_time()
    found = ants.registration(
        fixed, moving, outprefix=f"{unit.folder}/", random_seed=1, **PEERS[unit.method]
    )
    seconds = time.process_time() - start
    forward = found["fwdtransforms"]
    labels = ants.apply_transforms(
        fixed, ants.image_read(unit.labels), forward, interpolator="nearestNeighbor"
    )
    _save_labels(unit, labels.numpy())
    field, template = sitk.ReadImage(forward[0]), sitk.ReadImage(str(images["judged"]))
    folded = _folded(field, template)
    for path in {*forward, *found["invtransforms"]}:
        Path(path).unlink(missing_ok=True)
    return {"seconds": {"registration": seconds}, "total": seconds, "folded": folded}


if __name__ == "__main__":
    main()
