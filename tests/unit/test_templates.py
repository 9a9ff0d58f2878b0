"""Templates: found without a network, laid once, never taken for another."""

import functools
import http.server
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
from importlib.resources import files
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.carry import carry_templates as carry
from bidsapp.errors import BadData, CannotCreateOutput, NoInput, UsageError
from bidsapp.templates import (
    DEFAULT,
    brain_template,
    download,
    lay_embedded,
    output_grid,
    resolve_template,
)
from bidsapp.templates.embedded import has_embedded
from bidsapp.templates.template import BIDS_STANDARD


@pytest.fixture
def empty_home(tmp_path, monkeypatch):
    """A TemplateFlow home that does not exist yet."""
    home = tmp_path / "templateflow"
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(home))
    return home


@pytest.fixture
def no_network(monkeypatch):
    """A proxy that refuses every connection."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def embedded_home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    lay_embedded(home)
    return home


@pytest.fixture
def embedded(embedded_home, empty_home):
    return resolve_template(DEFAULT, home=embedded_home)


@pytest.fixture
def six_asym(real_data, monkeypatch):
    """MNI152NLin6Asym, a template with skull and mask."""
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(real_data / "templateflow"))
    return resolve_template("MNI152NLin6Asym", home=None)


def write_image(file: Path, shape=(20, 24, 22), zoom=1.0, value=1) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    data = np.zeros(shape, dtype=np.uint8)
    data[4:-4, 4:-4, 4:-4] = value
    nib.save(nib.Nifti1Image(data, np.diag([zoom, zoom, zoom, 1])), file)
    return file


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(file.relative_to(folder)): (file.stat().st_size, file.stat().st_mtime_ns)
        for file in folder.rglob("*")
    }


# The embedded default


def test_the_default_is_found_by_templateflow_itself(embedded, embedded_home):
    asked = (
        "import templateflow.api as api\n"
        f"print(api.get('{DEFAULT}', resolution=1, desc='brain', suffix='T1w'))\n"
        f"print(api.get('{DEFAULT}', resolution=1, desc='brain', suffix='mask'))\n"
        f"print(api.get_metadata('{DEFAULT}')['Identifier'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked],
        env={**os.environ, "TEMPLATEFLOW_HOME": str(embedded_home)},
        capture_output=True,
        text=True,
        check=True,
    )
    t1w, mask, identifier = done.stdout.split()
    assert Path(t1w) == embedded.t1w
    _, expected = brain_template(embedded)
    np.testing.assert_array_equal(nib.Nifti1Image.load(mask).get_fdata(), expected.get_fdata())
    assert identifier == embedded.label == DEFAULT


def test_the_default_needs_neither_network_nor_import_nor_templateflow_home(tmp_path):
    program = (
        "import sys; from pathlib import Path; from bidsapp.templates import *\n"
        f"resolve_template(DEFAULT, home=Path({str(tmp_path / 'work')!r}))\n"
        "print(sorted({'templateflow', 'nilearn', 'bids', 'requests'} & set(sys.modules)))\n"
    )
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TEMPLATEFLOW_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    assert not home.exists()


def test_many_processes_lay_the_default_at_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(6) as pool:
        laid = pool.map(lay_embedded, [tmp_path / "home"] * 12)
    assert len(set(laid)) == 1
    lay_embedded(tmp_path / "alone")
    folders = [tmp_path / home / f"tpl-{DEFAULT}" for home in ("home", "alone")]
    together, alone = ({f.name: f.read_bytes() for f in folder.iterdir()} for folder in folders)
    assert together == alone


def test_a_truncated_copy_is_replaced(tmp_path, embedded):
    home = tmp_path / "home"
    copy = lay_embedded(home)
    copy.write_bytes(copy.read_bytes()[:1000])
    assert lay_embedded(home) == copy
    assert copy.read_bytes() == embedded.t1w.read_bytes()


def test_a_full_templateflow_home_is_not_spoilt(real_data, monkeypatch, tmp_path):
    home = real_data / "templateflow"
    before = contents(home)
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(home))
    found = resolve_template(DEFAULT, home=tmp_path)
    assert found.t1w.is_relative_to(tmp_path)
    assert contents(home) == before


def test_alone_in_an_empty_templateflow_home_the_other_names_remain(empty_home):
    found = resolve_template(DEFAULT, home=None)
    assert found.t1w.is_relative_to(empty_home)
    assert (empty_home / "tpl-MNI152NLin2009cAsym").is_dir()
    assert resolve_template(DEFAULT, home=empty_home.parent / "work").t1w == found.t1w


def test_a_home_that_cannot_be_made_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(CannotCreateOutput, match="TEMPLATEFLOW_HOME"):
        resolve_template(DEFAULT, home=None)
    assert resolve_template(DEFAULT, home=tmp_path / "work").t1w.is_file()


def test_the_default_brain(embedded):
    brain, mask = brain_template(embedded)
    assert brain.shape == (197, 233, 189)
    assert nib.aff2axcodes(brain.affine) == ("R", "A", "S")
    assert brain.get_data_dtype() == np.float32
    data, inside = brain.get_fdata(), mask.get_fdata() > 0
    assert not data[~inside].any()
    # 1.8 to 2.0 litres: the mask of this template, which includes the fluid around the brain.
    assert 1.8e6 < inside.sum() < 2.0e6
    # The grid runs from x = −98 to 98, and the template is the symmetric one.
    assert np.corrcoef(data[inside], data[::-1][inside])[0, 1] > 0.99


def test_tissue_probabilities_are_probabilities(embedded):
    grey, white = (
        nib.Nifti1Image.load(
            embedded.t1w.parent / f"tpl-{DEFAULT}_res-1_label-{label}_probseg.nii.gz"
        )
        for label in ("GM", "WM")
    )
    total = grey.get_fdata() + white.get_fdata()
    assert 0.9 < total.max() < 1.05
    assert total.min() == 0


# Any other template


def test_a_template_with_skull_gives_its_brain(six_asym):
    brain, mask = brain_template(six_asym)
    assert not six_asym.skull_stripped
    whole = nib.Nifti1Image.load(six_asym.t1w).get_fdata()
    inside = nib.Nifti1Image.load(six_asym.brain_mask).get_fdata() > 0
    np.testing.assert_array_equal(brain.get_fdata(), np.where(inside, whole, 0))
    np.testing.assert_array_equal(mask.get_fdata() > 0, inside)


def test_1_mm_is_preferred_and_2_mm_is_brought_to_it(
    six_asym, real_data, tmp_path, empty_home, no_network
):
    assert "res-01" in six_asym.t1w.name
    folder = tmp_path / "work" / "tpl-MNI152NLin6Asym"
    folder.mkdir(parents=True)
    for file in (real_data / "templateflow" / folder.name).glob("*res-02*"):
        (folder / file.name).symlink_to(file)
    coarse = resolve_template("MNI152NLin6Asym", home=tmp_path / "work")
    assert "res-02" in coarse.t1w.name

    made, _ = brain_template(coarse)
    fine, _ = brain_template(six_asym)
    np.testing.assert_allclose(made.header.get_zooms(), 1)
    at = [np.linspace(-60, 60, 25), np.linspace(-90, 60, 31), np.linspace(-40, 60, 21)]
    points = np.stack(np.meshgrid(*at, indexing="ij"), -1).reshape(-1, 3)
    values = [
        image.get_fdata()[
            tuple(
                np.rint(nib.affines.apply_affine(np.linalg.inv(image.affine), points)).T.astype(int)
            )
        ]
        for image in (made, fine)
    ]
    assert np.corrcoef(*values)[0, 1] > 0.97


def test_an_unreachable_template_says_what_to_do(tmp_path, empty_home, no_network):
    work = tmp_path / "work"
    with pytest.raises(NoInput) as caught:
        resolve_template("MNI152NLin2009cAsym", home=work)
    message = str(caught.value)
    for part in (str(empty_home), str(work), "templateflow get MNI152NLin2009cAsym", "docker"):
        assert part in message
    assert not work.exists()
    assert not empty_home.exists()


def test_a_server_that_never_answers_does_not_hold_up(
    tmp_path, empty_home, no_network, monkeypatch
):
    monkeypatch.setattr(download, "_PROBE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setattr(download, "SERVER", f"http://127.0.0.1:{mute.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with pytest.raises(NoInput, match="cannot be reached"):
            resolve_template("MNI152NLin2009cAsym", home=tmp_path / "work")


def test_an_empty_placeholder_is_not_a_template(tmp_path, empty_home, no_network):
    file = empty_home / "tpl-NKI" / "tpl-NKI_res-01_desc-brain_T1w.nii.gz"
    file.parent.mkdir(parents=True)
    file.touch()
    with pytest.raises(NoInput, match="NKI"):
        resolve_template("NKI", home=tmp_path)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Folder that a local server offers in the place of TemplateFlow's."""
    folder = tmp_path / "server"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(download, "SERVER", f"http://127.0.0.1:{running.server_port}")
        yield folder
        running.shutdown()


