"""The saliency of a run: what each variant's summary says, its tables, and its pictures."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bidsapp.contracts.fitted import FittedStep, stamp_text
from bidsapp.contracts.modality import modality_named
from bidsapp.errors import NociCastError
from bidsapp.intake.json_text import read_own_json
from bidsapp.recipes import Recipe
from bidsapp.reports.run.figures import Figure, keep
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.saliency_tables import (
    TableOf,
    facts_of,
    number_with_digits,
    relative,
    tables_of,
)
from bidsapp.reports.run.surface_maps import draw_on_surface, turn_on_surface
from bidsapp.reports.saliency.colour_meaning import Sides, sides_of
from bidsapp.reports.saliency.flat import flat_tiles
from bidsapp.reports.saliency.glass import glass_brain
from bidsapp.reports.saliency.grid import Stage, read_map, stage_of
from bidsapp.reports.saliency.overlays import colour_bar, colour_limits, overlay_tiles
from bidsapp.reports.saliency.payload import map_payload, stage_payload
from bidsapp.saliency.verdict import EARLIER, FAIL, NOT_RUN, PASS, UNDECIDED, verdict_of

MOST_BYTES = 7_000_000  # of maps in the page; what does not fit is linked as a file
SURFACE = ".gii"
_GLASS = "The largest value along each line of sight; sagittal seen from the right."
_SURFACE = (
    "Coloured is the tenth of the points that is largest in magnitude, but nothing below a tenth "
    "of the top."
)
_STATUS = {PASS: "pass", FAIL: "fail"}
_WORDS = {
    PASS: "The maps passed their sanity checks.",
    FAIL: "The maps failed their sanity checks: do not read anatomy out of them.",
    UNDECIDED: "The sanity checks are not decisive: these maps may show nothing that was learned.",
    NOT_RUN: "No sanity check was run: these maps may show the network's architecture alone.",
}


@dataclass(frozen=True)
class SaliencyPart:
    """What the page shows of one variant's saliency.

    Attributes
    ----------
    variant, method
        Whose maps, by which method.
    facts
        Name and value of what went into the maps.
    status, verdict, sentences
        Outcome of the sanity checks, in words.
    notes
        What else must be known, the LEAK stamps of the maps among them.
    sides
        What the colours mean.
    tiles, bar, shown
        Mosaic of the default map, its colour bar, and from which size on it is coloured.
    glass
        Glass brain, or the map on its surface from fixed sides.
    caption
        What is seen there.
    payload
        What the interactive viewer shows, as JSON; empty where nothing can be shown.
    tables
        Regions, peaks and others.
    files
        Maps that are not in the page: name and path.
    problem
        Why there are no pictures; empty where there are.
    components
        Picture of the components that the network is given, as a data URI; empty where its
        channels are no components.
    turning
        File of the map on its surface, to turn; empty where it lies on none.
    frame
        What pictures show and how they lie, in a sentence.
    """

    variant: str
    method: str
    facts: Mapping[str, str]
    status: str
    verdict: str
    sentences: list[str]
    notes: list[str]
    sides: Sides
    tiles: list[Any]
    bar: Mapping[str, Any]
    shown: str
    glass: Figure | None
    caption: str
    payload: str
    tables: list[TableOf]
    files: list[tuple[str, str]]
    problem: str = ""
    components: str = ""
    turning: str = ""
    frame: str = ""


@dataclass(frozen=True)
class SaliencySection:
    """All variants' saliency, and the template that they are shown on, as JSON."""

    parts: list[SaliencyPart]
    stage: str
    template: str


_NATIVE_ONLY = "the maps lie over people's own scans, which have no voxel in common"


def saliency_section(run: RunFiles) -> SaliencySection:
    """Read ``saliency/*/summary.json`` and what it names."""
    found = sorted(run.folder.glob("saliency/*/summary.json"))
    order = {name: place for place, name in enumerate(run.variants)}
    found.sort(key=lambda path: (path.parent.name != run.lead, order.get(path.parent.name, 99)))
    stage: Stage | None = None
    problem, left, parts = "", MOST_BYTES, []
    template = _template(run, {})
    for path in found:
        try:
            summary = read_own_json(path)
            template = template or _template(run, summary)
            own = bool(summary.get("native_only"))
            plain = "below" in summary or str(summary.get("default", "")).endswith(SURFACE)
            if stage is None and not problem and not (own or plain):
                stage, problem = _stage(run, path.parent / str(summary["default"]), summary)
        except (OSError, ValueError, KeyError, TypeError, NociCastError) as error:
            run.absent[str(path.relative_to(run.folder))] = f"cannot be read: {error}"
            continue
        lacking = _NATIVE_ONLY if own else "" if plain else problem
        part, used = _part(run, path.parent, summary, None if own else stage, lacking, left)
        left -= used
        parts.append(part)
    return SaliencySection(parts, stage_payload(stage) if stage else "", template)


def _template(run: RunFiles, summary: Mapping[str, Any]) -> str:
    """Name the template of the preparation, or that which maps were carried into."""
    if "below" in summary:
        return ""
    name = str(summary.get("variant", ""))
    recipe = _recipe(run, name)
    own = recipe.preparation.standard_space if recipe else ""
    return own or str(summary.get("template", ""))


def _recipe(run: RunFiles, variant: str) -> Recipe | None:
    """Give the recipe of a variant, where the run has one."""
    known = run.recipe.variant_names if run.recipe else ()
    return run.recipe.with_variant(variant) if run.recipe and variant in known else run.recipe


