"""Synthetic necks with a known answer: ``python -m bidsapp.modalities.spine.phantom FOLDER``.

Of those whom the injection does not help, the injected foramen is narrow; nothing else tells the
two groups apart. Texture, the brightness of each tissue, blur, noise and gain are drawn anew for
each person, by far more than a narrow foramen changes them: the quality numbers tell nothing.
(Balanced by pairs, one of each group, they would tell something: who knows one of a pair knows that
the other has the other outcome, so that scores without an effect fall below chance.) Images are
stored in several orders of voxels, so that only the affine tells left from right.
"""

import datetime
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.errors import CannotCreateOutput, UsageError
from bidsapp.modalities.spine.injections import Injection
from bidsapp.phantom.command import make_and_tell, phantom_parser

SHAPE = (120, 110, 8)
"""Voxels to the right, to the front and upwards."""
SIZES_MM = (0.7, 0.7, 4.0)
WIDE_MM, NARROWER_MM, SD_MM = 3.2, 1.8, 0.35
"""Half width of a foramen, by how much a narrow one falls below it, and how much people differ."""
BLUR_MM, NOISE, GAIN = (0.3, 1.2), (3.0, 12.0), (0.5, 2.0)
"""Ranges of people's blur (SD of a Gaussian), of noise (fluid is about 200), and of gain."""
TEXTURE, TEXTURE_MM = 14.0, 2.5
"""SD and size of what is each person's own in all tissues."""
FIRST_DAY = datetime.date(2013, 1, 1)
TISSUES = {
    "soft": (90.0, 12.0),
    "vertebra": (55.0, 10.0),
    "joint": (35.0, 8.0),
    "lamina": (40.0, 8.0),
    "artery": (20.0, 6.0),
    "foramen": (185.0, 15.0),
    "fluid": (215.0, 20.0),
    "cord": (120.0, 12.0),
}
"""Mean brightness of each tissue, and by how much people differ (SD)."""
_ORDERS = (
    ((0, 1, 2), (-1, 1, 1)),
    ((0, 1, 2), (1, 1, 1)),
    ((1, 2, 0), (-1, 1, 1)),
    ((0, 1, 2), (-1, -1, -1)),
)
_BOX_MM = (28.0, 28.0)


