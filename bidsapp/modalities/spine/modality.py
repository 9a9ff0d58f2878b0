"""Necks, as other rooms meet them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bidsapp.contracts.home import Home
from bidsapp.contracts.job import Job, Shared
from bidsapp.contracts.modality import Modality
from bidsapp.contracts.placement import Placement
from bidsapp.contracts.prepared import Prepared, UnitPage
from bidsapp.contracts.scan import Scan, Source
from bidsapp.modalities.spine.measures import MEASURES
from bidsapp.modalities.spine.products import PRODUCTS
from bidsapp.modalities.spine.settings import SpinePreparation
from bidsapp.options import RunOptions

_SAME = ("acquisition", "run", "reconstruction")
MASK = "mask"
"""Name of the mask of all pictures among the shared files."""


class Spine(Modality[SpinePreparation]):
    """Axial T2w of the neck: the region of each injection."""

    name = "spine"
    title = "axial T2w MRI of the neck"
    image = "region of an injection"
    depicted = "the foramen"
    small_picture = (
        "what a network is given: from the midline at the left outwards, front on top, left ones "
        "mirrored"
    )
    sources = (
        Source("t2w", "anat", "T2w"),
        Source(
            "roi",
            "anat",
            "roi",
            {"desc": "foramen"},
            extensions=(".tsv",),
            required=False,
            same=_SAME,
            derivatives=True,
        ),
        Source(
            "foramen",
            "anat",
            "mask",
            {"label": "foramen"},
            required=False,
            same=_SAME,
            derivatives=True,
        ),
        Source(
            "cord", "anat", "mask", {"label": "cord"}, required=False, same=_SAME, derivatives=True
        ),
        Source(
            "vertebrae",
            "anat",
            "dseg",
            {"label": "vertebrae"},
            required=False,
            same=_SAME,
            derivatives=True,
        ),
    )
    measures = MEASURES
    products = PRODUCTS
    handcrafted_words = (
        "texture of the region (co-occurrence matrices, local binary patterns, moments of its "
        "intensities) and widths of what is bright where the nerve leaves the canal"
    )
    placed_words = "the box around the foramen"
    settings = SpinePreparation

    def labels(self, settings: SpinePreparation, work: Path) -> Mapping[str, str]:
        """Give the frame of the pictures; the part is a unit's own."""
        return {"space": "foramen"}

    def shared(self, settings: SpinePreparation, work: Path) -> Shared:
        """Write the mask of the pictures' common frame."""
        from bidsapp import __version__
        from bidsapp.modalities.spine.files import write_frame

        values = settings.model_dump(mode="json", exclude={"modality", "boxes_page"})
        mask = write_frame(work / "spine" / f"mask_{settings.size}.nii.gz", settings.size)
        return Shared(
            labels=self.labels(settings, work),
            settings={**values, "version": __version__},
            files={MASK: mask},
        )

    def mask(self, shared: Shared) -> Path:
        """Give the mask: all of a picture."""
        return shared.files[MASK]

    def home(self, image: Path, channel: str) -> Home | None:
        """Give the slice that a picture was cut from."""
        from bidsapp.modalities.spine.home import home_of

        return home_of(image)

    def handcrafted(self, image: Path) -> Mapping[str, float]:
        """Measure texture and widths of a region."""
        from bidsapp.modalities.spine.handcrafted import features_of

        return features_of(image)

    def placements(
        self, image: Path, pixels: int, bids_dir: Path, folder: Path
    ) -> Sequence[Placement]:
        """Make the regions of moved boxes and of other raters' boxes."""
        from bidsapp.modalities.spine.moved import placements

        return placements(image, pixels, bids_dir, folder)

    def parts(self, scan: Scan, settings: SpinePreparation) -> Sequence[str]:
        """List the injections that have a box, or are told of; one empty part where none is."""
        from bidsapp.modalities.spine.steps import parts_of

        return parts_of(scan, settings.rater or "")

    def read_part(self, text: str) -> str:
        """Give the injection that a text means, as names of files have it."""
        from bidsapp.modalities.spine.injections import read_label

        return read_label(text).in_names

    def of_part(self, part: str) -> Mapping[str, str]:
        """Tell level and side of an injection."""
        from bidsapp.modalities.spine.injections import read_label
        from bidsapp.modalities.spine.rois import LEVEL_COLUMN, SIDE_COLUMN

        injection = read_label(part)
        return {LEVEL_COLUMN: injection.level, SIDE_COLUMN: injection.side}

    def ask(self, jobs: Sequence[Job], settings: SpinePreparation, output_dir: Path) -> str:
        """Write the page on which boxes are placed that are still missing."""
        from bidsapp.modalities.spine.steps import ask_for_boxes

        return ask_for_boxes(jobs, settings, output_dir / "roi.html")

    def workflow(
        self, name: str, job: Job, shared: Shared, settings: SpinePreparation, options: RunOptions
    ) -> Any:
        """Make one node of all steps: together they take about a second."""
        from bidsapp.execution.write_node import one_node
        from bidsapp.modalities.spine.write import WriteRegion

        return one_node(name, WriteRegion.of(job, options), 1.0)

    def write_page(
        self, prepared: Prepared, shared: Shared, bids_dir: Path, command: str, page: Path
    ) -> None:
        """Write the page of a region anew from its products."""
        from bidsapp.modalities.spine.page import write_region_page

        sidecar = prepared.sidecar
        injection = {key: sidecar.get(key) for key in ("Level", "Side", "Midline")}
        space = sidecar["Space"]
        write_region_page(UnitPage.anew(prepared, command, injection=injection, space=space), page)

    def words(self, prepared: Sequence[Prepared]) -> Mapping[str, Sequence[str]]:
        """Say how regions were cut out and judged."""
        from bidsapp.modalities.spine.words import region_words

        return region_words(prepared)


MODALITY = Spine()
