"""A job array of participants, twenty at once, one job for the group level; one output folder."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bidsapp.phantom.dataset import make_phantom
from tests.cluster.queue import wait_until
from tests.integration.group_studies import table_of
from tests.integration.running import environment, image_hashes, tree, validation_errors

pytestmark = pytest.mark.timeout(1800)

COUNT = 20
# The array does these; the others come when all twenty run at the same time.
FIRST = 12
PEOPLE = [f"{number:02d}" for number in range(1, COUNT + 1)]
AGAIN = PEOPLE[:2]
DOCUMENTED = Path(__file__).parents[2] / "docs" / "how-to" / "large-studies.md"
ARRAY = """\
#!/bin/bash
#SBATCH --array=1-{count} --ntasks=1 --cpus-per-task=1 --mem=3G --time=10 --output={logs}/%a.txt
label=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "{dataset}/participants.tsv" | cut -f 1)
"{python}" -m bidsapp "{dataset}" "{out}" participant --participant-label "$label" \\
    --speed fast --skip-bids-validation
"""
# As documented, with the shell replaced by the app so that it gets the signal itself. A minute is
# the shortest limit that Slurm takes; it looks after limits every half minute.
LIMITED = """\
#!/bin/bash
#SBATCH --ntasks=1 --cpus-per-task=1 --mem=4G --time={minutes} {signal} --output={logs}/%x.txt
exec "{python}" -m bidsapp "{dataset}" "{out}" participant --participant-label {labels} \\
    --nprocs 1 --skip-bids-validation
"""
GROUP = """\
#!/bin/bash
#SBATCH --ntasks=1 --cpus-per-task=2 --mem=6G --time=20 --output={logs}/group.txt
"{python}" -m bidsapp "{dataset}" "{out}" group --recipe t1w --speed fast \\
    --outcome chronic_pain --positive 1 --variants axial \\
    --set protocol.folds=2 training.epochs=2 representation.slices=6 evaluation.baselines=[majority]
"""


def submit(script: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["sbatch", "--parsable", *arguments, str(script)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def has_ended(job: str) -> bool:
    done = subprocess.run(["squeue", "-h", "-j", job], capture_output=True, text=True, check=False)
    return done.returncode != 0 or not done.stdout.strip()


def logs_of(folder: Path) -> str:
    return "\n".join(f"{path.name}: {path.read_text()}" for path in sorted(folder.glob("*.txt")))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty people, each with a head of their own: copies that cross a fold are refused."""
    folder = tmp_path_factory.mktemp("array")
    make_phantom(folder / "dataset", participants=COUNT, resolution_mm=4)
    return folder


@pytest.fixture(scope="module")
def arrayed(place: Path) -> Path:
    """The array has ended."""
    values = {"dataset": place / "dataset", "out": place / "out", "logs": place / "logs"}
    (place / "logs").mkdir()
    for name, text in (("array", ARRAY), ("group", GROUP)):
        script = text.format(python=sys.executable, count=FIRST, **values)
        (place / f"{name}.sh").write_text(script)
    before = tree(place / "dataset")
    array = submit(place / "array.sh")
    assert wait_until(lambda: has_ended(array), 900), logs_of(place / "logs")
    assert tree(place / "dataset") == before
    return place


def whole(out: Path, count: int) -> None:
    """Assert that the folder is a valid dataset with nothing left in it that was begun."""
    assert len(image_hashes(out)) == 6 * count
    assert validation_errors(out) == (0, [])
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["GeneratedBy"][0]["Name"] == "NociCast"
    assert not [path for path in out.iterdir() if path.name.startswith(".") and path.is_dir()]
    for path in out.rglob("*.json"):
        json.loads(path.read_text())
    assert len(list(out.glob("sub-*.html"))) == count


def test_the_jobs_of_an_array_leave_a_whole_dataset(arrayed: Path) -> None:
    said = logs_of(arrayed / "logs")
    assert said.count("1 of 1 normalised: 1 pass") == FIRST, said
    whole(arrayed / "out", FIRST)


