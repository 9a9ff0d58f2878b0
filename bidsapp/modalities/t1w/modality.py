"""T1w heads, as other rooms meet them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bidsapp.contracts.modality import Job, Modality, Shared, Source
from bidsapp.contracts.prepared import Prepared
from bidsapp.modalities.t1w.measures import MEASURES
from bidsapp.modalities.t1w.products import PRODUCTS
from bidsapp.modalities.t1w.settings import T1wPreparation
from bidsapp.options import RunOptions

_COHORT = re.compile(r"tpl-([A-Za-z0-9]+)_cohort-0*(\d+)")


class T1w(Modality[T1wPreparation]):
    """T1-weighted images of the head, normalised to a template."""

    name = "t1w"
    title = "T1w MRI"
    image = "T1w image"
    verb = "normalise"
    sources = (Source("t1w", "anat", "T1w"),)
    measures = MEASURES
    products = PRODUCTS
    settings = T1wPreparation

    def in_short(self, quality: Mapping[str, Any]) -> str:
        """Say the best single number of a normalisation."""
        return f"local NCC {quality['local_ncc']:.2f}"

    def mask(self, shared: Shared) -> Path:
        """Write the template's brain mask on the output grid."""
        from bidsapp.modalities.t1w.template_images import prepare_mask

        return prepare_mask(shared.files["output"])

    def labels(self, settings: T1wPreparation, work: Path) -> Mapping[str, str]:
        """Give the template's label and the voxel size."""
        from bidsapp.templates import template_label

        space = template_label(settings.template, home=work / "templateflow")
        return {"space": space, "res": str(settings.resolution)}

    def check(self, settings: T1wPreparation, work: Path) -> None:
        """Find the template, laying or downloading it where it is not there."""
        from bidsapp.templates import resolve_template

        resolve_template(settings.template, home=work / "templateflow")

    def found_elsewhere(self, dataset: str, root: Path, wanted: Any) -> Any:
        """Find T1w images and brain masks in the derivatives of any pipeline."""
        from bidsapp.modalities.t1w.elsewhere import find_derivatives

        return find_derivatives(dataset, root, wanted)

    def conformed(self, cohort: Any, shared: Shared, settings: T1wPreparation, folder: Path) -> Any:
        """Mask, resample and scale what other pipelines normalised."""
        from bidsapp.modalities.t1w.conform import conform_cohort

        return conform_cohort(cohort, shared.files["output"], settings.intensity, folder)

    def shared(self, settings: T1wPreparation, work: Path) -> Shared:
        """Lay the template's brain on the grids that a run needs."""
        return _laid(settings, settings.template, work)

    def shared_of(self, prepared: Prepared, work: Path) -> Shared:
        """Lay the brain of the template, and of its cohort, that an image was brought to."""
        settings = self.settings_of(prepared)
        cohort = _COHORT.search(str(prepared.settings.get("template_file", "")))
        name = f"{cohort[1]}:cohort-{cohort[2]}" if cohort else prepared.names.space
        return _laid(settings, name, work)

    def settings_of(self, prepared: Prepared) -> T1wPreparation:
        """Read from a sidecar what an image was normalised with."""
        told = prepared.settings
        values: dict[str, Any] = {key: told[key] for key in ("box", "speed") if key in told}
        template = prepared.names.space.partition("+")[0]
        values |= {"template": template, "resolution": int(prepared.names.resolution)}
        return T1wPreparation.model_validate(values)

    def workflow(
        self, name: str, job: Job, shared: Shared, settings: T1wPreparation, options: RunOptions
    ) -> Any:
        """Connect brain extraction, bias correction, registration and the verdict."""
        from bidsapp.modalities.t1w.workflow import normalization_workflow

        return normalization_workflow(name, job, shared.files, options)

    def write_page(
        self, prepared: Prepared, shared: Shared, bids_dir: Path, command: str, page: Path
    ) -> None:
        """Write the page of a normalised image anew."""
        from bidsapp.modalities.t1w.page import report_of, write_participant_report

        names, sidecar = prepared.names, prepared.sidecar
        report = report_of(
            names,
            prepared.provenance,
            prepared.quality,
            {
                "notes": sidecar.get("Notes") or (),
                "seconds": dict(sidecar.get("CPUSeconds") or {}),
                "software": dict(sidecar.get("GeneratedWith") or {}),
            },
            staging=names.folder,
            command=command,
            head=(bids_dir / prepared.source, names.path("native_mask")),
            template_brain=shared.files["output"],
        )
        write_participant_report(report, page)

    def words(self, prepared: Sequence[Prepared]) -> Mapping[str, Sequence[str]]:
        """Say how images were normalised and judged."""
        from bidsapp.modalities.t1w.words import image_words

        return image_words(prepared)


def _laid(settings: T1wPreparation, template_name: str, work: Path) -> Shared:
    from bidsapp import __version__
    from bidsapp.modalities.t1w.template_images import prepare_template
    from bidsapp.templates import resolve_template

    template = resolve_template(template_name, home=work / "templateflow")
    files = prepare_template(template, settings, work / "template")
    return Shared(
        labels={"space": template.label, "res": str(settings.resolution)},
        settings={
            "template": template.label,
            "template_file": template.t1w.name,
            "resolution": settings.resolution,
            "box": settings.box,
            "intensity": settings.intensity,
            "speed": settings.speed,
            "seed": settings.seed,
            "version": __version__,
        },
        reference=template.reference,
        files=files,
        outline=files["output"],
    )


MODALITY = T1w()
