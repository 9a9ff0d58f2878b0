"""Was a knee measured right: the numbers of all bones, and a verdict with its reasons."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bidsapp.contracts.measure import judged
from bidsapp.contracts.modality import modality_named
from bidsapp.modalities.knee.anatomy import ANATOMY
from bidsapp.modalities.knee.frame import to_frame
from bidsapp.modalities.knee.label_map import LabelMap
from bidsapp.modalities.knee.whole_knee import Knee

_COPIED = (
    "seen_share",
    "two_sheets_share",
    "map_difference",
    "surface_error_mm",
    "shaft_left_mm",
    "pieces",
    "cartilage_ml",
    "t2_fitted_share",
    "t2_goodness",
)


def quality_of(labels: LabelMap, knee: Knee, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Gather the numbers of a knee and judge them.

    Returns
    -------
    dict
        The ``Quality`` block: a key a measure, ``verdict`` and ``reasons``.
    """
    block: dict[str, Any] = {}
    for bone, maps in knee.bones.items():
        facts = maps.facts
        thickness = facts["mean_thickness_mm"]
        block |= {f"{bone}_{key}": _plain(facts[key]) for key in _COPIED if key in facts}
        block[f"{bone}_thickness_mm"] = _plain(thickness)
        apart = thickness - facts["mean_thickness_normal_mm"]
        block[f"{bone}_thickness_difference_mm"] = _plain(apart)
        area = facts["plate_area_mm2"]
        block[f"{bone}_hole_share"] = _plain(facts["hole_area_mm2"] / area if area else np.nan)
        if "mean_t2_ms" in facts:
            block[f"{bone}_t2_ms"] = _plain(facts["mean_t2_ms"])
    if knee.echoes_at is not None:
        block["echoes_moved_mm"] = _plain(knee.echoes_at.moved_mm)
    block["cut_bones"] = cut_bones(labels, knee)
    block["lost_cartilages"] = list(labels.lost)
    block["unread_labels"] = list(labels.unread)
    measures = modality_named("knee").measures_for(settings)
    block = {one.key: block[one.key] for one in measures if block.get(one.key) is not None}
    verdict, reasons = judged(measures, block, [knee.side_doubt] if knee.side_doubt else [])
    return {**block, "verdict": verdict, "reasons": list(reasons)}


def cut_bones(labels: LabelMap, knee: Knee) -> list[str]:
    """Name the bones that touch the image's border elsewhere than at their shaft's end."""
    data, frame = to_frame(labels.data, labels.affine, knee.side)
    turned = LabelMap(data, frame.to_world, labels.structures)
    found = []
    for bone in knee.bones:
        mask = turned.mask(bone)
        shaft = ANATOMY[bone].shaft
        for axis in range(3):
            for end, sign in ((0, -1), (-1, 1)):
                at_shaft = shaft is not None and shaft[axis] == sign
                if not at_shaft and np.take(mask, end, axis).any() and bone not in found:
                    found.append(bone)
    return found


def _plain(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
