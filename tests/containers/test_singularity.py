"""The image as a Singularity image: run without home, network or a writable root; its own test."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidsapp import __version__
from tests.containers.engine import QUICK_STUDY, TIMEOUT, given_to, home, run_lab
from tests.integration.running import image_hashes, tree, validation_errors

pytestmark = pytest.mark.timeout(3 * TIMEOUT, func_only=True)

DEFINITION = Path(__file__).resolve().parents[2] / "singularity" / "nocicast.def"
CONTAINED = ("--containall", "--no-home", "--net", "--network", "none")


def test_both_levels_on_the_phantom(
    sif: Path, normalised: Path, phantom: Path, tmp_path: Path
) -> None:
    """Everybody but one is normalised already; the cluster does that one with the same bits."""
    shutil.copytree(phantom, tmp_path / "data")
    given_to(normalised, tmp_path / "out", os.getuid())
    expected = image_hashes(tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "sub-03")
    os.link(sif, tmp_path / sif.name)
    before = tree(tmp_path / "data")
    for level in (("participant",), ("group", *QUICK_STUDY)):
        done = run_lab(
            *("apptainer", "run", *CONTAINED, "--bind", "data:/data:ro", "--bind", "out:/out"),
            *(f"/here/{sif.name}", "/data", "/out", *level, "--speed", "fast", "--nprocs", "2"),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert tree(tmp_path / "data") == before
    assert image_hashes(tmp_path / "out") == expected
    assert validation_errors(tmp_path / "out") == (0, [])


@pytest.fixture(scope="module")
def built(sif: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The definition built on the local image, as a folder."""
    folder = tmp_path_factory.mktemp("definition")
    shutil.copy(DEFINITION, folder)
    os.link(sif, folder / sif.name)
    arguments = ("--build-arg", "BOOTSTRAP=localimage", "--build-arg", f"BASE=/here/{sif.name}")
    done = run_lab(
        *("apptainer", "build", "--force", *arguments, "--sandbox", "/lab/from-definition"),
        "/here/nocicast.def",
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    yield folder
    shutil.rmtree(home() / "from-definition")


def test_the_definition_passes_its_own_test(built: Path) -> None:
    done = run_lab("apptainer", "test", "/lab/from-definition", cwd=built)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 normalised" in done.stdout


def test_the_definition_says_what_it_is(built: Path) -> None:
    image = "/lab/from-definition"
    labels = json.loads(run_lab("apptainer", "inspect", "--json", image, cwd=built).stdout)
    labels = labels["data"]["attributes"]["labels"]
    assert labels["org.opencontainers.image.version"] == __version__
    runs = run_lab("apptainer", "inspect", "--runscript", image, cwd=built).stdout
    assert 'exec nocicast "$@"' in runs
    assert "--containall" in run_lab("apptainer", "run-help", image, cwd=built).stdout
