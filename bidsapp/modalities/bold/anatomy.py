"""What the normalisation of a person's T1w image left for their series."""

from dataclasses import dataclass
from pathlib import Path

from bidsapp.contracts.job import Job
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.product import OutputNames
from bidsapp.derivatives.sidecars import read_quality
from bidsapp.errors import BadData, NoInput

_T1W_MM = "2"


@dataclass(frozen=True)
class Anatomy:
    """What the normalisation of the person's T1w image left.

    Attributes
    ----------
    image, mask
        The T1w image as acquired, and its brain mask on the same voxels.
    normalised, brain
        The brain in standard space, and its mask there.
    transform
        ITK's transform that brings the T1w image there.
    doubts
        What its quality leaves open of left and right, a sentence each: a series follows it.
    """

    image: Path
    mask: Path
    normalised: Path
    brain: Path
    transform: Path
    doubts: tuple[str, ...] = ()


def anatomy_of(job: Job) -> Anatomy:
    """Find what the normalisation of the person's T1w image left.

    Raises
    ------
    NoInput
        It is not there.
    BadData
        It failed.
    """
    (t1w,) = job.scan.files["t1w"][:1]
    modality = modality_named("t1w")
    labels = {"space": job.names.space, "res": _T1W_MM}
    names = OutputNames(
        job.names.output_dir, t1w.entities, labels, modality.products_for({}), "anat"
    )
    keys = ("native_mask", "preproc", "brain_mask", "to_template")
    missing = [names[key] for key in keys if not names.path(key).is_file()]
    if missing:
        raise NoInput(
            f"{t1w.relative_path}: its normalisation is not in the output folder "
            f"({', '.join(missing[:2])}); it failed, or was removed. See its own report."
        )
    quality = read_quality(names)
    if quality.get("verdict") == "fail":
        raise BadData(
            f"{t1w.relative_path}: its normalisation failed ({' '.join(quality['reasons'])}), and "
            "the series is brought to standard space by it. See its own report."
        )
    native, normalised, brain, transform = (names.path(key) for key in keys)
    doubts = tuple(
        f"The series follows its T1w image into standard space, of which is said: {reason}"
        for reason in map(str, quality.get("reasons") or ())
        if "left and right" in reason
    )
    return Anatomy(t1w.path, native, normalised, brain, transform, doubts)
