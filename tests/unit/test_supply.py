"""What the app is made of: licences that fit, versions that are pinned, files that are known."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from bidsapp.errors import BadData
from bidsapp.intake.known_files import require_known
from bidsapp.supply import APP, bill_of_materials, family_of, lines, main, needed, plain_name

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("licence", "family"),
    [
        ("MIT", "permissive"),
        ("Apache-2.0 WITH LLVM-exception AND BSD-3-Clause", "permissive"),
        ("GPL-3.0-or-later OR MIT", "permissive"),
        ("(MIT OR GPL-2.0)", "permissive"),
        ("MIT AND GPL-3.0-only", "copyleft"),
        ("LGPL-3.0-or-later", "weak copyleft"),
        ("GNU Library or Lesser General Public License (LGPL)", "weak copyleft"),
        ("MPL-2.0 AND MIT", "weak copyleft"),
        ("GNU General Public License v3 (GPLv3)", "copyleft"),
        ("GNU Affero General Public License v3", "copyleft"),
        ("AGPL-3.0", "copyleft"),
        ("CC-BY-NC-4.0", "restricted"),
        ("Free for non-commercial use", "restricted"),
        ("Proprietary", "restricted"),
        ("MIT AND something else", ""),
        ("", ""),
    ],
)
def test_a_licence_is_known_by_its_name(licence: str, family: str) -> None:
    assert family_of(licence) == family


def test_everything_that_the_app_needs_may_go_together_with_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert len(lines()) > 60
    assert [one for one in lines() if not one.fits] == []
    assert main(["licences"]) == 0
    assert "torch" in capsys.readouterr().out


def test_a_licence_that_does_not_fit_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import bidsapp.supply as supply

    monkeypatch.setattr(supply, "licence_of", lambda one: "GPL-3.0-only")
    assert main(["licences"]) == 1
    assert re.search(r"not go together .*: acres, ", capsys.readouterr().err)


def test_what_is_taken_from_others_is_told_where_a_wheel_is_looked_at(tmp_path: Path) -> None:
    """`NOTICE` lies beside the licence in the wheel, and so in the image that installs it."""
    for name in ("LICENSE", "NOTICE", "README.md", "pyproject.toml", "setup.cfg"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bidsapp").mkdir()
    shutil.copy(ROOT / "bidsapp" / "__init__.py", tmp_path / "bidsapp")
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("dist/*.whl")
    with zipfile.ZipFile(wheel) as packed:
        told = {
            Path(name).name: packed.read(name).decode()
            for name in packed.namelist()
            if "/licenses/" in name
        }
    assert set(told) == {"LICENSE", "NOTICE"}
    (text,) = (file for file in distribution("deepbet").files or () if file.name == "LICENSE")
    said = " ".join(told["NOTICE"].split())
    assert " ".join(text.read_text().split()) in said
    for path in re.findall(r"bidsapp/\S+?(?=[,\s])", told["NOTICE"]):
        assert [*ROOT.glob(path)], path
    adapted = [
        path
        for path in (ROOT / "bidsapp").rglob("*.py")
        if re.search(
            r"\bMIT\b|\bBSD\b",
            path.read_text().split('"""')[1] if '"""' in path.read_text() else "",
        )
    ]
    assert adapted
    for path in adapted:
        assert str(path.relative_to(ROOT)) in told["NOTICE"], path


def test_what_the_image_is_built_from_travels_to_the_builder() -> None:
    """Everything that the Dockerfile copies from the checkout is let through, and is there."""
    let_through = [
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    copied = [
        name.rstrip("/")
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    ]
    assert {"bidsapp", "setup.cfg"} <= set(copied)
    assert [name for name in copied if name not in let_through] == []
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_every_distribution_is_pinned() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = {plain_name(n): v for n, v in re.findall(r"^([\w.-]+)==(\S+)$", text, re.M)}
    found = {name: one.version.partition("+")[0] for name, one in needed(APP).items()}
    assert {name: pins.get(name) for name in found} == found


def test_the_bill_of_materials_holds_what_is_installed_and_the_hashes_of_weights() -> None:
    told = bill_of_materials()
    json.dumps(told)
    ours = [one for one in told["components"] if one.get("purl", "").startswith("pkg:pypi/")]
    by_name = {one["name"]: one for one in ours}
    for name, one in needed(APP).items():
        assert by_name[name]["version"] == one.version
        assert by_name[name]["licenses"], name
    weights = {one["name"]: one["hashes"][0]["content"] for one in by_name["deepbet"]["components"]}
    assert {Path(name).name for name in weights} == {"model.pt", "bbox_model.pt"}
    from bidsapp.modalities.t1w.brainmask import WEIGHTS

    assert set(weights.values()) == set(WEIGHTS.values())
    refs = [one["bom-ref"] for one in told["components"] if "bom-ref" in one]
    assert len(refs) == len(set(refs))


def test_a_distribution_whose_metadata_lie_twice_on_the_path_is_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editable installation of the app is found in its checkout and in the environment."""
    for place, version in (("checkout", "0.2"), ("environment", "0.1")):
        folder = tmp_path / place / "Twice_Found.egg-info"
        folder.mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: Twice_Found\nVersion: {version}\nLicense: MIT\n"
        (folder / "PKG-INFO").write_text(text, encoding="utf-8")
    for place in ("environment", "checkout"):  # the last prepended is found first
        monkeypatch.syspath_prepend(str(tmp_path / place))
    listed = [one for one in bill_of_materials()["components"] if one["name"] == "twice-found"]
    assert [one["version"] for one in listed] == ["0.2"]


def test_weights_and_templates_are_those_that_were_tested() -> None:
    from bidsapp.modalities.t1w.brainmask import check_weights
    from bidsapp.templates.embedded import packaged

    check_weights()
    for kind in ("t1", "gm", "wm"):
        assert packaged(kind).is_file()


def test_a_file_that_was_changed_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights")
    require_known(path, hashlib.sha256(b"weights").hexdigest(), "x 1.0")
    path.write_bytes(b"weightz")
    with pytest.raises(BadData, match=r"model\.pt.*not the file .*x 1\.0.*install it again"):
        require_known(path, hashlib.sha256(b"weights").hexdigest(), "x 1.0")
