"""Time and memory of each part of a run against the number of people, and the exponent.

Run as ``python -m tests.benchmarks.scale [--people N ...]``: each part in a process of its own, on
synthetic tables and tiny images, so that what is measured is what grows with the number of people
and not what an image costs. The exponent is that of a power law between the two largest numbers
(1 is linear; n log n is 1.1 between 1,000 and 10,000). Ends with 1 where a part grows faster than
n log n, or a page takes more than 2 s to open, both of the clock and of CPU: a busy machine makes
the one longer, several processes at once the other.
"""

import argparse
import gzip
import json
import math
import re
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np

SIZES = (1000, 5000, 10000)
STEEPEST = 1.25
"""n log n between the two largest sizes is 1.11; the rest is what a busy machine adds."""
OPENS_S = 2.0
Timed = Callable[[], object]


def _index(folder: Path, people: int) -> Timed:
    from bidsapp.dataset import select_images
    from bidsapp.options import RunOptions
    from tests.benchmarks.startup import make_tree

    make_tree(folder / "bids", people)
    options = RunOptions(
        bids_dir=folder / "bids",
        output_dir=folder / "out",
        work_dir=folder / "work",
        analysis_level="participant",
    )
    return lambda: select_images(options, SimpleNamespace(datatype="anat", suffix="T1w"))


def _tiny(path: Path, number: int, affine: np.ndarray) -> None:
    """Write an image of 60 voxels that is nobody else's, without a library's ceremony."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 3, 4, 5, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 16, 32)
    struct.pack_into("<8f", header, 76, 1, 2, 2, 2, 1, 1, 1, 1)
    struct.pack_into("<3f", header, 108, 352, 1, 0)
    struct.pack_into("<2h", header, 252, 1, 1)
    struct.pack_into("<12f", header, 280, *affine[:3].ravel())
    header[344:348] = b"n+1\0"
    values = np.random.default_rng(number).random(60, np.float32)
    path.write_bytes(gzip.compress(bytes(header) + values.tobytes(), 1))


def _cohort(folder: Path, people: int) -> Timed:
    from tests.unit.cohort_trees import SPACE, build

    bids = folder / "bids"
    bids.mkdir(parents=True)
    (bids / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    lines = ["participant_id\tchronic\tage\tsex\tsite"]
    sidecar = json.dumps({"Quality": {"verdict": "pass", "reasons": []}})
    for number in range(people):
        who = f"sub-{number:05d}"
        (bids / who).mkdir()
        lines.append(
            f"{who}\t{number % 2}\t{20 + number % 50}\t{'FM'[number // 2 % 2]}\t{number % 9}"
        )
        anat = folder / "out" / who / "anat"
        anat.mkdir(parents=True)
        stem = f"{who}_space-{SPACE}_res-2_desc"
        for part in (0, 1):
            name = ("preproc_T1w", "logjacobian_statmap")[part]
            _tiny(anat / f"{stem}-{name}.nii.gz", 2 * number + part, np.diag([2.0, 2, 2, 1]))
        (anat / f"{stem}-preproc_T1w.json").write_text(sidecar)
    (bids / "participants.tsv").write_text("\n".join(lines) + "\n")
    return lambda: build(folder, channels=("t1w", "log_jacobian"))


def _near_duplicates(folder: Path, people: int) -> Timed:
    from bidsapp.dataset.alike_pairs import alike_pairs

    voxels = 31000  # of a brain on the grid of 4 mm that is compared
    own = np.random.default_rng(0).standard_normal((people, voxels), np.float32)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    mirror = np.arange(voxels)[::-1].copy()
    return lambda: alike_pairs(own, np.arange(people), mirror)


def _table(people: int):  # type: ignore[no-untyped-def]
    import pandas as pd

    who = [f"sub-{i:05d}" for i in range(people)]
    family = [f"family-{i // 3}" for i in range(people)]
    outcome = np.random.default_rng(0).integers(0, 2, people)
    return pd.DataFrame(
        {"participant_id": who, "session_id": "n/a", "group": family, "outcome": outcome}
    )


def _splits(folder: Path, people: int) -> Timed:
    from bidsapp.recipes import load_recipe
    from bidsapp.training.splits import make_splits
    from bidsapp.training.splits_file import read_splits

    protocol = load_recipe("attias2025").protocol
    table = _table(people)

    def work() -> object:
        made = make_splits(table, protocol, grouped=True)
        made.insert(0, "variant", "base")
        made.to_csv(folder / "splits.tsv", sep="\t", index=False)
        return read_splits(folder / "splits.tsv", table, ["base"])

    return work


def _array(folder: Path, people: int) -> Timed:
    from bidsapp.representation.cohort_array import build_cohort_array
    from tests.unit.synthetic_cohort import small_recipe, write_cohort

    rows, _ = write_cohort(folder / "images", n=people, shape=(14, 16, 14))
    wanted = small_recipe().representation
    return lambda: build_cohort_array(rows, wanted, folder / "arrays")


def _run(folder: Path, people: int) -> Path:
    from tests.unit.group_pages import finished_run

    columns = {"age": [20 + 7 * i % 41 for i in range(people)], "sex": ["F", "M"] * (people // 2)}
    return finished_run(
        folder / "group" / "attias2025", variants=("axial",), covariates=columns, n=people
    )


def _evaluation(folder: Path, people: int) -> Timed:
    from bidsapp.evaluation.evaluate import evaluate

    run = _run(folder, people)
    return lambda: evaluate(run)


def _permutation(folder: Path, people: int) -> Timed:
    import pandas as pd

    from bidsapp.evaluation.permutation import permute_outcomes
    from tests.unit.evaluation_runs import write_run

    run = write_run(folder, n=people, variants=("axial",))
    scores = pd.read_csv(run / "scores.tsv", sep="\t", keep_default_na=False)
    return lambda: permute_outcomes(scores, 1000, np.random.default_rng(0))


def _report(folder: Path, people: int) -> Timed:
    from bidsapp.reports.group_report import write_group_report

    run = _run(folder, people)
    return lambda: write_group_report(run)


def _quality(folder: Path, people: int) -> Timed:
    from bidsapp.reports.cohort_pages import after_run
    from tests.unit.finished_trees import leave_sidecar

    rng, picture = np.random.default_rng(0), b""
    for number in range(people):
        quality = {"ncc": round(rng.normal(0.83, 0.01), 4)}
        sidecar = leave_sidecar(folder, f"sub-{number:05d}", quality=quality)
        picture = picture or _picture(folder, sidecar.with_suffix(".nii.gz"))
        figures = sidecar.parents[1] / "figures"
        figures.mkdir(exist_ok=True)
        name = sidecar.name.replace("preproc_T1w.json", "quality_thumbnail.jpg")
        (figures / name).write_bytes(picture)
    return lambda: after_run(folder, {}, [])


def _picture(folder: Path, image: Path) -> bytes:
    """Thumbnail of the template, as large as those of real people are."""
    import nibabel as nib

    from bidsapp.derivatives.finished import finished_images
    from bidsapp.drawing.thumbnails import thumbnail, thumbnail_path
    from bidsapp.templates.embedded import packaged

    brain = nib.Nifti1Image.load(packaged("t1"))
    nib.save(brain.slicer[::2, ::2, ::2], image)
    (found,) = finished_images(folder)
    thumbnail(found.names, "cd" * 32)
    return thumbnail_path(found.names).read_bytes()


PARTS: dict[str, Callable[[Path, int], Timed]] = {
    "index of the dataset": _index,
    "cohort": _cohort,
    "near-duplicates": _near_duplicates,
    "splits": _splits,
    "array": _array,
    "evaluation": _evaluation,
    "1,000 permutations": _permutation,
    "report.html": _report,
    "quality.html": _quality,
}
PAGES = {"report.html": "group/attias2025/report.html", "quality.html": "quality.html"}


def one(part: str, people: int, folder: Path) -> None:
    """Measure a part in this process: CPU seconds, and the peak of memory in MB."""
    work = PARTS[part](folder, people)
    began = time.process_time()
    work()
    print(json.dumps({"cpu": time.process_time() - began, "peak": peak_mb()}))


def peak_mb() -> float:
    """Largest resident memory of this process so far, that of who started it not counted."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024


