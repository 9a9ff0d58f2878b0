"""The whole of the toy: its tables, and the methods that do the work."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from bidsapp.contracts.home import Home
from bidsapp.contracts.job import Job, Shared
from bidsapp.contracts.measure import Limits, Measure
from bidsapp.contracts.modality import Modality
from bidsapp.contracts.placement import MOVED, RATER, Placement
from bidsapp.contracts.prepared import Made, Prepared
from bidsapp.contracts.product import Channel, Product
from bidsapp.contracts.scan import Scan, Source
from bidsapp.options import RunOptions
from bidsapp.recipes.preparation import Preparation

if TYPE_CHECKING:
    import numpy as np

    from bidsapp.contracts.space import Space

SHAPE = (24, 26, 24)
HALF = (12, 26)
MEASURES = (
    Measure(
        "spread",
        "Spread of the values",
        "Standard deviation of the image: an empty image has none.",
        short="Spread",
        digits=3,
        fails=Limits(low=0.001),
        advice="Choose another image with --bids-filter-file.",
        bad="low",
        scale=(0, 1),
        confound=True,
        column="Standard deviation of the image.",
    ),
    Measure(
        "unweighted",
        "No weight was given",
        "Whether the table of weights is missing.",
        kind="flag",
        column="Whether the table of weights is missing.",
    ),
)


def _image(made: Made) -> Mapping[str, Any]:
    return {
        "Description": "Half of the middle slice of a toy.",
        "Sources": list(made.sources),
        "Gain": made.settings["gain"],
        "Space": made.facts["space"],
    }


def _mask(made: Made) -> Mapping[str, Any]:
    return {"Description": "Where the toy is above 0.", "Sources": list(made.sources)}


PRODUCTS = (
    Product(
        "toy",
        "space-{space}_desc-{part}toy_PDw.nii.gz",
        _image,
        main=True,
        channel=Channel("density", "density", "the weighted PDw image", "arbitrary", (0, 1)),
    ),
    Product("where", "desc-{part}toy_mask.nii.gz", _mask, ("gain",)),
)


class ToyPreparation(Preparation):
    """Keys of the toy."""

    modality: Literal["toy_modality"] = Field(default="toy_modality", description="The toy.")
    gain: float = Field(default=1.0, description="Factor of all values.")


class Toy(Modality[ToyPreparation]):
    """Halves of the middle slice of PDw images, and a table of weights."""

    name = "toy_modality"
    title = "PDw MRI"
    image = "half of a PDw image"
    small_picture = "one half of a slice, front on top"
    sources = (
        Source("pdw", "anat", "PDw"),
        Source("weights", "anat", "weights", extensions=(".tsv",), required=False),
    )
    measures = MEASURES
    products = PRODUCTS
    settings = ToyPreparation
    placed_words = "the half"
    handcrafted_words = "brightness and spread of a half"

    def labels(self, settings: ToyPreparation, work: Path) -> Mapping[str, str]:
        """One space for everybody."""
        return {"space": "toy"}

    def shared(self, settings: ToyPreparation, work: Path) -> Shared:
        """Nothing has to be made."""
        plain = {"gain": settings.gain}
        return Shared(self.labels(settings, work), plain, files={"work": work / "toy"})

    def mask(self, shared: Shared) -> Path:
        """All but a rim."""
        import nibabel as nib
        import numpy as np

        path = shared.files["work"] / "mask.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        inside = np.zeros((*HALF, 1), np.uint8)
        inside[1:-1, 1:-1] = 1
        nib.save(nib.Nifti1Image(inside, frame().affine), path)
        return path

    def handcrafted(self, image: Path) -> Mapping[str, float]:
        """Two numbers of a half."""
        import nibabel as nib

        values = nib.Nifti1Image.load(image).get_fdata()
        return {"mean": float(values.mean()), "sd": float(values.std())}

    def placements(
        self, image: Path, pixels: int, bids_dir: Path, folder: Path
    ) -> Sequence[Placement]:
        """A half that was cut some voxels farther to the front, or by somebody else."""
        import nibabel as nib
        import numpy as np

        whole = nib.Nifti1Image.load(image)
        found = []
        for name, kind, step in (("front", MOVED, pixels), ("rater B", RATER, 0)):
            path = folder / f"{kind}_{image.name}"
            moved = np.roll(whole.get_fdata(dtype=np.float32), step, axis=1)
            nib.save(nib.Nifti1Image(moved, whole.affine), path)
            found.append(Placement(name, kind, path, {"apart_mm": 4.0 * step}))
        return found

    def parts(self, scan: Scan, settings: ToyPreparation) -> Sequence[str]:
        """Both halves of everybody."""
        return ("L", "R")

    def regions(self, space: "Space") -> Mapping[str, "np.ndarray"]:
        """The back and the front of a half."""
        import numpy as np

        rows = np.arange(HALF[1])[:, None] >= HALF[1] // 2
        front = np.broadcast_to(rows, (*HALF, 1))
        return {"back": ~front, "front": front}

    def home(self, image: Path, channel: str) -> Home | None:
        """The slice of the person's own image."""
        import json

        from bidsapp.spaces import read_space

        side = image.with_name(image.name.replace(".nii.gz", ".json"))
        own = image.with_name(image.name.replace("_space-toy", "").replace("_PDw", "_mask"))
        return Home(read_space(json.loads(side.read_text())["Space"]), own)

    def workflow(
        self, name: str, job: Job, shared: Shared, settings: ToyPreparation, options: RunOptions
    ) -> Any:
        """One node does it all."""
        from bidsapp.execution.write_node import one_node
        from tests.toy_modality.nodes import WriteToy

        return one_node(name, WriteToy.of(job, options), memory_gb=0.2)

    def write_page(
        self, prepared: Prepared, shared: Shared, bids_dir: Path, command: str, page: Path
    ) -> None:
        """Write the numbers."""
        write_page(prepared.label, prepared.quality, page)

    def words(self, prepared: Sequence[Prepared]) -> Mapping[str, Sequence[str]]:
        """Say next to nothing."""
        return {"Image processing": [f"{len(prepared)} halves of PDw images were weighted."]}


