"""Seconds and memory from a cold start to the list of images, on a tree of 1,000 participants.

Run as ``python -m tests.benchmarks.startup [--participants N] [--folder DIR]``.
The tree has anat, func, dwi and fmap files, all empty; each measurement is a fresh process,
its imports included.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILES = {
    "anat": ("T1w.nii.gz", "T1w.json", "T2w.nii.gz"),
    "func": ("task-rest_bold.nii.gz", "task-rest_bold.json"),
    "dwi": ("dwi.nii.gz", "dwi.bval", "dwi.bvec"),
    "fmap": ("phasediff.nii.gz", "phasediff.json", "magnitude1.nii.gz"),
}
MEASURED = """
import sys
from pathlib import Path
from types import SimpleNamespace
from bidsapp.dataset import select_images
from bidsapp.options import RunOptions
folder, wanted, database = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
options = RunOptions(
    bids_dir=folder, output_dir=folder / "out", work_dir=folder / "work",
    analysis_level="participant", participant_label=(wanted,) if wanted else (),
    bids_database_dir=Path(database) if database else None,
)
print(len(select_images(options, SimpleNamespace(datatype="anat", suffix="T1w")).choices))
"""


def make_tree(folder: Path, participants: int) -> None:
    """Write the dataset: 11 empty files for each participant."""
    folder.mkdir(parents=True)
    description = {"Name": "start-up", "BIDSVersion": "1.10.0"}
    (folder / "dataset_description.json").write_text(json.dumps(description))
    for number in range(participants):
        label = f"sub-{number:04d}"
        for datatype, names in FILES.items():
            inside = folder / label / datatype
            inside.mkdir(parents=True)
            for name in names:
                (inside / f"{label}_{name}").touch()


def measure(folder: Path, wanted: str = "", database: str = "") -> tuple[int, float, float, float]:
    """Choose images in a fresh process: images, seconds, CPU seconds, peak MB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    command = [
        sys.executable, "-c", f"{MEASURED}\nimport resource\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)",
        str(folder), wanted, database,
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    images, peak = done.stdout.split()
    return int(images), seconds, cpu, float(peak)


def main() -> None:
    """Make the tree and print one line per case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="where the tree is kept; default: temporary")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "dataset"
        if not folder.exists():
            make_tree(folder, arguments.participants)
        database = str(Path(temporary) / "database")
        print(f"{'case':<24}{'images':>8}{'seconds':>9}{'CPU s':>8}{'peak MB':>9}")
        for case, wanted, where in (
            ("all participants", "", ""),
            ("one participant", "0007", ""),
            ("making a database", "", database),
            ("reading a database", "", database),
        ):
            images, seconds, cpu, peak = measure(folder, wanted, where)
            print(f"{case:<24}{images:>8}{seconds:>9.2f}{cpu:>8.2f}{peak:>9.0f}")


if __name__ == "__main__":
    main()