def _stage(run: RunFiles, first: Path, summary: Mapping[str, Any]) -> tuple[Stage | None, str]:
    """Lay the template under the maps; the reason where it cannot be had."""
    if run.recipe is None:
        return None, "the run has no recipe, so the template is unknown"
    if not _template(run, summary):
        return None, "the maps lie in no template's space; their files are under saliency/"
    try:
        return stage_of(_template(run, summary), read_map(first)), ""
    except (NociCastError, OSError, ValueError) as error:
        return None, str(error)


def _part(
    run: RunFiles,
    folder: Path,
    summary: Mapping[str, Any],
    stage: Stage | None,
    problem: str,
    left: int,
) -> tuple[SaliencyPart, int]:
    sanity = summary.get("sanity") or {}
    verdict = verdict_of(sanity)
    sentences = [str(text) for text in sanity.get("sentences", ())]
    if verdict == UNDECIDED != sanity.get("verdict"):
        sentences = [EARLIER, *sentences]
    variant = str(summary.get("variant", folder.name))
    tiles: list[Any] = []
    bar: dict[str, Any] = {}
    outside: list[tuple[str, str]] = []
    glass, caption, payload, shown, used, turning = None, _GLASS, "", "", 0, ""
    modality = modality_named(run.recipe.preparation.modality) if run.recipe else None
    known = {step.name: step for step in run.settings.of(variant).leaks}
    told = (str(name) for name in summary.get("leaks", ()))
    stamp = stamp_text(known.get(name, FittedStep(name, "dataset")) for name in told)
    if modality is not None and str(summary.get("default", "")).endswith(SURFACE):
        try:
            drawing, file, bar, shown = draw_on_surface(folder, summary, modality, variant, stamp)
            glass, caption = keep(run, drawing, relative(run, file.parent, file.name)), _SURFACE
            units = str(summary.get("units", ""))
            turned = turn_on_surface(run.folder / "figures", file, modality, variant, units, stamp)
            turning = relative(run, turned.parent, turned.name)
        except (NociCastError, OSError, ValueError, KeyError) as error:
            problem = str(error)
    elif "below" in summary:
        try:
            over, under = (read_map(folder / str(summary[key])) for key in ("default", "below"))
            limit, top = colour_limits(over.data)
            tiles = flat_tiles(under, over, limit, top)
            bar = colour_bar(limit, top, str(summary.get("units", "")))
            shown = number_with_digits(limit)
        except (NociCastError, OSError, ValueError, KeyError) as error:
            problem = str(error)
    elif stage is not None:
        try:
            values = stage.fit(read_map(folder / str(summary["default"])))
            limit, top = colour_limits(values)
            tiles = overlay_tiles(stage, values, limit, top)
            bar = colour_bar(limit, top, str(summary.get("units", "")))
            shown = number_with_digits(limit)
            drawing = glass_brain(stage, values, limit, top, variant, stamp)
            glass = keep(run, drawing, relative(run, folder, str(summary["default"])))
            payload, outside = _viewer(folder, summary, stage, left)
            used = len(payload)
        except (NociCastError, OSError, ValueError, KeyError) as error:
            problem = str(error)
    offered = modality.channels() if modality else {}
    given = [offered[name] for name in summary.get("channels") or () if name in offered]
    channels, own = given or list(offered.values()), _recipe(run, variant)
    part = SaliencyPart(
        variant=variant,
        method=str(summary.get("method", "")).replace("_", " "),
        facts=facts_of(summary),
        status=_STATUS.get(verdict, "warn"),
        verdict=_WORDS.get(verdict, verdict),
        sentences=sentences,
        notes=[str(text) for text in summary.get("notes", ())],
        sides=sides_of(
            str(summary.get("method", "")),
            bool(summary.get("absolute")),
            channels,
            own.representation.value_words if own else ("", ""),
        ),
        tiles=tiles,
        bar=bar,
        shown=shown,
        glass=glass,
        caption=caption,
        payload=payload,
        tables=tables_of(run, folder, summary),
        files=[(name, relative(run, folder, file)) for name, file in outside],
        problem=problem,
        components=_picture(folder / "components.png"),
        turning=turning,
        frame=modality.small_picture if modality else "",
    )
    return part, used


def _picture(path: Path) -> str:
    """Give a PNG as a data URI; nothing where there is none."""
    if not path.is_file():
        return ""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _viewer(
    folder: Path, summary: Mapping[str, Any], stage: Stage, left: int
) -> tuple[str, list[tuple[str, str]]]:
    """Collect maps for the viewer, the default first, as long as they fit; and name the rest."""
    default = str(summary["default"])
    named = {str(name): str(file) for name, file in dict(summary.get("maps") or {}).items()}
    if default not in named.values():
        named = {"default": default, **named}
    names = sorted(named, key=lambda name: named[name] != default)
    shown, outside, used = [], [], 0
    for name in names:
        path = folder / Path(named[name]).name
        if not path.is_file():
            continue
        one = map_payload(name, path, stage, str(summary.get("units", "")))
        if used + len(one["pixels"]) > left:
            outside.append((name, path.name))
            continue
        used += len(one["pixels"])
        shown.append(one)
    return _json({"maps": shown}) if shown else "", outside


def _json(content: Any) -> str:
    """JSON that can stand inside a script element, whatever texts it holds."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