def start_all(place: Path, labels: Sequence[str]) -> list[subprocess.Popen[str]]:
    fixed = ["--speed", "fast", "--skip-bids-validation", "--nprocs", "1"]
    base = [sys.executable, "-m", "bidsapp", str(place / "dataset"), str(place / "out")]
    return [
        subprocess.Popen(
            [*base, "participant", "--participant-label", label, *fixed],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for label in labels
    ]


@pytest.fixture(scope="module")
def together(arrayed: Path) -> tuple[dict[str, str], list[str]]:
    """All twenty at once, none of what is common written yet: hashes before, and what was said."""
    out = arrayed / "out"
    before = image_hashes(out)
    for label in AGAIN:
        shutil.rmtree(out / f"sub-{label}")
    for name in ("dataset_description.json", ".bidsignore"):
        (out / name).unlink()
    shutil.rmtree(out / "work")
    running = start_all(arrayed, PEOPLE)
    said = [process.communicate(timeout=900)[0] for process in running]
    assert [process.returncode for process in running] == [0] * COUNT, said
    return before, said


def test_twenty_at_the_very_same_time(
    together: tuple[dict[str, str], list[str]], place: Path
) -> None:
    before, said = together
    assert sum("were there already" in text for text in said) == FIRST - len(AGAIN)
    after = image_hashes(place / "out")
    assert {name: after[name] for name in before} == before
    whole(place / "out", COUNT)


def test_one_job_for_the_group_level_takes_them_all(
    together: tuple[dict[str, str], list[str]], place: Path
) -> None:
    job = submit(place / "group.sh")
    assert wait_until(lambda: has_ended(job), 1200)  # as long as Slurm lets it run
    said = (place / "logs" / "group.txt").read_text()
    assert "Cohort: 20 scans, 10 positive, 10 negative; 0 excluded" in said, said
    assert len(table_of(place / "out" / "group" / "t1w" / "scores.tsv")) == COUNT
    assert validation_errors(place / "out") == (0, [])


def documented_signal(seconds: int) -> str:
    """Give the option by which the documented job is told before its limit, so many s before."""
    found = re.search(r"--signal=B:TERM@\d+", DOCUMENTED.read_text(encoding="utf-8"))
    assert found is not None
    assert "\nexec singularity" in DOCUMENTED.read_text(encoding="utf-8")
    return re.sub(r"\d+$", str(seconds), found.group())


def exit_code_of(job: str) -> str:
    done = subprocess.run(
        ["scontrol", "show", "job", job], capture_output=True, text=True, check=True
    )
    return re.findall(r"ExitCode=(\S+)", done.stdout)[0]


def test_a_job_that_is_told_of_its_limit_ends_in_words_and_goes_on(
    place: Path, tmp_path: Path
) -> None:
    """By the `--signal` of the documented job: more people than a minute has room for."""
    values = {"dataset": place / "dataset", "out": tmp_path / "out", "logs": tmp_path}
    for name, minutes, signal in (("short", 1, documented_signal(30)), ("long", 20, "")):
        text = LIMITED.format(
            python=sys.executable, labels=" ".join(PEOPLE), minutes=minutes, signal=signal, **values
        )
        (tmp_path / f"{name}.sh").write_text(text)
    job = submit(tmp_path / "short.sh")
    assert wait_until(lambda: has_ended(job), 150)
    said = (tmp_path / "short.sh.txt").read_text()
    assert "stopped by the signal TERM" in said, said
    assert "To go on, give the same command again" in said
    assert "Traceback" not in said
    assert exit_code_of(job) == "75:0"
    done = len(list((tmp_path / "out").glob("sub-*.html")))
    assert 0 < done < COUNT, said
    job = submit(tmp_path / "long.sh")
    assert wait_until(lambda: has_ended(job), 900)
    said = (tmp_path / "long.sh.txt").read_text()
    assert f"{COUNT} of {COUNT} normalised ({done} were there already): {COUNT} pass" in said, said
    assert exit_code_of(job) == "0:0"
    whole(tmp_path / "out", COUNT)
