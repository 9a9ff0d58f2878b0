"""BOLD series at rest, as other rooms meet them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from bidsapp.contracts.job import First, Job, Shared
from bidsapp.contracts.modality import Modality, modality_named
from bidsapp.contracts.prepared import Prepared, UnitPage
from bidsapp.contracts.scan import Scan, Source
from bidsapp.modalities.bold.measures import MEASURES
from bidsapp.modalities.bold.products import PRODUCTS
from bidsapp.modalities.bold.settings import BoldPreparation
from bidsapp.options import RunOptions

MASK, BRAIN = "mask", "brain"
"""Names of the template's mask and brain among the shared files."""
# GB for 200 volumes at 2 mm, rounded up.
_MEMORY = 3.0
_T1W_MM = 2


def _field(name: str, suffix: str, *, metadata: bool = True) -> Source:
    return Source(name, "fmap", suffix, many=True, required=False, metadata=metadata)


class Bold(Modality[BoldPreparation]):
    """BOLD at rest, in standard space and denoised."""

    name = "bold"
    title = "BOLD MRI at rest"
    image = "BOLD series"
    depicted = "the brain"
    sources = (
        Source(
            "bold",
            "func",
            "bold",
            several="--set preparation.runs=join joins runs",
            metadata=True,
        ),
        Source("t1w", "anat", "T1w", any_session=True),
        Source(
            "bold_json",
            "func",
            "bold",
            extensions=(".json",),
            required=False,
            same=("task", "acquisition", "reconstruction", "direction", "run", "echo"),
        ),
        _field("field_map", "fieldmap"),
        _field("reversed", "epi"),
        _field("phase_difference", "phasediff"),
        _field("first_phase", "phase1"),
        _field("second_phase", "phase2"),
        _field("magnitude", "magnitude1", metadata=False),
    )
    measures = MEASURES
    products = PRODUCTS
    chain = 7
    settings = BoldPreparation
    free = ("other_spaces", "keep_preproc")
    spared = ("keep_preproc",)
    kinds: ClassVar = {
        **dict.fromkeys(("VolumesKept", "VolumesOfRuns", "Runs"), list),
        **dict.fromkeys(("SusceptibilityDistortion", "RegistrationToT1w"), dict),
    }

    def sources_for(self, settings: Mapping[str, Any]) -> tuple[Source, ...]:
        """Take all runs where they are to be joined, with the JSON of each.

        What files of the field say is no condition where they are not looked at.
        """
        looked = settings.get("susceptibility", "auto") == "auto"
        series, *others = (
            replace(one, metadata=one.metadata and (looked or one.datatype != "fmap"))
            for one in self.sources
        )
        if settings.get("runs", "one") != "join":
            return (series, *others)
        told = [
            replace(one, many=True, same=tuple(name for name in one.same if name != "run"))
            if one.name == "bold_json"
            else one
            for one in others
        ]
        return (replace(series, many=True), *told)

    def labels(self, settings: BoldPreparation, work: Path) -> Mapping[str, str]:
        """Give the template's label and the voxel size."""
        from bidsapp.templates import template_label

        space = template_label(settings.template, home=work / "templateflow")
        return {"space": space, "res": str(settings.resolution)}

    def check(self, settings: BoldPreparation, work: Path) -> None:
        """Find the template, laying or downloading it where it is not there."""
        from bidsapp.templates import resolve_template

        resolve_template(settings.template, home=work / "templateflow")

    def check_scan(self, scan: Scan, settings: BoldPreparation) -> None:
        """Refuse a series that is too short, or whose times contradict each other."""
        from bidsapp.modalities.bold.run_checks import check_runs

        check_runs(scan, settings)

    def first(self, scan: Scan, settings: BoldPreparation) -> Sequence[First]:
        """Ask for the normalisation of the person's T1w image."""
        return (First("t1w", Scan(scan.participant, scan.session, _t1w(scan)), _asked(settings)),)

    def found_elsewhere(self, dataset: str, root: Path, wanted: Any) -> Any:
        """Find series in standard space in the derivatives of any pipeline."""
        from bidsapp.modalities.bold.elsewhere import find_derivatives

        return find_derivatives(dataset, root, wanted)

    def conformed(
        self, cohort: Any, shared: Shared, settings: BoldPreparation, folder: Path
    ) -> Any:
        """Resample, denoise and smooth what other pipelines brought to standard space."""
        from bidsapp.modalities.bold.conform import conform_cohort

        plain = settings.model_dump(mode="json")
        return conform_cohort(cohort, shared.files[MASK], plain, folder)

    def shared(self, settings: BoldPreparation, work: Path) -> Shared:
        """Lay the template's brain and its mask on the output grid."""
        from bidsapp import __version__
        from bidsapp.modalities.bold.files import lay_template
        from bidsapp.templates import resolve_template

        template = resolve_template(settings.template, home=work / "templateflow")
        brain, mask = lay_template(template, settings.box, settings.resolution, work / "template")
        values = settings.model_dump(mode="json", exclude={"modality"})
        return Shared(
            labels={"space": template.label, "res": str(settings.resolution)},
            settings={
                **values,
                "template_file": template.t1w.name,
                "chain": self.chain,
                "t1w_chain": modality_named("t1w").chain,  # whose transform a series goes through
                "version": __version__,
            },
            reference=template.reference,
            files={MASK: mask, BRAIN: brain},
            outline=brain,
        )

    def mask(self, shared: Shared) -> Path:
        """Give the template's brain mask on the output grid."""
        return shared.files[MASK]

    def workflow(
        self, name: str, job: Job, shared: Shared, settings: BoldPreparation, options: RunOptions
    ) -> Any:
        """Make one node of all steps: what they hand on is larger than what they take to make."""
        from bidsapp.execution.write_node import one_node
        from bidsapp.modalities.bold.write import WriteSeries

        mask = str(shared.files[MASK])
        memory = _MEMORY * len(job.scan.files["bold"])
        return one_node(name, WriteSeries.of(job, options, template_mask=mask), memory)

    def write_page(
        self, prepared: Prepared, shared: Shared, bids_dir: Path, command: str, page: Path
    ) -> None:
        """Write the page of a series anew from its products."""
        from bidsapp.modalities.bold.page import write_series_page

        sidecar = prepared.sidecar
        unit = UnitPage.anew(
            prepared,
            command,
            kept=sidecar.get("VolumesKept") or (),
            timing={"tr": sidecar["RepetitionTime"]},
            runs=sidecar.get("Runs") or (),
            volumes=sidecar.get("VolumesOfRuns") or (),
        )
        write_series_page(unit, _t1w_beside(prepared), shared.files[MASK], page)

    def words(self, prepared: Sequence[Prepared]) -> Mapping[str, Sequence[str]]:
        """Say how series were prepared, denoised and judged."""
        from bidsapp.modalities.bold.words import series_words

        return series_words(prepared)


def _t1w(scan: Scan) -> Mapping[str, Any]:
    return {"t1w": scan.files["t1w"]}


def _asked(settings: BoldPreparation) -> Any:
    """Give the settings of the T1w image's normalisation."""
    return modality_named("t1w").settings(
        modality="t1w",
        template=settings.template,
        resolution=_T1W_MM,
        box=settings.box,
        speed=settings.speed,
        seed=settings.seed,
    )


def _t1w_beside(prepared: Prepared) -> Path | None:
    """Find the normalised T1w image that lies in the output folder."""
    names = prepared.names
    person = names.output_dir / f"sub-{names.entities['subject']}"
    pattern = f"anat/*_space-{names.space}_res-{_T1W_MM}_desc-preproc_T1w.nii.gz"
    found = sorted([*person.glob(pattern), *person.glob(f"ses-*/{pattern}")])
    return found[0] if found else None


MODALITY = Bold()
