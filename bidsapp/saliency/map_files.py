"""Names, images and sidecars of the group's maps."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.derivatives import atomic_path, write_json
from bidsapp.saliency.verdict import mark_of
from bidsapp.spaces.volume import Volume
from bidsapp.templates.template import BIDS_STANDARD

MNI = 4  # NIfTI's code of a standard space


def description_of(method: str, verdict: str = "") -> str:
    """Value of the entity ``desc``: ``gradientXInput`` of gradient_x_input, with `mark_of`."""
    head, *rest = [part for part in re.split(r"[^A-Za-z0-9]+", method) if part]
    return head + "".join(part[0].upper() + part[1:] for part in rest) + mark_of(verdict)


def label_of(name: str) -> str:
    """Make a name the value of an entity, letters and digits alone: ``truepositives``."""
    return re.sub(r"[^A-Za-z0-9]+", "", name)


@dataclass
class GroupFolder:
    """The folder of one variant's group maps; remembers what it wrote.

    Attributes
    ----------
    folder
        ``<out>/group/<label>/saliency/<variant>``.
    desc
        Value of the entity ``desc`` of every map.
    window
        Where the maps lie in the template grid.
    common
        What every sidecar says.
    stamp
        What every row of a table says of leaks; empty where there is none.
    written
        Names of the maps and their sidecars so far.
    """

    folder: Path
    desc: str
    window: Volume
    common: Mapping[str, Any]
    stamp: str = ""
    written: set[str] = field(default_factory=set)

    def write(
        self, entities: Mapping[str, str], volume: np.ndarray, sidecar: Mapping[str, Any]
    ) -> str:
        """Write one map on the full template grid with its sidecar; gives the file's name.

        Parameters
        ----------
        entities
            In the order of the name: ``{"of": "truepositives", "stat": "se"}``.
        volume
            (X, Y, Z) on the full grid.
        sidecar
            What is special to this map; ``Description`` and ``Units`` at least.
        """
        parts = [f"{key}-{label_of(value)}" for key, value in entities.items()]
        stem = "_".join(["group", *parts, f"desc-{self.desc}", "statmap"])
        name = f"{stem}.nii.gz"
        write_json(self.folder / f"{stem}.json", {**sidecar, **self.common})
        write_image(self.folder / name, volume, np.array(self.window.grid_affine))
        self.written |= {name, f"{stem}.json"}
        return name

    def forget_others(self, tables: Collection[str]) -> None:
        """Remove maps and tables that an earlier run left and this one did not write.

        Parameters
        ----------
        tables
            Names of this run's; the data dictionary of each stays.
        """
        kept = {*self.written, *(f"{Path(name).stem}.json" for name in tables), *tables}
        maps, others = self.folder.glob("group_*_statmap.*"), self.folder.glob("*.tsv")
        left = [path for path in (*maps, *others) if path.name not in kept]
        for path in left:
            path.unlink(missing_ok=True)
            if path.suffix == ".tsv":
                path.with_suffix(".json").unlink(missing_ok=True)


def write_image(
    path: Path, volume: np.ndarray, affine: np.ndarray, codes: tuple[int, int] = (MNI, MNI)
) -> None:
    """Write a float32 NIfTI image, whole or not at all.

    Parameters
    ----------
    path
        Of the image.
    volume
        (x, y, z).
    affine
        4 × 4, its voxels to RAS millimetres.
    codes
        Of sform and qform: in whose millimetres that is, the template's unless said.
    """
    import nibabel as nib

    image = nib.Nifti1Image(np.asarray(volume, np.float32), affine)
    image.header.set_xyzt_units("mm", "sec")
    for put, code in zip((image.set_sform, image.set_qform), codes, strict=True):
        put(affine, code=code)
    with atomic_path(path) as temporary:
        nib.save(image, temporary)


def space_facts(template_label: str) -> dict[str, Any]:
    """Say in which space a map is, with a reference where BIDS does not list the space."""
    if template_label in BIDS_STANDARD:
        return {"Space": template_label}
    return {"Space": template_label, "SpatialReference": f"tpl-{template_label} of TemplateFlow"}
