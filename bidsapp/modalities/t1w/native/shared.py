"""What all heads in their own space have in common, their workflow, and their page made anew."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bidsapp.contracts.home import Meeting
from bidsapp.contracts.job import Job, Shared
from bidsapp.contracts.measure import PASS, WARN
from bidsapp.contracts.prepared import Prepared, UnitPage
from bidsapp.contracts.product import sidecar_name
from bidsapp.contracts.unit import Unit
from bidsapp.intake.json_text import read_object
from bidsapp.modalities.t1w.native.products import labels_of
from bidsapp.modalities.t1w.native.settings import AS_ACQUIRED, NativePreparation
from bidsapp.options import RunOptions

FRAME = "frame"
"""Name of the mask of all boxes among the shared files."""
_MEMORY_GB = 3.0


def shared_of(settings: NativePreparation, work: Path) -> Shared:
    """Write the mask of all boxes, and say what shapes a box."""
    from bidsapp import __version__
    from bidsapp.modalities.t1w.native.files import write_frame
    from bidsapp.modalities.t1w.speeds import CHAIN

    spacing = 1.0 if settings.spacing == AS_ACQUIRED else float(settings.spacing)
    labels = labels_of(settings)
    name = f"frame_{settings.axes}{labels['box'].removeprefix(settings.axes)}_{labels['res']}"
    frame = write_frame(work / "native" / f"{name}.nii.gz", settings.box, settings.axes, spacing)
    shaping = settings.model_dump(mode="json", exclude={"modality", "seed"})
    return Shared(
        labels=labels,
        settings={**shaping, "chain": CHAIN, "version": __version__},
        files={FRAME: frame},
    )


def workflow(name: str, job: Job, options: RunOptions) -> Any:
    """Make one node of all steps: together they take about three seconds."""
    from bidsapp.execution.write_node import one_node
    from bidsapp.modalities.t1w.native.write import WriteHead

    return one_node(name, WriteHead.of(job, options), _MEMORY_GB)


def meeting_of(images: Mapping[Unit, Path], work: Path) -> Meeting | None:
    """Find the template to which most of these people have a transform beside their own heads.

    A transform counts where the normalisation that it comes from did not fail, and was made from
    the file that the head was made from.
    """
    found: dict[str, dict[Unit, Path]] = {}
    for unit, image in images.items():
        stem = image.name.partition("_space-")[0]
        for path in image.parent.glob(f"{stem}_from-T1w_to-*_mode-image_xfm.h5"):
            label = path.name.partition("_to-")[2].partition("_")[0]
            if _normalised(image, stem, label):
                found.setdefault(label, {})[unit] = path
    if not found:
        return None
    from bidsapp.modalities.t1w.settings import T1wPreparation
    from bidsapp.modalities.t1w.template_images import prepare_mask, prepare_template
    from bidsapp.templates import resolve_template

    label = max(sorted(found), key=lambda name: len(found[name]))
    box = "spm12" if label.startswith("MNI") else "template"
    wanted = T1wPreparation.model_validate({"template": label.partition("+")[0], "box": box})
    template = resolve_template(label.replace("+", ":cohort-"), home=work / "templateflow")
    brain = prepare_template(template, wanted, work / "template")["output"]
    return Meeting(label, prepare_mask(brain), found[label])


def _normalised(image: Path, stem: str, label: str) -> bool:
    """Tell whether a head's file was normalised to a template, and well enough to be used."""
    own = read_object(image.parent / sidecar_name(image.name)).get("SourceSHA256")
    for path in image.parent.glob(f"{stem}_space-{label}_res-*_desc-preproc_T1w.json"):
        told = read_object(path)
        quality = told.get("Quality")
        verdict = quality.get("verdict") if isinstance(quality, dict) else None
        if verdict in (PASS, WARN) and told.get("SourceSHA256") == own:
            return True
    return False


def write_page(prepared: Prepared, command: str, page: Path) -> None:
    """Write the page of a head in its own space anew from its products."""
    from bidsapp.modalities.t1w.native.page import write_head_page

    box = prepared.sidecar.get("Box") or {}
    unit = UnitPage.anew(
        prepared,
        command,
        padded=box.get("Padded") or [(0, 0)] * 3,
        cropped=box.get("Cropped") or [(0, 0)] * 3,
    )
    write_head_page(unit, page)
