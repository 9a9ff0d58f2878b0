"""T1w heads, as other rooms meet them: normalised to a template, or in their own space."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from bidsapp.contracts.home import Meeting, WayBack
from bidsapp.contracts.job import Job, Shared
from bidsapp.contracts.measure import Measure
from bidsapp.contracts.modality import Modality
from bidsapp.contracts.prepared import Prepared, UnitPage
from bidsapp.contracts.product import Product
from bidsapp.contracts.scan import Source
from bidsapp.contracts.unit import Unit
from bidsapp.errors import UsageError
from bidsapp.modalities.t1w.measures import MEASURES
from bidsapp.modalities.t1w.native import products as native_products
from bidsapp.modalities.t1w.native import shared as native
from bidsapp.modalities.t1w.native.measures import NATIVE_MEASURES
from bidsapp.modalities.t1w.native.settings import NATIVE, NativePreparation
from bidsapp.modalities.t1w.products import PRODUCTS
from bidsapp.modalities.t1w.settings import T1wPreparation
from bidsapp.modalities.t1w.speeds import CHAIN
from bidsapp.options import RunOptions

Settings = T1wPreparation | NativePreparation

_COHORT = re.compile(r"tpl-([A-Za-z0-9]+)_cohort-0*(\d+)")


class T1w(Modality[Settings]):
    """T1-weighted images of the head, normalised to a template or left in their own space."""

    name = "t1w"
    title = "T1w MRI"
    image = "T1w image"
    depicted = "the brain"
    verb = "normalise"
    sources = (Source("t1w", "anat", "T1w"),)
    measures = (*MEASURES, *NATIVE_MEASURES)
    products = (*PRODUCTS, *native_products.PRODUCTS)
    chain = CHAIN
    settings = T1wPreparation
    kinds: ClassVar = {"Box": dict}

    @property
    def every_settings(self) -> tuple[type[Any], ...]:
        """List the keys of both spaces."""
        return T1wPreparation, NativePreparation

    def settings_for(self, values: Mapping[str, Any]) -> type[Any]:
        """Tell by the key ``space`` which keys there are."""
        return NativePreparation if values.get("space") == NATIVE else T1wPreparation

    def products_for(self, settings: Mapping[str, Any]) -> tuple[Product, ...]:
        """List the files; where no space is named, as in earlier sidecars, it is a template's."""
        return super().products_for({"space": "template", **settings})

    def measures_for(self, settings: Mapping[str, Any]) -> tuple[Measure, ...]:
        """List the numbers, likewise."""
        return super().measures_for({"space": "template", **settings})

    def main_channel_for(self, settings: Mapping[str, Any]) -> str:
        """Name the normalised image, or the head in its own space."""
        own = settings.get("space") == NATIVE
        return native_products.CHANNEL if own else self.main_channel

    def in_short(self, quality: Mapping[str, Any]) -> str:
        """Say the best single number of a normalisation, or the size of the brain."""
        if "local_ncc" in quality:
            return f"local NCC {quality['local_ncc']:.2f}"
        return super().in_short(quality)

    def mask(self, shared: Shared) -> Path:
        """Write the template's brain mask on the output grid; give all of a box of its own."""
        if native.FRAME in shared.files:
            return shared.files[native.FRAME]
        from bidsapp.modalities.t1w.template_images import prepare_mask

        return prepare_mask(shared.files["output"])

    def labels(self, settings: Settings, work: Path) -> Mapping[str, str]:
        """Give the template's label and the voxel size, or what tells one box from others."""
        if isinstance(settings, NativePreparation):
            return native_products.labels_of(settings)
        from bidsapp.templates import template_label

        space = template_label(settings.template, home=work / "templateflow")
        return {"space": space, "res": str(settings.resolution)}

    def check(self, settings: Settings, work: Path) -> None:
        """Find the template, laying or downloading it where it is not there."""
        if isinstance(settings, NativePreparation):
            return
        from bidsapp.templates import resolve_template

        resolve_template(settings.template, home=work / "templateflow")

    def meeting(self, images: Mapping[Unit, Path], work: Path) -> Meeting | None:
        """Find the template that most people are normalised to as well, beside their own heads."""
        return native.meeting_of(images, work)

    def way_back(self, image: Path) -> WayBack | None:
        """Name the transform from the template, and the brain mask on the scan's own voxels."""
        table = {product.key: product for product in PRODUCTS}
        main = next(product for product in PRODUCTS if product.main)
        found = main.pattern().fullmatch(image.name)
        if found is None:
            return None
        labels = found.groupdict()
        transform, grid = (
            image.with_name(f"{labels['stem']}_{table[key].tail(labels)}")
            for key in ("from_template", "native_mask")
        )
        return WayBack(transform, grid)

    def found_elsewhere(self, dataset: str, root: Path, wanted: Any) -> Any:
        """Find T1w images and brain masks in the derivatives of any pipeline."""
        if wanted.settings.get("space") == NATIVE:
            raise UsageError(
                f"-d {dataset}={root}: images of other software are read in a template's space; "
                "with preparation.space: native leave out -d and run the participant level."
            )
        from bidsapp.modalities.t1w.elsewhere import find_derivatives

        return find_derivatives(dataset, root, wanted)

    def conformed(self, cohort: Any, shared: Shared, settings: Settings, folder: Path) -> Any:
        """Mask, resample and scale what other pipelines normalised."""
        if isinstance(settings, NativePreparation):
            return cohort
        from bidsapp.modalities.t1w.conform import conform_cohort

        return conform_cohort(cohort, shared.files["output"], settings.intensity, folder)

    def shared(self, settings: Settings, work: Path) -> Shared:
        """Lay the template's brain on the grids that a run needs."""
        if isinstance(settings, NativePreparation):
            return native.shared_of(settings, work)
        return _laid(settings, settings.template, work)

    def shared_of(self, prepared: Prepared, work: Path) -> Shared:
        """Lay the brain of the template, and of its cohort, that an image was brought to."""
        settings = self.settings_of(prepared)
        if isinstance(settings, NativePreparation):
            return native.shared_of(settings, work)
        cohort = _COHORT.search(str(prepared.settings.get("template_file", "")))
        name = f"{cohort[1]}:cohort-{cohort[2]}" if cohort else prepared.names.space
        return _laid(settings, name, work)

    def settings_of(self, prepared: Prepared) -> Settings:
        """Read from a sidecar what an image was normalised with, or boxed."""
        told = prepared.settings
        if told.get("space") == NATIVE:
            return super().settings_of(prepared)
        values: dict[str, Any] = {key: told[key] for key in ("box", "speed") if key in told}
        template = prepared.names.space.partition("+")[0]
        values |= {"template": template, "resolution": int(prepared.names.resolution)}
        return T1wPreparation.model_validate(values)

    def workflow(
        self, name: str, job: Job, shared: Shared, settings: Settings, options: RunOptions
    ) -> Any:
        """Connect brain extraction, bias correction, registration and the verdict."""
        if isinstance(settings, NativePreparation):
            return native.workflow(name, job, options)
        from bidsapp.modalities.t1w.workflow import normalization_workflow

        return normalization_workflow(name, job, shared.files, options)

    def write_page(
        self, prepared: Prepared, shared: Shared, bids_dir: Path, command: str, page: Path
    ) -> None:
        """Write the page of an image anew."""
        if prepared.settings.get("space") == NATIVE:
            native.write_page(prepared, command, page)
            return
        from bidsapp.modalities.t1w.page import report_of, write_participant_report

        head = bids_dir / prepared.source, prepared.names.path("native_mask")
        unit = UnitPage.anew(prepared, command)
        report = report_of(unit, head=head, template_brain=shared.files["output"])
        write_participant_report(report, page)

    def words(self, prepared: Sequence[Prepared]) -> Mapping[str, Sequence[str]]:
        """Say how images were normalised and judged, and those that stayed in their own space."""
        from bidsapp.modalities.t1w.native.words import native_words
        from bidsapp.modalities.t1w.words import image_words

        own = [image for image in prepared if image.settings.get("space") == NATIVE]
        others = [image for image in prepared if image not in own]
        told: dict[str, list[str]] = {}
        for images, words in ((others, image_words), (own, native_words)):
            for heading, paragraphs in words(images).items() if images else ():
                told.setdefault(heading, []).extend(paragraphs)
        return told


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
            "chain": CHAIN,
            "version": __version__,
        },
        reference=template.reference,
        files=files,
        outline=files["output"],
    )


MODALITY = T1w()
