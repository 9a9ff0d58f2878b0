"""``--nipype-plugin SLURM``: participants and folds as jobs, with the bits of a run without it."""

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from bidsapp.execution.slurm import sbatch_arguments
from tests.cluster.queue import queued, wait_until, watched
from tests.integration.group_studies import (
    copy_study,
    group_arguments,
    make_study,
    run_group,
    start,
    table_of,
)
from tests.integration.running import (
    Ended,
    command,
    environment,
    image_hashes,
    tree,
    validation_errors,
)

pytestmark = pytest.mark.timeout(1200)

SLURM = ("--nipype-plugin", "SLURM")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, phantom: Path) -> Path:
    """Two heads, and a third person whose image is cut short; in a folder with a blank."""
    dataset = tmp_path_factory.mktemp("plugin") / "three people"
    shutil.copytree(phantom, dataset)
    good = dataset / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    bad = dataset / "sub-03" / "anat" / "sub-03_T1w.nii.gz"
    bad.parent.mkdir(parents=True)
    bad.write_bytes(good.read_bytes()[:100_000])
    return dataset


def normalise(dataset: Path, out: Path, *arguments: object) -> Ended:
    quick = ("--speed", "fast", "--skip-bids-validation")
    return start(dataset, out, "participant", *quick, *arguments)


@pytest.fixture(scope="module")
def both(people: Path) -> tuple[Ended, Ended, set[str]]:
    """The participant level by itself and through Slurm, and what was in the queue."""
    alone = normalise(people, people.parent / "alone", "--nprocs", 1)
    with watched() as seen:
        through = normalise(people, people.parent / "through slurm", *SLURM)
    return alone, through, seen


def test_each_participant_is_a_job(both: tuple[Ended, Ended, set[str]]) -> None:
    seen = {name for name in both[2] if name.startswith("nocicast.")}
    assert len(seen) == 3, both[2]
    assert all(any(label in name for name in seen) for label in ("01", "02", "03"))


def test_one_that_fails_does_not_lose_the_others(both: tuple[Ended, Ended, set[str]]) -> None:
    alone, through, _ = both
    for ended in (alone, through):
        assert ended.code == 65, ended.said
        assert "2 of 3 normalised" in ended.stdout
        assert "sub-03: failed" in ended.stderr
    reason = [line for line in alone.stderr.splitlines() if line.startswith("sub-03: failed")]
    assert reason[0] in through.stderr


def test_images_and_transforms_are_the_same_bits(both: tuple[Ended, Ended, set[str]]) -> None:
    alone, through, _ = both
    expected = image_hashes(alone.output_dir)
    assert len(expected) == 12
    assert image_hashes(through.output_dir) == expected
    assert validation_errors(through.output_dir) == (0, [])


def test_again_through_slurm_submits_only_what_failed(
    both: tuple[Ended, Ended, set[str]], people: Path
) -> None:
    with watched() as seen:
        again = normalise(people, both[1].output_dir, *SLURM)
    assert again.code == 65
    assert "(2 were there already)" in again.stdout
    assert len([name for name in seen if name.startswith("nocicast.")]) == 1, seen


def test_a_job_that_the_cluster_ends_loses_nobody_else(phantom: Path, tmp_path: Path) -> None:
    """As a limit of time or memory does."""
    quick = ("--speed", "fast", "--skip-bids-validation")
    parts = command(phantom, tmp_path / "out", "participant", *quick, *SLURM)
    pipe = subprocess.PIPE
    with subprocess.Popen(parts, env=environment(), stdout=pipe, stderr=pipe, text=True) as app:
        try:
            assert wait_until(lambda: any("01" in name for name in queued()), 120)
            job = next(name for name in queued() if "01" in name)
            subprocess.run(["scancel", f"--name={job}"], check=True)
            said, warned = app.communicate(timeout=500)
        finally:
            app.kill()
    assert app.returncode == 75, said + warned
    assert "1 of 2 normalised" in said
    assert "sub-01: " in warned
    assert "stopped" in warned
    assert len(image_hashes(tmp_path / "out", "02")) == 6


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("group") / "study"
    make_study(folder)
    return folder


def results(ended: Ended) -> dict[str, str]:
    """Hashes of scores, metrics, fold models and maps; the loss curves."""
    assert ended.code == 0, ended.said
    run = tree(ended.output_dir / "group" / "small")
    models = {name: digest for name, digest in run.items() if name.endswith(".safetensors")}
    maps = {name: digest for name, digest in run.items() if name.endswith("_statmap.nii.gz")}
    assert sum(bool(re.search(r"fold-\d\.safetensors$", name)) for name in models) == 2
    assert maps
    losses = table_of(ended.output_dir / "group" / "small" / "history.tsv")
    losses = losses.drop(columns=["seconds"]).to_csv()
    return (
        models
        | maps
        | {"losses": losses}
        | {name: run[name] for name in ("scores.tsv", "metrics.tsv")}
    )


def test_folds_are_jobs_with_the_same_bits(study: Path, tmp_path: Path) -> None:
    few = ("--set", "saliency.permutations=20")
    fresh = copy_study(study, tmp_path / "study")
    alone = start(*group_arguments(study, *few, maps=True))
    with watched() as seen:
        through = start(*group_arguments(fresh, *few, *SLURM, maps=True))
    assert results(through) == results(alone)
    assert {"nocicast.base_r0_f0", "nocicast.base_r0_f1"} <= seen


def test_an_interrupted_run_takes_its_jobs_back(study: Path, tmp_path: Path) -> None:
    fresh = copy_study(study, tmp_path / "study")
    arguments = ("--set", "training.epochs=2000", "--run-label", "long", *SLURM)
    parts = command(*group_arguments(fresh, *arguments))
    with subprocess.Popen(parts, env=environment(), stderr=subprocess.PIPE, text=True) as app:
        try:
            assert wait_until(lambda: any("base_r0" in name for name in queued()), 120)
            app.send_signal(signal.SIGTERM)
            _, said = app.communicate(timeout=60)
        finally:
            app.kill()
    assert app.returncode == 75, said
    assert "To go on, give the same command again" in said
    assert wait_until(lambda: not any("base_r0" in name for name in queued()), 60)


def test_what_slurm_refuses_is_told(study: Path, tmp_path: Path) -> None:
    fresh = copy_study(study, tmp_path / "study")
    (tmp_path / "arguments.yaml").write_text("sbatch_args: --partition=nowhere\n")
    given = ("--nipype-plugin-args", tmp_path / "arguments.yaml", "--run-label", "refused")
    ended = run_group(fresh, *SLURM, *given)
    assert ended.code == 1
    assert "sbatch did not take the job" in ended.stderr
    assert "nowhere" in ended.stderr or "partition" in ended.stderr


@pytest.mark.parametrize("given", ["", "--time=5", "--mem=1G", "-n1 --mem-per-cpu=500M"])
def test_what_is_added_to_the_user_s_arguments_is_what_sbatch_takes(given: str) -> None:
    words = f"{given} {sbatch_arguments(given, cpus=1, mem_gb=1.0)}".split()
    command = ["sbatch", "--test-only", *words, "--wrap=true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
