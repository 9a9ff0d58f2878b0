"""How alike copies of a scan are, and unrelated people.

python -m tests.benchmarks.near_duplicates OUT [OUT ...] --mask MASK
    distribution over the normalised images of output folders, one by one and together, and
    what copies, odd pairs and 1,000 people do to it
python -m tests.benchmarks.near_duplicates --copies BIDS NEW
    five altered copies of some people of a dataset, to be normalised by the participant level
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter, shift
from scipy.spatial.transform import Rotation

from bidsapp.dataset.alike_pairs import Likeness, alike_pairs
from bidsapp.dataset.near_duplicates import _Grid, _residuals, find_near_duplicates

KINDS = ("noise", "intensity", "mirror", "grid", "rescan")
Change = Callable[[np.ndarray], np.ndarray]


def images_of(out: Path) -> list[Path]:
    """Normalised images of an output folder."""
    return sorted(out.glob("sub-*/anat/*_res-2_desc-preproc_T1w.nii.gz"))


def measure(name: str, files: list[Path], mask: Path) -> Likeness | None:
    """Compare everybody and print what was found."""
    start = time.perf_counter()
    found = find_near_duplicates(files, [str(file) for file in files], mask)
    if found is None:
        return None
    print(
        f"{name:40} n {len(files):5}  median {found.median:+.3f}  spread {found.spread:.3f}  limit "
        f"{found.limit:.2f}  most alike {found.pairs[0].correlation:+.3f}  near-duplicates "
        f"{len(found.duplicates):4}  {time.perf_counter() - start:.1f} s",
        flush=True,
    )
    return found


def altered(rng: np.random.Generator) -> dict[str, Change]:
    """Ways to alter a normalised image."""

    def one_voxel(v: np.ndarray) -> np.ndarray:
        v = v.copy()
        v[40, 50, 40] += 0.001
        return v

    def cut(v: np.ndarray) -> np.ndarray:
        v = v.copy()
        v[:, :, :22] = 0
        return v

    return {
        "one voxel by .001": one_voxel,
        "noise of 5 % of the brain's largest": lambda v: v + rng.normal(0, 0.05, v.shape) * (v > 0),
        "noise of 10 %": lambda v: v + rng.normal(0, 0.1, v.shape) * (v > 0),
        "a half of it and .2": lambda v: (v / 2 + 0.2) * (v > 0),
        "square root": lambda v: np.sqrt(np.clip(v, 0, None)),
        "mirrored": lambda v: v[::-1].copy(),
        "moved by 0.7 mm": lambda v: shift(v, 0.35, order=1),
        "smoothed, 3.3 mm FWHM": lambda v: gaussian_filter(v, 0.7) * (v > 0),
        "cut off below z = -26 mm": cut,
    }


def copies_and_odd_pairs(files: list[Path], mask: Path) -> None:
    """Give the cohort an altered copy of a person, and two people who are both altered alike."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        for what, change in altered(rng).items():
            copied, odd = [], []
            for who in range(0, 8, 2):
                made = []
                for number in (who, who + 1):
                    image = nib.Nifti1Image.load(files[number])
                    values = change(np.asarray(image.dataobj, np.float32)).astype(np.float32)
                    made.append(Path(name) / f"{number}.nii")
                    nib.save(nib.Nifti1Image(values, image.affine), made[-1])
                rest = [file for k, file in enumerate(files) if k not in (who, who + 1)]
                for pair, target in (([files[who], made[0]], copied), (made, odd)):
                    both = [*rest, *pair]
                    found = find_near_duplicates(both, [str(file) for file in both], mask)
                    assert found is not None
                    target.append(found.pairs[0].correlation)
            print(
                f"{what:38} copy and original {min(copied):.3f} to {max(copied):.3f}   two people "
                f"so altered, most alike pair {max(odd):+.3f}",
                flush=True,
            )