def affine() -> Any:
    """Voxel to millimetre of the toy's grid: 4 mm, around 0."""
    import numpy as np

    found = np.diag([4.0, 4.0, 4.0, 1.0])
    found[:3, 3] = -4.0 * (np.array(SHAPE) - 1) / 2
    return found


def half(part: str) -> Any:
    """Space of one half of the middle slice; the left one is mirrored."""
    from bidsapp.spaces import Slice

    rows = tuple(tuple(float(x) for x in row) for row in affine())
    first = 0 if part == "L" else HALF[0]
    return Slice(
        SHAPE, rows, 2, SHAPE[2] // 2, (first, 0), HALF, HALF, mirrored=part == "L", label="toy"
    )


def frame() -> Any:
    """Space that both halves of everybody have in common."""
    from bidsapp.spaces.slice import picture

    return picture(HALF, (4.0, 4.0), "toy")


def write_page(title: str, quality: Mapping[str, Any], page: Path) -> None:
    """Write a page with the rows of the quality table, and the places that the app fills."""
    from bidsapp.drawing.quality_table import advice, quality_rows

    rows = [
        f"<p>{html.escape(f'{r.name}: {r.value}')}</p>" for r in quality_rows(MEASURES, quality)
    ]
    steps = [f"<p>{html.escape(step)}</p>" for step in advice(MEASURES, quality)]
    filled = "".join(
        f"<!-- {name}:begin --><!-- {name}:end -->" for name in ("prediction", "cohort")
    )
    text = f"<h1>{title}</h1>{''.join(rows + steps)}{filled}"
    page.write_text(f"<!doctype html><title>{title}</title>{text}", encoding="utf-8")


MODALITY = Toy()