def test_a_template_is_downloaded_once_and_whole(server, empty_home, tmp_path, monkeypatch):
    name = "tpl-NKI/tpl-NKI_res-01_desc-brain_T1w.nii.gz"
    offered = write_image(server / name)
    found = resolve_template("NKI", home=tmp_path / "work")
    assert found.t1w == empty_home / name
    assert found.t1w.read_bytes() == offered.read_bytes()
    assert not [entry for entry in empty_home.iterdir() if entry.name.startswith(".")]
    offered.unlink()
    assert resolve_template("NKI", home=None).t1w == found.t1w


def test_a_failed_download_leaves_nothing(server, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(NoInput, match="404"):
        resolve_template("NKI", home=tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []


def test_cohorts(tmp_path, empty_home):
    folder = tmp_path / "tpl-MNIPediatricAsym" / "cohort-2"
    prefix = "tpl-MNIPediatricAsym_cohort-2_res-1"
    write_image(folder / f"{prefix}_T1w.nii.gz")
    write_image(folder / f"{prefix}_desc-brain_mask.nii.gz")
    found = resolve_template("MNIPediatricAsym:cohort-2", home=tmp_path)
    assert found.label == "MNIPediatricAsym+2"
    assert not found.standard
    assert found.reference.endswith(f"{prefix}_T1w.nii.gz")
    assert found.brain_mask == folder / f"{prefix}_desc-brain_mask.nii.gz"
    with pytest.raises(UsageError, match=r"MNIPediatricAsym:cohort-1"):
        resolve_template("MNIPediatricAsym", home=tmp_path)
    with pytest.raises(UsageError, match="no cohort 9"):
        resolve_template("MNIPediatricAsym:cohort-9", home=tmp_path)


def test_a_template_of_ones_own(tmp_path, empty_home):
    file = write_image(tmp_path / "tpl-OurLab" / "tpl-OurLab_desc-brain_T1w.nii.gz")
    found = resolve_template("OurLab", home=tmp_path)
    assert (found.t1w, found.label, found.standard) == (file, "OurLab", False)
    assert found.reference == f"templateflow:{file.relative_to(file.parents[1])}"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("MNI152Nlin2009casym", "did you mean MNI152NLin2009cAsym"),
        ("MNI152", "did you mean"),
        ("Klingon", "known are"),
        ("fsLR", "no T1-weighted volume"),
        ("MNI152NLin2009bSym", "brain mask"),
        ("MNI152NLin2009aSym:cohort-1", "it has no cohorts"),
        ("MNI152Lin:res-2", "NAME:cohort-N"),
        ("", "NAME:cohort-N"),
        ("../etc", "NAME:cohort-N"),
    ],
)
def test_a_wrong_name_is_refused(name, said, tmp_path, empty_home, no_network):
    with pytest.raises(UsageError, match=said):
        resolve_template(name, home=tmp_path)