def renormalised(files: list[Path], copies: list[Path], mask: Path) -> None:
    """Give the cohort each copy that was normalised anew, by itself."""
    grid = _Grid.of(mask)
    cohort, values = [grid.read(file) for file in files], {kind: [] for kind in KINDS}
    flagged = 0
    for copy in copies:
        read = [*cohort, grid.read(copy)]
        own = np.stack([fine for _, fine, _ in read])
        count = sum(there for _, _, there in read)
        total = sum(np.where(there, value, 0) for value, _, there in read)
        _residuals(own, grid, (total / np.maximum(count, 1)).astype(np.float32))
        found = alike_pairs(own, np.arange(len(own)), grid.mirror)
        best = found.pairs[0]
        kind = next(kind for kind in KINDS if copy.parts[-3].endswith(kind))
        original = copy.parts[-3].removesuffix(kind)
        right = best.second == len(files) and files[best.first].parts[-3] == original
        values[kind].append(best.correlation if right else float("nan"))
        flagged += len(found.duplicates) - 1
    for kind, those in values.items():
        print(
            f"normalised anew: {kind:21} {np.min(those):.3f} to {np.max(those):.3f}, median "
            f"{np.median(those):.3f}, n {len(those)}"
        )
    print(f"other pairs flagged: {flagged}", flush=True)


def many(people: int, voxels: int = 31_000) -> None:
    """Time the comparison of so many people, by numbers that are drawn."""
    rng = np.random.default_rng(0)
    own = rng.standard_normal((people, voxels), np.float32)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    start = time.perf_counter()
    alike_pairs(own, np.arange(people), np.arange(voxels)[::-1])
    print(f"{people} people: all pairs in {time.perf_counter() - start:.1f} s")


def write_copies(bids: Path, new: Path, people: int) -> None:
    """Write five copies of each of some people: what scanners and archives do to a scan."""
    rng = np.random.default_rng(0)
    for file in sorted(bids.glob("sub-*/anat/*_T1w.nii*"))[:people]:
        image = nib.Nifti1Image.load(file)
        data, who = np.asarray(image.dataobj, np.float32), file.parts[-3]
        top = np.percentile(data[data > data.mean()], 90)
        x = np.linspace(-1, 1, data.shape[0])[:, None, None]
        side = next(k for k, c in enumerate(nib.aff2axcodes(image.affine)) if c in "LR")
        again, affine = _turned(data, image.affine, (-8, 4, 6), 1.0)
        again = gaussian_filter(again, 0.5) * (
            1 - 0.3 * np.linspace(-1, 1, len(again))[:, None, None]
        )
        made = {
            "noise": (_noisy(data, 0.06 * top, rng), image.affine),
            "intensity": ((np.clip(data / top, 0, None) ** 0.8) * (1 + 0.25 * x), image.affine),
            "mirror": (np.flip(data, side), image.affine),
            "grid": _turned(data, image.affine, (12, -7, 5), 1.15),
            "rescan": (_noisy(again, 0.05 * top, rng), affine),
        }
        for kind, (values, where) in made.items():
            target = new / f"{who}{kind}" / "anat" / f"{who}{kind}_T1w.nii.gz"
            target.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(np.ascontiguousarray(values, np.float32), where), target)
    description = '{"Name": "Copies", "BIDSVersion": "1.10.0", "DatasetType": "raw"}'
    (new / "dataset_description.json").write_text(description)


def _noisy(data: np.ndarray, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Add Rician noise."""
    return np.hypot(data + rng.normal(0, sd, data.shape), rng.normal(0, sd, data.shape))


def _turned(
    data: np.ndarray, affine: np.ndarray, degrees: tuple[float, ...], zoom: float
) -> tuple[np.ndarray, np.ndarray]:
    """Lay a head otherwise into the scanner, on voxels of another size."""
    matrix = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * zoom
    shape = np.ceil(np.array(data.shape) / zoom).astype(int)
    offset = np.array(data.shape) / 2 - matrix @ (shape / 2) + 2
    turned = affine_transform(data, matrix, offset, output_shape=tuple(shape), order=3)
    return np.maximum(turned, 0), affine @ np.diag([zoom, zoom, zoom, 1])


def main() -> None:
    """Measure, or write copies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--mask", type=Path)
    parser.add_argument("--renormalised", type=Path)
    parser.add_argument("--copies", action="store_true")
    parser.add_argument("--people", type=int, default=8)
    given = parser.parse_args()
    if given.copies:
        source, target = given.folders
        write_copies(source, target, given.people)
        return
    cohorts = {str(folder): images_of(folder) for folder in given.folders}
    for name, files in cohorts.items():
        measure(name, files, given.mask)
    together = [file for files in cohorts.values() for file in files]
    if len(cohorts) > 1:
        measure("together", together, given.mask)
    for size in (5, 12):
        measure(f"the first {size}", together[:size], given.mask)
    copies_and_odd_pairs(next(iter(cohorts.values())), given.mask)
    if given.renormalised:
        renormalised(together, images_of(given.renormalised), given.mask)
    for people in (1000, 4000):
        many(people)


if __name__ == "__main__":
    main()
