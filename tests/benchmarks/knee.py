"""Knees of two visits: what is measured, how well maps keep it, and what it costs.

``python -m tests.benchmarks.knee [--people N] [--data FOLDER] [--table FILE]``, on manual labels
of 24 knees at two visits (knee_oai_labels), whose cartilage is known to shrink while bone stays.
Beside mean thickness stand measures that need no surface: the volume of cartilage as voxels
counted, and that over the area that it covers. Ends with 1 where a bar is missed.
"""

import argparse
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.errors import BadData
from bidsapp.modalities.knee.anatomy import BONES
from bidsapp.modalities.knee.bone_maps import BoneMaps
from bidsapp.modalities.knee.correspondence import align
from bidsapp.modalities.knee.label_map import label_table, read_label_map
from bidsapp.modalities.knee.side import asymmetry
from bidsapp.modalities.knee.surface import distance_to
from bidsapp.modalities.knee.whole_knee import measure_knee

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
THINNER, APART_MM = 0.75, 0.2
"""Share of knees that are to be thinner at the second visit (18 of 24); mm between measures."""
_BY_THE_CUT_MM = 5.0


def row_of(maps: BoneMaps) -> dict[str, float]:
    """What is compared of one bone."""
    found = dict(maps.facts)
    for name in ("thickness", "thicknessnormal"):
        values = maps.values[name]
        laid = maps.laid_of(name)
        image = laid.to_map(values)
        back = laid.to_surface(image)
        known = np.isfinite(back) & np.isfinite(values)
        seen = known & maps.laid.seen
        found[f"{name}_round_trip_mm"] = float(np.abs(back - values)[known].mean())
        found[f"{name}_round_trip_seen_mm"] = float(np.abs(back - values)[seen].mean())
        found[f"{name}_map_over_mesh"] = laid.mean(image) / maps.surface.mean(values) - 1
        found[f"{name}_raw_over_mesh"] = float(np.nanmean(image)) / maps.surface.mean(values) - 1
    found["naive_mm"] = 1000 * found["cartilage_ml"] / maps.surface.areas[maps.plate].sum()
    found["volume_ml"] = maps.surface.volume / 1000
    found["asymmetry_size"] = float(np.abs(asymmetry(maps.laid.radius.reshape(224, 224))).mean())
    return found


def moved(first: BoneMaps, second: BoneMaps) -> dict[str, float]:
    """How far a bone's surface lies from that of the first visit, after rigid alignment.

    The plane in which the shaft was cropped, and the rim by it, are left out.
    """
    reference, other = first.surface, second.surface
    turn = align(reference, other)
    points = other.points @ turn[:3, :3].T + turn[:3, 3]
    kept = np.ones(len(points), bool)
    if (shaft := first.bone.shaft) is not None:
        end = min((one @ np.asarray(shaft)).max() for one in (reference.points, points))
        kept = points @ np.asarray(shaft) < end - _BY_THE_CUT_MM
    away = distance_to(reference, points[kept])
    weights = other.areas[kept] / other.areas[kept].sum()
    order = np.argsort(away)
    worst = away[order][np.searchsorted(np.cumsum(weights[order]), 0.95)]
    return {"bone_moved_mm": float(away @ weights), "bone_moved_95_mm": float(worst)}


def measured(dataset: Path, people: int) -> pd.DataFrame:
    """A row a bone, knee and visit."""
    rows = []
    for person in sorted(dataset.glob("sub-*"))[:people]:
        first: dict[str, BoneMaps] = {}
        for path in sorted(person.rglob("*_dseg.nii.gz")):
            began = time.process_time()
            labels = read_label_map(path, label_table(path, dataset), BONES)
            read = time.process_time()
            try:
                knee = measure_knee(labels, {})
            except BadData:  # its side is asked for; those of all others are right
                knee = measure_knee(labels, {"asked": "R"})
            done = time.process_time()
            for bone, maps in knee.bones.items():
                apart = moved(first[bone], maps) if bone in first else {}
                first.setdefault(bone, maps)
                rows.append(
                    {
                        "person": person.name,
                        "visit": path.parent.parent.name,
                        "bone": bone,
                        "side": knee.side,
                        "side_words": knee.side_words,
                        "seconds_read": read - began,
                        "seconds_measure": done - read,
                        **row_of(maps),
                        **apart,
                    }
                )
            print(path.name, knee.side, f"{done - began:.1f} s", flush=True)
    return pd.DataFrame(rows)


