"""Which templates and files there are: TemplateFlow's list, and what lies in a home.

TemplateFlow's package carries the names of all its files (an archive of empty ones). They are read
from there, and homes are listed by name, because importing the package fills an empty home and its
index of a full one takes seconds.
"""

import math
import os
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bidsapp.intake.json_text import BadJson, parse_json
from bidsapp.intake.pointers import pointer_at

_T1W = re.compile(
    r"(?P<prefix>tpl-(?P<name>[A-Za-z0-9]+)/(?:cohort-\d+/)?tpl-(?P=name)"
    r"(?:_cohort-0*(?P<cohort>\d+))?(?:_res-0*(?P<res>\d+))?)(?P<brain>_desc-brain)?_T1w\.nii\.gz"
)


@dataclass(frozen=True)
class Candidate:
    """A T1w that could stand for a template; paths are relative to a TemplateFlow home.

    Attributes
    ----------
    t1w, mask
        The image, and its brain mask (None where the image is skull-stripped).
    cohort
        Cohort number as text, or None.
    zoom
        Voxel size in mm; NaN where nobody says.
    published
        Whether TemplateFlow's server has both files.
    """

    t1w: str
    mask: str | None
    cohort: str | None
    zoom: float
    published: bool

    @property
    def files(self) -> list[str]:
        """Everything that is needed to use it."""
        return [self.t1w, *([self.mask] if self.mask else [])]

    def located(self, file: str, homes: Iterable[Path]) -> Path | None:
        """Path of `file` in the first home that has more than an empty placeholder for it."""
        return next((home / file for home in homes if _has_content(home / file)), None)

    def missing(self, homes: list[Path]) -> list[str]:
        """Those of `files` that no home has."""
        return [file for file in self.files if self.located(file, homes) is None]

    def present(self, homes: list[Path]) -> bool:
        """Whether all `files` are on this machine."""
        return not self.missing(homes)

    def rank(self, homes: list[Path]) -> tuple[float, ...]:
        """Sort key: 1 mm, 2 mm, others by nearness to 1 mm; what is here; skull-stripped."""
        if math.isnan(self.zoom):
            preference = (3.0, 0.0)
        elif round(self.zoom, 1) in (1.0, 2.0):
            preference = (round(self.zoom, 1) - 1.0, 0.0)
        else:
            preference = (2.0, abs(math.log(self.zoom)))
        return *preference, not self.present(homes), self.mask is not None


def _has_content(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0 and pointer_at(file) is None


def templateflow_home() -> Path:
    """Where TemplateFlow keeps its files, found without importing it (that writes to the disk)."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("TEMPLATEFLOW_HOME", user_cache_dir("templateflow"))).absolute()


@cache
def _archive() -> Path | None:
    spec = find_spec("templateflow")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        file = Path(folder, "conf", "templateflow-skel.zip")
        if file.is_file():
            return file
    return None


@cache
def published_files() -> frozenset[str]:
    """Names of all files that TemplateFlow's server offers, relative to its root."""
    archive = _archive()
    if archive is None:
        return frozenset()
    with zipfile.ZipFile(archive) as opened:
        return frozenset(opened.namelist())


def names(homes: Iterable[Path]) -> set[str]:
    """Names of all templates that are published or lie in a home."""
    published = {file.split("/")[0] for file in published_files()}
    here = {folder.name for home in homes if home.is_dir() for folder in home.glob("tpl-*")}
    return {folder.removeprefix("tpl-") for folder in published | here}


def candidates(name: str, homes: list[Path]) -> list[Candidate]:
    """Give every T1w of template `name` that shows a brain alone or has a brain mask."""
    published = {file for file in published_files() if file.startswith(f"tpl-{name}/")}
    here = {
        file.relative_to(home).as_posix()
        for home in homes
        for file in (home / f"tpl-{name}").rglob("tpl-*.nii.gz")
    }
    details, _ = description(name, homes)
    found = []
    for file in sorted(published | here):
        match = _T1W.fullmatch(file)
        if not match:
            continue
        mask = None if match["brain"] else f"{match['prefix']}_desc-brain_mask.nii.gz"
        if mask and mask not in published | here:
            continue
        found.append(
            Candidate(
                t1w=file,
                mask=mask,
                cohort=match["cohort"],
                zoom=_zoom(match["res"], details),
                published={file, mask or file} <= published,
            )
        )
    return found


def _zoom(res: str | None, details: dict[str, Any]) -> float:
    """Voxel size in mm of the resolution numbered `res`."""
    sizes = {str(key).lstrip("0"): value for key, value in (details.get("res") or {}).items()}
    try:
        return float(max(sizes[res or "1"]["zooms"]))
    except (KeyError, TypeError, ValueError):
        # By TemplateFlow's custom, res-1 and res-2 are 1 and 2 mm, and one that says none is 1 mm.
        return {None: 1.0, "1": 1.0, "2": 2.0}.get(res, math.nan)


def description(name: str, homes: Iterable[Path]) -> tuple[dict[str, Any], str]:
    """Give ``template_description.json`` (empty if there is none) and the licence's text."""
    described = _text(f"tpl-{name}/template_description.json", homes)
    try:
        details = parse_json(described) if described else {}
    except BadJson:
        details = {}
    licence = _text(f"tpl-{name}/LICENSE", homes).strip() or str(details.get("License", ""))
    return details, licence


def _text(file: str, homes: Iterable[Path]) -> str:
    for home in homes:
        if _has_content(home / file):
            return (home / file).read_text(encoding="utf-8", errors="replace")
    archive = _archive()
    if archive is not None and file in published_files():
        with zipfile.ZipFile(archive) as opened:
            return opened.read(file).decode("utf-8", errors="replace")
    return ""