def measured(part: str, people: int) -> tuple[float, float, str, float]:
    """CPU seconds and peak MB of a part, in a process of its own; its page, and how it opens."""
    with tempfile.TemporaryDirectory() as name:
        words = ["--one", part, "--people", str(people), "--folder", name]
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.scale", *words],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{part}, {people}: {done.stderr[-3000:]}")
        found = json.loads(done.stdout.splitlines()[-1])
        return found["cpu"], found["peak"], *_page(part, Path(name))


def _page(part: str, folder: Path) -> tuple[str, float]:
    """Words about the page that a part wrote, and seconds that Chromium needs to load it."""
    from tests.benchmarks.report import opening
    from tests.unit import chromium

    if part not in PAGES:
        return "", 0.0
    page = folder / PAGES[part]
    size = f"{page.stat().st_size / 1e6:.1f} MB"
    if chromium.missing():
        return f"{size}, opening not measured: {chromium.missing()}", 0.0
    waited, spent = opening(page)
    return f"{size}, opens in {waited:.2f} s, {spent:.2f} CPU s", min(waited, spent)


def main() -> int:
    """Print a line for each part and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.people[0], given.folder)
        return 0
    sizes, met = sorted(given.people), True
    heads = "".join(f"{f'{n:,}':>20}" for n in sizes)
    print(f"{'CPU s / peak MB':<22}{heads}  exponent")
    for part in given.parts:
        found = [measured(part, people) for people in sizes]
        cells = "".join(f"{f'{cpu:.2f} / {peak:.0f}':>20}" for cpu, peak, *_ in found)
        told = ""
        if len(sizes) > 1:
            steep = math.log(found[-1][0] / found[-2][0]) / math.log(sizes[-1] / sizes[-2])
            told = f"  {steep:.2f}"
            met = met and (found[-1][0] < 1 or steep <= STEEPEST)
        print(f"{part:<22}{cells}{told}", flush=True)
        if found[-1][2]:
            print(f"  at {sizes[-1]:,}: {found[-1][2]}", flush=True)
            met = met and found[-1][3] <= OPENS_S
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
