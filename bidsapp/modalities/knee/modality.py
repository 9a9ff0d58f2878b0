"""Knees, as other rooms meet them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsapp.contracts.home import Carry, Home, View
from bidsapp.contracts.job import Job, Shared
from bidsapp.contracts.measure import Measure
from bidsapp.contracts.modality import Modality
from bidsapp.contracts.parts import ToldParts
from bidsapp.contracts.prepared import Prepared, UnitPage
from bidsapp.contracts.product import Product
from bidsapp.contracts.scan import Scan, Source
from bidsapp.modalities.knee.anatomy import BONES
from bidsapp.modalities.knee.measures import MEASURES
from bidsapp.modalities.knee.products import PRODUCTS
from bidsapp.modalities.knee.settings import KneePreparation
from bidsapp.options import RunOptions

if TYPE_CHECKING:
    import numpy as np

    from bidsapp.contracts.space import Space


_NO_T2 = (
    "without both, run what needs no T2: a recipe with preparation.t2: false, or of morales2021 "
    "--variants compact"
)
_FOR_T2 = {"echoes": "echoes", "map": "t2_map"}
"""Values of ``t2_from`` to the source that is read."""


class Knee(Modality[KneePreparation]):
    """Knees: three bones' cartilage and shape as maps over spheres, from a label map."""

    name = "knee"
    title = "knee MRI"
    image = "knee"
    depicted = "the knee"
    sources = (
        Source("image", "anat", "T2w"),
        Source("labels", "anat", "dseg", derivatives=True),
        Source(
            "echoes",
            "anat",
            "MESE",
            many=True,
            metadata=True,
            without="with T2 maps in their place: --set preparation.t2_from=map; " + _NO_T2,
        ),
        Source(
            "t2_map",
            "anat",
            "T2map",
            metadata=True,
            anywhere=True,
            without="with MESE echoes in its place: --set preparation.t2_from=echoes; " + _NO_T2,
        ),
    )
    measures = MEASURES
    products = PRODUCTS
    settings = KneePreparation
    carries = True
    free = ("bones", "side", "t2")

    def sources_for(self, settings: Mapping[str, Any]) -> tuple[Source, ...]:
        """Leave out what T2 is not made of."""
        wanted = _FOR_T2[settings.get("t2_from", "echoes")] if settings.get("t2", False) else ""
        unread = set(_FOR_T2.values()) - {wanted}
        return tuple(one for one in self.sources if one.name not in unread)

    def told_parts(self, bids_dir: Path, settings: KneePreparation) -> ToldParts | None:
        """Tell the two knees of a visit apart; not where all are said to be of one side."""
        from bidsapp.modalities.knee.told_side import told_sides

        return told_sides(bids_dir) if settings.side == "auto" else None

    def read_part(self, text: str) -> str:
        """Give the side that a text of a table means."""
        from bidsapp.modalities.knee.side import read_side

        side = read_side(text)
        if side is None:
            raise ValueError("expected L or R (left, right)")
        return side

    def of_part(self, part: str) -> Mapping[str, str]:
        """Tell the side."""
        return {"knee_side": part}

    def part_in(self, sidecar: Mapping[str, Any]) -> str:
        """Read the side of the one knee of a visit, told or seen."""
        side = sidecar.get("KneeSide")
        return side if side in ("L", "R") else ""

    def check_scan(self, scan: Scan, settings: KneePreparation) -> None:
        """Refuse what tables and JSON files alone show to be wrong.

        A side that is told differently in two places, a label table without a bone, echoes
        without a time in seconds, a map of T2 without a unit.
        """
        from bidsapp.modalities.knee.echoes import echo_time
        from bidsapp.modalities.knee.label_map import check_table
        from bidsapp.modalities.knee.t2_map import metadata_of_map, unit_of
        from bidsapp.modalities.knee.told_side import check_told

        if settings.side == "auto":
            check_told(scan)
        for file in scan.files.get("echoes", ()):
            echo_time(file.path)
        for file in scan.files.get("t2_map", ()):
            unit_of(file.path, metadata_of_map(file))
        for file in scan.files.get("labels", ()):
            check_table(file, settings.bones)

    def products_for(self, settings: Mapping[str, Any]) -> tuple[Product, ...]:
        """Keep the files of the bones that are measured."""
        made = super().products_for(settings)
        return tuple(product for product in made if _of_bones(product.key, settings))

    def measures_for(self, settings: Mapping[str, Any]) -> tuple[Measure, ...]:
        """Keep the numbers of the bones that are measured."""
        found = super().measures_for(settings)
        return tuple(measure for measure in found if _of_bones(measure.key, settings))

    def in_short(self, quality: Mapping[str, Any]) -> str:
        """Say the mean thickness of each bone's cartilage."""
        means = ((bone, quality.get(f"{bone}_thickness_mm")) for bone in BONES)
        return ", ".join(f"{bone} {value:.2f} mm" for bone, value in means if value is not None)

    def labels(self, settings: KneePreparation, work: Path) -> Mapping[str, str]:
        """Give nothing: knees have no template."""
        return {}

    def shared(self, settings: KneePreparation, work: Path) -> Shared:
        """Say what shapes a knee's maps; nothing is made."""
        from bidsapp import __version__

        told = {**settings.plain(), "version": __version__}
        return Shared(labels={}, settings=told, files={"work": work})

    def mask(self, shared: Shared) -> Path:
        """Write a map of ones: every direction of the sphere counts."""
        import numpy as np

        from bidsapp.derivatives.atomic import make_folder
        from bidsapp.modalities.knee.anatomy import ANATOMY
        from bidsapp.modalities.knee.sphere_rays import grid_of
        from bidsapp.modalities.knee.spheres import common_sphere

        bone, pixels = shared.settings["bones"][0], int(shared.settings["pixels"])
        sphere = common_sphere(bone, grid_of(ANATOMY[bone], pixels, pixels))
        folder = shared.files["work"] / "knee"
        make_folder(folder)
        path = folder / "mask.shape.gii"
        sphere.write(path, np.ones(sphere.shape), {})
        return path

    def regions(self, space: "Space") -> Mapping[str, "np.ndarray"]:
        """Name the medial and the lateral half of a bone's map."""
        from bidsapp.modalities.knee.home import compartments
        from bidsapp.spaces.sphere import Sphere

        if not isinstance(space, Sphere) or space.label not in BONES:
            return {}
        return compartments(space)

    def views(self, label: str) -> Sequence[View]:
        """Show a bone from its joint, from the front and from both sides."""
        from bidsapp.modalities.knee.home import bone_views

        return bone_views(label) if label in BONES else ()

    def home(self, image: Path, channel: str) -> Home | None:
        """Give the surface of the bone that a channel is of."""
        from bidsapp.modalities.knee.home import home_of

        return home_of(image, channel)

    def carried(self, reference: Home, other: Home) -> Carry:
        """Match a bone with the reference knee's."""
        from bidsapp.modalities.knee.home import carried_home

        return carried_home(reference, other)

    def workflow(
        self, name: str, job: Job, shared: Shared, settings: KneePreparation, options: RunOptions
    ) -> Any:
        """Measure and write a knee in one node."""
        from bidsapp.execution.write_node import one_node
        from bidsapp.modalities.knee.write import WriteKnee

        step = WriteKnee.of(job, options, bids_dir=str(options.bids_dir))
        return one_node(name, step, 2.0)

    def write_page(
        self, prepared: Prepared, shared: Shared, bids_dir: Path, command: str, page: Path
    ) -> None:
        """Write the page of a knee anew."""
        from bidsapp.modalities.knee.page import write_knee_page

        sidecar = prepared.sidecar
        unit = UnitPage.anew(
            prepared,
            command,
            side=sidecar.get("KneeSide", ""),
            side_by=sidecar.get("KneeSideBy", ""),
        )
        write_knee_page(unit, bids_dir / prepared.source, page)

    def words(self, prepared: Sequence[Prepared]) -> Mapping[str, Sequence[str]]:
        """Say how knees were measured and judged."""
        from bidsapp.modalities.knee.words import knee_words

        return knee_words(prepared)


def _of_bones(key: str, settings: Mapping[str, Any]) -> bool:
    """Tell whether a key is of no bone, or of one that is wanted."""
    bone = key.partition("_")[0]
    return bone not in BONES or bone in settings.get("bones", BONES)


MODALITY = Knee()
