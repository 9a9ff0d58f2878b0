"""What a whole knee costs, step by step: three bones, thickness, shape, and T2 of eight echoes.

``python -m tests.benchmarks.knee_cost [--knees N] [--data FOLDER]``, on manual labels
(knee_oai_labels) with echoes that are made here on the grid of the OAI's, 384 x 384 x 28 voxels of
.3125 x .3125 x 3 mm.
"""

import argparse
import os
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates

from bidsapp.contracts.product import OutputNames
from bidsapp.modalities.knee import bone_maps, whole_knee
from bidsapp.modalities.knee.anatomy import ANATOMY, BONES, CARTILAGES
from bidsapp.modalities.knee.derive import write_data_files
from bidsapp.modalities.knee.echoes import Echoes
from bidsapp.modalities.knee.label_map import LabelMap, label_table, read_label_map
from bidsapp.modalities.knee.products import PRODUCTS
from tests.benchmarks.knee import DATA

SHAPE, SPACING = (384, 384, 28), (0.3125, 0.3125, 3.0)
TIMES = np.arange(1, 9) * 0.01
T2_S, NOISE = 0.04, 0.02

STEPS = {
    "surface (marching cubes)": (bone_maps, "mesh_bone"),
    "thickness along normals": (bone_maps, "thickness_along_normals"),
    "thickness on skeletons": (bone_maps, "thickness_on_skeletons"),
    "onto the surface": (bone_maps, "cylinders"),
    "map over the sphere": (bone_maps, "lay_on_sphere"),
    "echoes onto the image": (whole_knee, "place_echoes"),
    "echoes at the cartilage": (whole_knee, "sample_echoes"),
    "T2 fit": (whole_knee, "fit_t2"),
}


class Clock:
    """CPU seconds of each step, by wrapping the functions that do it."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        for name, (module, function) in STEPS.items():
            setattr(module, function, self.timed(name, getattr(module, function)))

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def inner(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            found = function(*arguments, **named)
            self.spent[name] += time.process_time() - began
            return found

        return inner


def image_of(labels: LabelMap, rng: np.random.Generator) -> np.ndarray:
    """Bright cartilage, darker bone, and noise."""
    cartilage = labels.mask(*CARTILAGES)
    values = np.where(cartilage, 1.0, np.where(labels.mask(*BONES), 0.4, 0.2)).astype(np.float32)
    return values + NOISE * rng.standard_normal(values.shape, np.float32)


def echoes_of(labels: LabelMap, image: np.ndarray, rng: np.random.Generator) -> Echoes:
    """Decays of 40 ms with noise, on sagittal slices around the cartilage."""
    middle = labels.middle(ANATOMY["femur"].cartilages[0])
    assert middle is not None
    affine = np.zeros((4, 4))
    # columns run to the front, rows down, slices to the side
    affine[1, 0], affine[2, 1], affine[0, 2] = SPACING[0], -SPACING[1], SPACING[2]
    affine[:3, 3] = middle - affine[:3, :3] @ (np.array(SHAPE) / 2)
    affine[3, 3] = 1
    places = np.indices(SHAPE).reshape(3, -1).T @ affine[:3, :3].T + affine[:3, 3]
    back = np.linalg.inv(labels.affine)
    own = (places @ back[:3, :3].T + back[:3, 3]).T
    bright = map_coordinates(image, own, order=1, mode="nearest").reshape(SHAPE) + 0.5
    signals = np.empty((*SHAPE, len(TIMES)), np.float32)
    for number, seconds in enumerate(TIMES):
        decay = np.float32(np.exp(-seconds / T2_S))
        signals[..., number] = decay * bright + NOISE * rng.standard_normal(SHAPE, np.float32)
    return Echoes(signals, affine, TIMES)


def main() -> None:
    """Print seconds per step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("NOCICAST_TEST_DATA", DATA))
    )
    parser.add_argument("--knees", type=int, default=10)
    asked = parser.parse_args()
    dataset, rng, clock = asked.data / "knee_oai_labels", np.random.default_rng(0), Clock()
    totals, t2 = [], []
    read = clock.timed("reading the label map", read_label_map)
    write = clock.timed("writing", write_data_files)
    for path in sorted(dataset.rglob("*_dseg.nii.gz"))[: asked.knees]:
        given = read_label_map(path, label_table(path, dataset), BONES)
        image = image_of(given, rng)
        echoes = echoes_of(given, image, rng)
        began = time.process_time()
        labels = read(path, label_table(path, dataset), BONES)
        knee = whole_knee.measure_knee(
            labels, {"here": "R"}, None, echoes, image=(image, labels.affine)
        )
        with tempfile.TemporaryDirectory() as folder:
            names = OutputNames(Path(folder), {"subject": "01"}, {}, PRODUCTS, "anat")
            write(Path(folder), names, labels, knee)
        totals.append(time.process_time() - began)
        t2 += [maps.facts["mean_t2_ms"] for maps in knee.bones.values()]
        print(f"{path.name}: {totals[-1]:.1f} s", flush=True)
    number = len(totals)
    clock.spent["everything else"] = sum(totals) - sum(clock.spent.values())
    for name, seconds in clock.spent.items():
        print(f"{name:<26}{seconds / number:6.2f} s a knee")
    print(f"{'a whole knee':<26}{np.mean(totals):6.2f} s, most {max(totals):.2f} s (CPU)")
    print(f"mean T2 of {len(t2)} bones: {min(t2):.1f} to {max(t2):.1f} ms (made: 40)")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory: {peak:.2f} GB, the echoes' arrays among it")


if __name__ == "__main__":
    main()