@dataclass(frozen=True)
class SyntheticNeck:
    """One person.

    Attributes
    ----------
    injection
        Level and side.
    helped
        The outcome.
    half_widths
        Half widths of the left and the right foramen, in mm.
    centre
        Of the canal, in RAS mm.
    scale, degrees
        Size against the average, and turn in the slice.
    level_mm
        Height of the injected slice.
    tissues
        Brightness of each of `TISSUES`.
    blur_mm, noise, gain
        SD of the blur and of the noise (before the gain), and what all is multiplied by.
    """

    injection: Injection
    helped: bool
    half_widths: tuple[float, float]
    centre: tuple[float, float]
    scale: float
    degrees: float
    level_mm: float
    tissues: Mapping[str, float]
    blur_mm: float = 0.0
    noise: float = 6.0
    gain: float = 1.0

    def local(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bring RAS mm (..., 3) to the canal's own: to the right and to the front."""
        x, y = points[..., 0] - self.centre[0], points[..., 1] - self.centre[1]
        angle = np.radians(self.degrees)
        return (
            (np.cos(angle) * x + np.sin(angle) * y) / self.scale,
            (np.cos(angle) * y - np.sin(angle) * x) / self.scale,
        )

    def image(self, points: np.ndarray) -> np.ndarray:
        """Intensities at RAS mm (..., 3), without noise."""
        x, y = self.local(points)
        bright = self.tissues
        tissue = np.full(x.shape, bright["soft"])
        _paint(tissue, _ellipse(x, y, 0, 17, 15, 11), bright["vertebra"])
        for side in (-1, 1):
            _paint(tissue, _ellipse(x, y, side * 21, -4, 9, 7), bright["joint"])
            _paint(tissue, _ellipse(x, y, side * 9, -11, 8, 3), bright["lamina"])
            _paint(tissue, self.foramen(x, y, side), bright["foramen"])
            _paint(tissue, _ellipse(x, y, side * 27, 13, 2.5, 2.5), bright["artery"])
        _paint(tissue, _ellipse(x, y, 0, 0, 12, 8), bright["fluid"])
        _paint(tissue, _ellipse(x, y, 0, -0.5, 6.5, 4.5), bright["cord"])
        skin = np.clip((1 - np.hypot((x + self.centre[0]) / 46, (y + 6) / 42)) * 20, 0, 1)
        return np.asarray(tissue * skin)

    def foramen(self, x: np.ndarray, y: np.ndarray, side: int, narrower: float = 0) -> np.ndarray:
        """How far a place lies in the channel of a nerve, 0 to 1; 1.5 mm soft."""
        out = x * side
        # from the edge of the canal outwards and to the front
        along = np.clip(((out - 10) * 16 + (y - 2) * 8) / (16**2 + 8**2), 0, 1)
        distance = np.hypot(out - 10 - 16 * along, y - 2 - 8 * along)
        half = self.half_widths[side > 0] - narrower
        return np.asarray(np.clip((half - distance) / 1.5 + 0.5, 0, 1))


def draw_necks(rng: np.random.Generator, participants: int, effect: float) -> list[SyntheticNeck]:
    """Draw people, half of them helped, in random order."""
    helped = rng.permutation(np.arange(participants) % 2 == 0)
    return [draw_neck(rng, bool(one), effect) for one in helped]


def draw_neck(rng: np.random.Generator, helped: bool, effect: float) -> SyntheticNeck:
    """Draw a person.

    Parameters
    ----------
    rng
        Draws.
    helped
        The outcome.
    effect
        How much of the narrowing those have who are not helped.
    """
    side = "LR"[int(rng.integers(2))]
    widths = WIDE_MM + SD_MM * rng.standard_normal(2)
    if not helped:
        widths["LR".index(side)] -= effect * NARROWER_MM
    return SyntheticNeck(
        Injection(str(rng.choice(["C5", "C6", "C7"])), side),
        helped,
        (max(float(widths[0]), 0.4), max(float(widths[1]), 0.4)),
        (float(rng.normal(0, 2.5)), float(rng.normal(0, 2.5))),
        float(rng.normal(1, 0.05)),
        float(rng.normal(0, 3)),
        float(rng.normal(0, 3)),
        {name: float(rng.normal(mean, sd)) for name, (mean, sd) in TISSUES.items()},
        float(rng.uniform(*BLUR_MM)),
        float(rng.uniform(*NOISE)),
        float(np.exp(rng.uniform(*np.log(GAIN)))),
    )


def write_phantom(
    folder: Path, participants: int = 60, effect: float = 1.0, seed: int = 0
) -> list[SyntheticNeck]:
    """Write the dataset: images, boxes, tables, and the truth beside them.

    Parameters
    ----------
    folder
        Must not be there, or be empty.
    participants
        At least 4; half of them are helped.
    effect
        1 for the whole narrowing, 0 for none.
    seed
        Of everything random.

    Raises
    ------
    UsageError, CannotCreateOutput
        Fewer people, or a folder that holds something.
    """
    if participants < 4:
        raise UsageError(f"--participants {participants}: at least 4 are needed")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotCreateOutput(f"{folder} is there already and is not empty; name another folder")
    rng = np.random.default_rng(seed)
    necks = draw_necks(rng, participants, effect)
    width = len(str(participants))
    labels = [f"{number:0{max(width, 2)}d}" for number in range(1, participants + 1)]
    for label, neck in zip(labels, necks, strict=True):
        _write_person(folder, label, neck, rng)
    _write_tables(folder, labels, necks, rng)
    _write_dates(folder, labels, rng)
    return necks


def _ellipse(x: np.ndarray, y: np.ndarray, at_x: float, at_y: float, a: float, b: float) -> Any:
    """1 inside, 0 outside, soft over about a millimetre."""
    reach = np.hypot((x - at_x) / a, (y - at_y) / b)
    return np.clip((1 - reach) * min(a, b) + 0.5, 0, 1)


def _paint(tissue: np.ndarray, share: np.ndarray, value: float) -> None:
    tissue += share * (value - tissue)


def _write_person(folder: Path, label: str, neck: SyntheticNeck, rng: np.random.Generator) -> None:
    import nibabel as nib
    from scipy.ndimage import gaussian_filter

    order, flips = _ORDERS[int(rng.integers(len(_ORDERS)))]
    shape = tuple(SHAPE[world] for world in order)
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, flip) in enumerate(zip(order, flips, strict=True)):
        affine[world, axis] = SIZES_MM[world] * flip
    affine[:3, 3] = (0, 3, neck.level_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    points = places @ affine[:3, :3].T + affine[:3, 3]
    clean = neck.image(points) * (1 + 0.002 * points[..., 0] * rng.normal())
    own = gaussian_filter(rng.normal(size=clean.shape), [TEXTURE_MM / SIZES_MM[w] for w in order])
    clean = np.maximum(clean + TEXTURE * (clean > 0) * own / own.std(), 0)
    in_plane = [0 if world == 2 else neck.blur_mm / SIZES_MM[world] for world in order]
    clean = gaussian_filter(clean, in_plane)
    real, imaginary = rng.normal(0, neck.noise, (2, *clean.shape))
    noisy = neck.gain * np.hypot(clean + real, imaginary)
    stem = f"sub-{label}_acq-axial"
    path = folder / f"sub-{label}/anat/{stem}_T2w.nii.gz"
    path.parent.mkdir(parents=True)
    image = nib.Nifti1Image(np.rint(noisy).astype(np.int16), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)
    told = {"BodyPart": "CSPINE", "MRAcquisitionType": "2D", "SliceThickness": SIZES_MM[2]}
    path.with_name(f"{stem}_T2w.json").write_text(json.dumps(told, indent=1) + "\n")
    _write_box(folder / f"derivatives/rois/sub-{label}/anat", stem, neck, affine, shape, rng)
    _write_truth(folder / f"derivatives/truth/sub-{label}/anat", stem, neck, points, affine)


def _write_box(
    folder: Path,
    stem: str,
    neck: SyntheticNeck,
    affine: np.ndarray,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> None:
    """Write the box that a reader would draw, give or take a millimetre."""
    sign = 1 if neck.injection.side == "R" else -1
    width, depth = _BOX_MM
    x = np.array([0.0, sign * width]) + neck.centre[0] + rng.normal(0, 0.7)
    y = np.array([-depth / 2 + 4, depth / 2 + 4]) + neck.centre[1] + rng.normal(0, 0.7)
    corners = np.array([[x[k], y[k], neck.level_mm] for k in (0, 1)])
    inverse = np.linalg.inv(affine)
    voxels = np.rint(corners @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    voxels = np.clip(np.sort(voxels, axis=0), 0, np.array(shape) - 1)
    up = int(np.argmax(np.abs(affine[2, :3])))
    row: list[Any] = [neck.injection.level, neck.injection.side, voxels[0, up]]
    for axis in range(3):
        row += list(voxels[:, axis]) if axis != up else []
    folder.mkdir(parents=True)
    head = "level\tside\tslice\ti0\ti1\tj0\tj1\trater"
    path = folder / f"{stem}_desc-foramen_roi.tsv"
    path.write_text(head + "\n" + "\t".join(map(str, [*row, "phantom"])) + "\n")
    told = {"IndexBase": 0, "SliceAxis": up, "ImageShape": list(shape), "BlindedToOutcome": True}
    path.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")


def _write_truth(
    folder: Path, stem: str, neck: SyntheticNeck, points: np.ndarray, affine: np.ndarray
) -> None:
    """Write where a narrow foramen differs from a wide one, on the injected side."""
    import nibabel as nib

    x, y = neck.local(points)
    side = 1 if neck.injection.side == "R" else -1
    own = neck.half_widths[side > 0]
    wide, narrow = (
        neck.foramen(x, y, side, own - half) for half in (WIDE_MM, WIDE_MM - NARROWER_MM)
    )
    folder.mkdir(parents=True)
    mask = nib.Nifti1Image((np.abs(wide - narrow) > 0.25).astype(np.uint8), affine)
    nib.save(mask, folder / f"{stem}_label-truth_mask.nii.gz")


def _write_tables(
    folder: Path, labels: list[str], necks: list[SyntheticNeck], rng: np.random.Generator
) -> None:
    head = "participant_id age sex injection_level injection_side stenosis_grade nrs_pre nrs_2mo"
    rows = [head.replace(" ", "\t")]
    for label, neck in zip(labels, necks, strict=True):
        before = 4 + int(rng.integers(6))
        left = rng.uniform(0.1, 0.45) if neck.helped else rng.uniform(0.6, 1.1)
        cells = [
            f"sub-{label}",
            int(np.clip(rng.normal(55, 11), 20, 79)),
            "MF"[int(rng.integers(2))],
            neck.injection.level,
            neck.injection.side,
            1 + int(rng.integers(2)),
            before,
            round(before * left, 1),
        ]
        rows.append("\t".join(map(str, cells)))
    (folder / "participants.tsv").write_text("\n".join(rows) + "\n")
    described = {
        "nrs_pre": {"Description": "Synthetic: pain before the injection, 0 to 10."},
        "nrs_2mo": {"Description": "Synthetic: pain two months later; halved where it helped."},
        "stenosis_grade": {"Description": "Synthetic: grade, 1 or 2; tells nothing."},
    }
    (folder / "participants.json").write_text(json.dumps(described, indent=1) + "\n")
    common = {"BIDSVersion": "1.10.0", "License": "CC0"}
    raw = {"Name": "Synthetic necks", "DatasetType": "raw", **common}
    (folder / "dataset_description.json").write_text(json.dumps(raw, indent=1) + "\n")
    for name, what in (("rois", "Boxes around foramina"), ("truth", "Where the groups differ")):
        made: dict[str, Any] = {"Name": what, "DatasetType": "derivative", **common}
        made |= {"GeneratedBy": [{"Name": "NociCast phantom"}]}
        path = folder / "derivatives" / name / "dataset_description.json"
        path.write_text(json.dumps(made, indent=1) + "\n")


def _write_dates(folder: Path, labels: list[str], rng: np.random.Generator) -> None:
    """Write when each was scanned: any day of nine years, whoever it is."""
    for label in labels:
        day = FIRST_DAY + datetime.timedelta(days=int(rng.integers(9 * 365)))
        text = f"filename\tacq_time\nanat/sub-{label}_acq-axial_T2w.nii.gz\t{day}T12:00:00\n"
        (folder / f"sub-{label}/sub-{label}_scans.tsv").write_text(text)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and write the dataset; gives the exit code."""
    parser = phantom_parser("bidsapp.modalities.spine.phantom", __doc__, 60)
    parser.add_argument("--effect", type=float, default=1.0, help="1: narrowed, 0: no effect (1)")
    given = parser.parse_args(arguments)
    return make_and_tell(
        lambda: write_phantom(given.folder, given.participants, given.effect, given.seed),
        f"{given.participants} synthetic necks: {given.folder}",
    )


if __name__ == "__main__":
    sys.exit(main())