def test_standard_names_are_those_of_the_specification():
    schema = json.loads(files("bidsschematools").joinpath("data/schema.json").read_text())
    listed = set(schema["objects"]["enums"]["_StandardTemplateCoordSys"]["enum"])
    assert listed - BIDS_STANDARD == {"fsLR"}  # a surface
    assert listed >= BIDS_STANDARD


def test_a_mask_on_another_grid_is_refused(tmp_path, empty_home):
    write_image(tmp_path / "tpl-OurLab" / "tpl-OurLab_T1w.nii.gz")
    write_image(tmp_path / "tpl-OurLab" / "tpl-OurLab_desc-brain_mask.nii.gz", zoom=2)
    found = resolve_template("OurLab", home=tmp_path)
    with pytest.raises(BadData, match="not on one grid"):
        brain_template(found)


# Grids


@pytest.mark.parametrize(("resolution", "shape"), [(1, (157, 189, 156)), (2, (79, 95, 79))])
def test_spm12_box(resolution, shape, embedded):
    grid = output_grid("spm12", resolution, embedded)
    assert grid.shape == shape
    expected = np.diag([resolution, resolution, resolution, 1.0])
    expected[:3, 3] = (-78, -112, -70)
    np.testing.assert_array_equal(grid.matrix, expected)
    assert hash(grid) == hash(output_grid("spm12", resolution, embedded))


@pytest.mark.parametrize("which", ["embedded", "six_asym"])
def test_template_box_covers_the_template(which, request):
    template = request.getfixturevalue(which)
    image = nib.as_closest_canonical(nib.Nifti1Image.load(template.t1w))
    shape, affine = output_grid("template", 1, template)
    assert shape == image.shape
    np.testing.assert_allclose(affine, image.affine)
    coarse = output_grid("template", 2, template)
    last = nib.affines.apply_affine(coarse.matrix, np.array(coarse.shape) - 1)
    end = nib.affines.apply_affine(image.affine, np.array(image.shape) - 1)
    assert np.all(last <= end)
    assert np.all(end - last < 2)


def test_an_unknown_grid_is_refused(embedded):
    with pytest.raises(UsageError, match="spm12, template"):
        output_grid("fsl", 2, embedded)
    with pytest.raises(UsageError, match="choose one of 1, 2, 3, 4, 5, 6, 8, 10"):
        output_grid("spm12", 7, embedded)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_spm12s_box_holds_the_same_brain_at_every_voxel_size(embedded, size):
    grid = output_grid("spm12", size, embedded)
    first, last = np.array([-78, -112, -70]), np.array([78, 76, 85])
    assert grid.matrix[:3, 3].tolist() == first.tolist()
    end = grid.matrix[:3, 3] + size * (np.array(grid.shape) - 1)
    assert (np.abs(end - last) < size).all()


def test_an_image_carries_the_default_and_says_what_it_does_not(
    tmp_path, monkeypatch, no_network, capfd
):
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "home"))
    assert carry([f"MNI152NLin2009cAsym {DEFAULT}"]) == 0
    assert has_embedded(tmp_path / "home")
    said = capfd.readouterr()
    assert "NOT carried: template MNI152NLin2009cAsym" in said.err
    assert resolve_template(DEFAULT, home=None).t1w.parent.parent == tmp_path / "home"
