"""Knees of two visits: what is measured, how well maps keep it, and what it costs.

``python -m tests.benchmarks.knee [--people N] [--data FOLDER] [--table FILE]``, on manual labels
of 24 knees at two visits (knee_oai_labels), whose cartilage is known to shrink.
"""

import argparse
import os
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.errors import BadData
from bidsapp.modalities.knee.anatomy import BONES
from bidsapp.modalities.knee.bone_maps import BoneMaps
from bidsapp.modalities.knee.label_map import label_table, read_label_map
from bidsapp.modalities.knee.side import asymmetry
from bidsapp.modalities.knee.whole_knee import measure_knee

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


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
    found["volume_ml"] = maps.surface.volume / 1000
    found["asymmetry_size"] = float(np.abs(asymmetry(maps.laid.radius.reshape(224, 224))).mean())
    return found


def measured(dataset: Path, people: int) -> pd.DataFrame:
    """A row a bone, knee and visit."""
    rows = []
    for person in sorted(dataset.glob("sub-*"))[:people]:
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
            for name in ("mean_thickness_mm", "mean_thickness_normal_mm", "volume_ml")
        }
        apart = own["mean_thickness_mm"] - own["mean_thickness_normal_mm"]
        rows.append(
            {
                "bone": bone,
                "knees": len(first),
                "thinner": int((change["mean_thickness_mm"] < 0).sum()),
                "thinner_normals": int((change["mean_thickness_normal_mm"] < 0).sum()),
                "change_%": 100 * float(np.median(change["mean_thickness_mm"])),
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


def main() -> None:
    """Print what the knees say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("NOCICAST_TEST_DATA", DATA))
    )
    parser.add_argument("--people", type=int, default=5)
    parser.add_argument("--table", type=Path, help="write all rows there")
    asked = parser.parse_args()
    table = measured(asked.data / "knee_oai_labels", asked.people)
    if asked.table:
        table.to_csv(asked.table, sep="\t", index=False)
    print(told(table).round(3).to_string())
    knees = table.drop_duplicates(["person", "visit"])
    seconds = knees[["seconds_read", "seconds_measure"]]
    most = seconds.sum(axis=1).max()
    print(f"CPU seconds a knee: {seconds.mean().round(2).to_dict()}, most {most:.1f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"Peak memory: {peak:.2f} GB; sides: {knees['side_words'].str[:5].value_counts().to_dict()}"
    )


if __name__ == "__main__":
    main()
