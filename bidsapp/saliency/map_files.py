"""Names, images and sidecars of the group's maps."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.space import Space
from bidsapp.saliency.verdict import mark_of
from bidsapp.templates.template import BIDS_STANDARD


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
    space
        Where the maps lie.
    common
        What every sidecar says.
    stamp
        What every row of a table says of leaks; empty where there is none.
    written
        Names of the maps and their sidecars so far.
    """

    folder: Path
    desc: str
    space: Space
    common: Mapping[str, Any]
    stamp: str = ""
    written: set[str] = field(default_factory=set)

    def write(
        self, entities: Mapping[str, str], block: np.ndarray, sidecar: Mapping[str, Any]
    ) -> str:
        """Write one map, put back into the whole, with its sidecar; gives the file's name.

        Parameters
        ----------
        entities
            In the order of the name: ``{"of": "truepositives", "stat": "se"}``.
        block
            Of the space's shape.
        sidecar
            What is special to this map; ``Description`` and ``Units`` at least.
        """
        parts = [f"{key}-{label_of(value)}" for key, value in entities.items()]
        stem = "_".join(["group", *parts, f"desc-{self.desc}", "statmap"])
        name = f"{stem}{self.space.extension}"
        self.space.write(self.folder / name, block, {**sidecar, **self.common})
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
        maps, others = self.folder.glob("group_*_statmap.*"), self.folder.glob("[!.]*.tsv")
        left = [path for path in (*maps, *others) if path.name not in kept]
        for path in left:
            path.unlink(missing_ok=True)
            if path.suffix == ".tsv":
                path.with_suffix(".json").unlink(missing_ok=True)


def space_facts(template_label: str) -> dict[str, Any]:
    """Say in which space a map is, with a reference where BIDS does not list the space."""
    if template_label in BIDS_STANDARD:
        return {"Space": template_label}
    return {"Space": template_label, "SpatialReference": f"tpl-{template_label} of TemplateFlow"}