def told(table: pd.DataFrame) -> pd.DataFrame:
    """A row a bone: what the table of all knees says."""
    rows = []
    for bone, own in table.groupby("bone", sort=False):
        first, last = (own.groupby("person").nth(place) for place in (0, -1))
        change = {
            name: last[name].to_numpy() / first[name].to_numpy() - 1
            for name in (
                *("mean_thickness_mm", "mean_thickness_normal_mm"),
                *("cartilage_ml", "naive_mm", "volume_ml"),
            )
        }
        apart = own["mean_thickness_mm"] - own["mean_thickness_normal_mm"]
        rows.append(
            {
                "bone": bone,
                "knees": len(first),
                "thinner": int((change["mean_thickness_mm"] < 0).sum()),
                "thinner_normals": int((change["mean_thickness_normal_mm"] < 0).sum()),
                "less_cartilage": int((change["cartilage_ml"] < 0).sum()),
                "thinner_naive": int((change["naive_mm"] < 0).sum()),
                "change_%": 100 * float(np.median(change["mean_thickness_mm"])),
                "cartilage_change_%": 100 * float(np.median(change["cartilage_ml"])),
                "naive_change_%": 100 * float(np.median(change["naive_mm"])),
                "bone_moved_mm": last["bone_moved_mm"].mean(),
                "bone_moved_most_mm": last["bone_moved_mm"].max(),
                "bone_moved_95_mm": last["bone_moved_95_mm"].mean(),
                "bone_change_%": 100 * float(np.median(change["volume_ml"])),
                "thickness_mm": own["mean_thickness_mm"].mean(),
                "apart_mm": apart.mean(),
                "apart_most_mm": apart.abs().max(),
                "r": own["measures_r"].mean(),
                "round_trip_mm": own["thickness_round_trip_mm"].mean(),
                "round_trip_most_mm": own["thickness_round_trip_mm"].max(),
                "round_trip_seen_mm": own["thickness_round_trip_seen_mm"].mean(),
                "round_trip_seen_most_mm": own["thickness_round_trip_seen_mm"].max(),
                "round_trip_normals_mm": own["thicknessnormal_round_trip_mm"].mean(),
                "map_over_mesh_%": 100 * own["thickness_map_over_mesh"].abs().max(),
                "map_over_mesh_median_%": 100 * own["thickness_map_over_mesh"].abs().median(),
                "raw_over_mesh_%": 100 * own["thickness_raw_over_mesh"].mean(),
                "seen_%": 100 * own["seen_share"].mean(),
                "seen_least_%": 100 * own["seen_share"].min(),
                "two_sheets_%": 100 * own["two_sheets_share"].mean(),
                "shaft_left_least_mm": own["shaft_left_mm"].min(),
            }
        )
    return pd.DataFrame(rows).set_index("bone").T


def disagreeing(table: pd.DataFrame) -> list[str]:
    """Knees whose mean thickness and voxels counted do not change in the same direction."""
    lines = []
    for (person, bone), own in table.groupby(["person", "bone"], sort=False):
        by = {
            name: 100 * (own[name].iloc[-1] / own[name].iloc[0] - 1)
            for name in ("mean_thickness_mm", "mean_thickness_normal_mm", "cartilage_ml")
        }
        if len({value < 0 for value in by.values()}) > 1 or by["mean_thickness_mm"] >= 0:
            thick, normal, volume = by.values()
            lines.append(
                f"{person} {bone}: thickness {thick:+.1f} %, along normals {normal:+.1f} %, "
                f"voxels of cartilage {volume:+.1f} %"
            )
    return lines


def bars(summary: pd.DataFrame) -> list[tuple[str, bool]]:
    """What was asked of the measures, by bone, and whether it is met."""
    found = []
    for bone in summary.columns:
        own = summary[bone]
        wanted = int(np.ceil(THINNER * own["knees"]))
        found += [
            (
                f"{bone}: thinner in {own['thinner']:.0f} of {own['knees']:.0f}, at least {wanted}",
                own["thinner"] >= wanted,
            ),
            (
                f"{bone}: the two thicknesses {abs(own['apart_mm']):.3f} mm apart, "
                f"at most {APART_MM}; r {own['r']:.2f}",
                abs(own["apart_mm"]) <= APART_MM,
            ),
        ]
    return found


def main() -> int:
    """Print what the knees say; gives 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("NOCICAST_TEST_DATA", DATA))
    )
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--table", type=Path, help="write all rows there")
    asked = parser.parse_args()
    table = measured(asked.data / "knee_oai_labels", asked.people)
    if asked.table:
        table.to_csv(asked.table, sep="\t", index=False)
    summary = told(table)
    print(summary.round(3).to_string())
    print("\nNot thinner, or not as voxels say:")
    print("\n".join(disagreeing(table)) or "none")
    knees = table.drop_duplicates(["person", "visit"])
    seconds = knees[["seconds_read", "seconds_measure"]]
    most = seconds.sum(axis=1).max()
    print(f"\n{len(knees)} knees; CPU seconds of one: {seconds.mean().round(2).to_dict()}, "
          f"most {most:.1f}")  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"Peak memory: {peak:.2f} GB; sides: {knees['side_words'].str[:5].value_counts().to_dict()}"
    )
    missed = 0
    for sentence, met in bars(summary):
        missed += not met
        print(f"{sentence}: {'met' if met else 'MISSED'}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
