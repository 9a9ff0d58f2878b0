"""How well bones are matched: real ones, deformed by known fields and drawn anew.

``python -m tests.benchmarks.knee_match [--data FOLDER] [--people N]``, on manual labels
(knee_oai_labels). Each bone is turned by some 5 degrees, resized by some 4 %, shifted and bent by a
smooth field; its triangles are other ones than the reference's. Ends with 1 where a bar is missed.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.modalities.knee.anatomy import ANATOMY, BONES
from bidsapp.modalities.knee.correspondence import match_by_direction, match_elastically
from bidsapp.modalities.knee.frame import to_frame
from bidsapp.modalities.knee.label_map import LabelMap, label_table, read_label_map
from bidsapp.modalities.knee.meshing import mesh_bone
from bidsapp.modalities.knee.surface import centre_of
from bidsapp.modalities.knee.thickness import thickness_along_normals
from tests.benchmarks.knee import DATA
from tests.unit.test_knee_correspondence import Known

FIELDS_MM = (2.0, 3.0, 4.0)
MOST_MM, MOST_S = 1.5, 10.0


def matched(path: Path, dataset: Path, seed: int) -> list[dict[str, object]]:
    """A row a bone and field, on one knee."""
    labels = read_label_map(path, label_table(path, dataset), BONES)
    data, frame = to_frame(labels.data, labels.affine, "R")
    turned = LabelMap(data, frame.to_world, labels.structures)
    spacing = np.array(frame.spacing)
    rows: list[dict[str, object]] = []
    for name in BONES:
        mask, anatomy = turned.mask(name), ANATOMY[name]
        reference, other = (mesh_bone(mask, spacing, anatomy, mm).surface for mm in (1.0, 1.15))
        cartilage = turned.mask(*anatomy.cartilages)
        plate = thickness_along_normals(cartilage, spacing, reference).covered
        for number, field in enumerate(FIELDS_MM):
            known = Known(10 * seed + number, field, centre_of(reference))
            moved, truth = other.moved(known(other.points)), known(reference.points)
            began = time.process_time()
            found = match_elastically(reference, moved, name)
            seconds = time.process_time() - began
            plain = match_by_direction(reference, moved, name)
            error, by_direction = (
                np.linalg.norm(one.points - truth, axis=1)[plate] for one in (found, plain)
            )
            rows.append(
                {
                    "bone": name,
                    "field_mm": field,
                    "median_mm": float(np.median(error)),
                    "p90_mm": float(np.percentile(error, 90)),
                    "by_direction_mm": float(np.median(by_direction)),
                    "seconds": seconds,
                }
            )
    return rows


def main() -> int:
    """Print errors and times; gives 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("NOCICAST_TEST_DATA", DATA))
    )
    parser.add_argument("--people", type=int, default=3)
    asked = parser.parse_args()
    dataset = asked.data / "knee_oai_labels"
    rows: list[dict[str, object]] = []
    for seed, person in enumerate(sorted(dataset.glob("sub-*"))[: asked.people]):
        rows += matched(sorted(person.rglob("*_dseg.nii.gz"))[0], dataset, seed)
    table = pd.DataFrame(rows)
    print(f"{asked.people} knees; error in mm over the cartilage's plate, CPU seconds of a match")
    means = table.groupby(["bone", "field_mm"], sort=False).agg(
        median=("median_mm", "mean"), most=("median_mm", "max"), p90=("p90_mm", "mean"),
        by_direction=("by_direction_mm", "mean"), seconds=("seconds", "mean"),
    )  # fmt: skip
    print(means.round(2).to_string())
    worst, slowest = table["median_mm"].max(), table["seconds"].max()
    good = bool(worst <= MOST_MM and slowest <= MOST_S)
    print(
        f"{len(table)} matches: largest median {worst:.2f} mm (at most {MOST_MM}), longest "
        f"{slowest:.1f} s (at most {MOST_S:g}): {'met' if good else 'MISSED'}"
    )
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
