"""The image: its size, what it says of itself, and runs as anybody, without network, read-only."""

import json
import re
from pathlib import Path

import pytest

from bidsapp import __version__
from bidsapp.supply import plain_name
from tests.containers.engine import QUICK_STUDY, TIMEOUT, given_to, owners, podman, run_image
from tests.integration.group_studies import table_of
from tests.integration.running import image_hashes, tree, validation_errors

pytestmark = pytest.mark.timeout(3 * TIMEOUT, func_only=True)

ROOT = Path(__file__).resolve().parents[2]
USERS = (1000, 54321)


def inspected(image: str) -> dict:
    return json.loads(podman("image", "inspect", f"localhost/{image}"))[0]


def test_smaller_than_2_2_gigabytes(image: str) -> None:
    size = inspected(image)["Size"]
    print(f"\nimage: {size / 1e9:.2f} GB")
    assert size < 2.2e9


def test_labels_and_version(image: str) -> None:
    labels = inspected(image)["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}title"] == "NociCast"
    assert labels[f"{prefix}version"] == __version__
    assert labels[f"{prefix}licenses"] == "Apache-2.0"
    assert inspected(image)["Config"].get("User", "") == ""


@pytest.mark.parametrize("name", ["Dockerfile", "singularity/nocicast.def"])
def test_a_recipe_names_this_version_and_no_host(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"https?://", text)
    versions = re.findall(r"\b\d+\.\d+\.\d+\b", text)
    assert versions
    assert set(versions) == {__version__}


def test_help_needs_nothing(image: str) -> None:
    done = run_image("--help", mounts={})
    assert done.returncode == 0, done.stderr
    assert "--participant-label" in done.stdout


def test_without_a_tmp_the_work_folder_serves(image: str, two_people: Path, owned) -> None:  # type: ignore[no-untyped-def]
    """Docker's own --read-only leaves no /tmp that can be written."""
    out = owned("out", 1000)
    done = run_image(
        *("/data", "/out", "participant", "--participant-label", "IXI014"),
        *("--speed", "fast", "--nprocs", 1),
        mounts={"/data:ro": two_people, "/out": out},
        options="--read-only-tmpfs=false",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 normalised: 1 pass" in done.stdout
    assert "checks are missing" not in done.stderr
    assert validation_errors(out) == (0, [])


def test_the_participant_level_on_the_phantom(normalised: Path) -> None:
    assert owners(normalised) == {(1000, 1000)}
    assert len(image_hashes(normalised)) == 8 * 6
    assert validation_errors(normalised) == (0, [])
    description = json.loads((normalised / "dataset_description.json").read_text())
    container = description["GeneratedBy"][0]["Container"]
    assert container == {"Type": "docker", "Tag": f"nocicast:{__version__}"}


def test_it_says_what_it_is_made_of_and_holds_no_tools_to_build_with(image: str) -> None:
    """A compiler, package lists and caches serve those who break in, and nobody else."""
    program = (
        "import json, shutil; from importlib.metadata import distribution, distributions; "
        "from pathlib import Path; told = json.load(open('/opt/nocicast/sbom.cdx.json')); "
        "print(json.dumps([told, [(one.metadata['Name'], one.version) for one in distributions()], "
        "[name for name in ('gcc', 'cc', 'ld', 'make', 'git', 'curl') if shutil.which(name)], "
        "[str(path) for place in ('/var/lib/apt/lists', '/root/.cache', '/tmp/wheel') "
        "if Path(place).is_dir() for path in Path(place).iterdir()], "
        "sorted(Path(file).name for file in distribution('nocicast').files "
        "if 'licenses' in str(file))]))"
    )
    # as root, who alone may look into /root
    entry = "--entrypoint=/opt/nocicast/bin/python"
    done = run_image("-c", program, uid=0, mounts={}, options=entry)
    assert done.returncode == 0, done.stderr
    told, installed, tools, left, licences = json.loads(done.stdout)
    listed = {
        one["purl"]: (one["name"], one["version"]) for one in told["components"] if "purl" in one
    }
    assert {(plain_name(name), version) for name, version in installed} <= set(listed.values())
    assert any(purl.startswith("pkg:deb/debian/libc6@") for purl in listed)
    hashes = [one for one in told["components"] if one["type"] == "data"]
    assert any("MNI152NLin2009aSym" in one["name"] for one in hashes)
    assert (tools, left, licences) == ([], [], ["LICENSE", "NOTICE"])


@pytest.mark.parametrize("uid", USERS)
def test_the_group_level_on_the_phantom(normalised: Path, phantom: Path, owned, uid: int) -> None:  # type: ignore[no-untyped-def]
    out = given_to(normalised, owned("out", uid), uid)
    before = tree(phantom)
    arguments = ("/data", "/out", "group", *QUICK_STUDY, "--speed", "fast", "--nprocs", 2)
    done = run_image(*arguments, uid=uid, mounts={"/data:ro": phantom, "/out": out})
    assert done.returncode == 0, done.stdout + done.stderr
    assert tree(phantom) == before
    assert owners(out) == {(uid, uid)}
    assert len(table_of(out / "group" / "t1w" / "scores.tsv")) == 8
    assert validation_errors(out) == (0, [])


def test_two_real_people_as_either_user_with_the_same_bits(
    image: str, two_people: Path, owned
) -> None:  # type: ignore[no-untyped-def]
    before = tree(two_people)
    found = []
    for uid in USERS:
        out = owned(f"out-{uid}", uid)
        arguments = ("/data", "/out", "participant", "--nprocs", 2)
        done = run_image(*arguments, uid=uid, mounts={"/data:ro": two_people, "/out": out})
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 of 2 normalised: 2 pass" in done.stdout
        assert owners(out) == {(uid, uid)}
        assert validation_errors(out) == (0, [])
        found.append(image_hashes(out))
    assert tree(two_people) == before
    assert len(found[0]) == 12
    assert found[0] == found[1]


def test_an_output_folder_that_cannot_be_written_is_told(
    image: str, two_people: Path, owned
) -> None:  # type: ignore[no-untyped-def]
    mounts = {"/data:ro": two_people, "/out:ro": owned("out", 1000)}
    done = run_image("/data", "/out", "participant", mounts=mounts)
    assert done.returncode == 73, done.stdout + done.stderr
    assert "/out" in done.stderr
