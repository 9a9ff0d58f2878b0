"""Files without their content: what they are is said, and what to run, wherever one is read."""

import hashlib
import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidsapp.dataset.filters import read_bids_filters
from bidsapp.dataset.tables import read_dataset_tables, read_table
from bidsapp.dataset.validation import find_validator, validate_dataset
from bidsapp.errors import InvalidDataset, NoInput
from bidsapp.intake.pointers import pointer_at, require_content
from bidsapp.modalities.t1w.reading import read_head
from bidsapp.networks.bundle import load_bundle
from bidsapp.networks.bundle_files import FORMAT, MANIFEST, METADATA, MODELS, RECIPE
from bidsapp.networks.weights import require_weights
from bidsapp.recipes import load_recipe
from bidsapp.recipes.network import Network
from bidsapp.saliency.atlas import resolve_atlas
from bidsapp.spaces.volume import volume
from bidsapp.templates.catalogue import candidates
from tests.unit.cohort_trees import build, normalise, reasons, save, study
from tests.unit.dataset_trees import chosen, make, select

KEY = "MD5E-s8421376--0123456789abcdef0123456789abcdef.nii.gz"
OBJECTS = f".git/annex/objects/xX/yY/{KEY}/{KEY}"
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 8421376\n"
TEXTS = {
    "annex unlocked": (f"/annex/objects/{KEY}\n", "git-annex"),
    "annex, no line end": (f"/annex/objects/{KEY}", "git-annex"),
    "annex, Windows": (f"/annex/objects/{KEY}\r\n", "git-annex"),
    "annex link as text": (f"../../{OBJECTS}", "git-annex"),
    "annex link with backslashes": (f"..\\..\\{OBJECTS}".replace("/", "\\"), "git-annex"),
    "annex link in a submodule": (f"../../.git/modules/raw/{OBJECTS[5:]}", "git-annex"),
    "lfs": (LFS, "git-lfs"),
    "lfs, Windows": (LFS.replace("\n", "\r\n"), "git-lfs"),
    "lfs, older": (LFS.replace("git-lfs.github", "hawser.github"), "git-lfs"),
}


def link(path: Path, target: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    return path


@pytest.mark.parametrize("name", TEXTS)
def test_each_kind_is_known(name: str, tmp_path: Path) -> None:
    text, kind = TEXTS[name]
    path = tmp_path / "sub-01_T1w.nii.gz"
    path.write_bytes(text.encode())
    pointer = pointer_at(path)
    assert pointer is not None
    assert pointer.kind == kind
    with pytest.raises(NoInput) as caught:
        require_content(path)
    command = "git lfs pull" if kind == "git-lfs" else "datalad get sub-01_T1w.nii.gz"
    assert str(caught.value).startswith(f"{path} is a {kind} pointer: its content is not here")
    assert f"`{command}`" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"participant_id\tage\nsub-01\t3\n",
        b"path\t../.git/annex/objects/a\n",
        b"version: 3\n",
        b'{"version": "https://git-lfs.github.com/spec/v1"}',
        b"see /annex/objects/ for more\n",
        b"\x1f\x8b" + bytes(100),
        b"/annex/objects/key" + bytes(40_000),
    ],
)
def test_what_holds_its_content_is_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert pointer_at(path) is None


@given(st.binary(max_size=60))
def test_no_content_is_a_pointer_by_chance(content: bytes) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        assert pointer_at(Path(file.name)) is None


def test_what_is_not_there_or_no_file_is_none(tmp_path: Path) -> None:
    assert pointer_at(tmp_path / "none") is None
    assert pointer_at(tmp_path) is None
    assert pointer_at(link(tmp_path / "loop", "loop")) is None
    os.mkfifo(tmp_path / "pipe")
    assert pointer_at(tmp_path / "pipe") is None  # and does not wait for it


def test_links(tmp_path: Path) -> None:
    annexed = link(tmp_path / "sub-01" / "a b.nii.gz", f"../{OBJECTS}")
    (tmp_path / ".git").mkdir()
    assert pointer_at(annexed).advice == (  # type: ignore[union-attr]
        "is a link to a file that is not here; fetch it with `datalad get 'sub-01/a b.nii.gz'` "
        f"(or git annex get) in {tmp_path}"
    )
    plain = link(tmp_path / "sub-01" / "plain.nii.gz", "/elsewhere/head.nii.gz")
    advice = pointer_at(plain).advice  # type: ignore[union-attr]
    assert "link to a file that is not there (/elsewhere/head.nii.gz)" in advice
    assert "container" in advice
    whole = tmp_path / OBJECTS
    whole.parent.mkdir(parents=True)
    whole.write_bytes(b"content")
    assert pointer_at(annexed) is None


@pytest.mark.parametrize("text", [TEXTS["annex unlocked"][0], LFS])
def test_an_image_without_content_is_refused_before_any_work(text: str, tmp_path: Path) -> None:
    root = make(tmp_path / "study", "sub-01_T1w.nii.gz", "sub-02_T1w.nii.gz")
    path = root / "sub-02" / "anat" / "sub-02_T1w.nii.gz"
    path.write_text(text)
    selection = select(root)
    assert chosen(selection) == ["sub-01_T1w.nii.gz"]
    (refusal,) = selection.refusals
    assert refusal.error is NoInput
    assert refusal.reason.startswith("sub-02/anat/sub-02_T1w.nii.gz is a git-")
    with pytest.raises(NoInput, match="its content is not here"):
        read_head(path)


@pytest.mark.parametrize("table", ["participants.tsv", "sub-01/sub-01_sessions.tsv"])
@pytest.mark.parametrize("text", [TEXTS["annex unlocked"][0], LFS, None])
def test_a_table_without_content_is_no_empty_table(
    table: str, text: str | None, tmp_path: Path
) -> None:
    root = make(tmp_path / "study", "sub-01_T1w.nii.gz")
    if text is None:
        link(root / table, f"../{OBJECTS}")
    else:
        (root / table).write_text(text)
    with pytest.raises(NoInput, match=r"is not here; fetch it with `(datalad get|git lfs pull)"):
        read_dataset_tables(root)


def test_a_phenotype_table_without_content_is_told_when_it_is_asked_for(tmp_path: Path) -> None:
    root = make(tmp_path / "study", "sub-01_T1w.nii.gz")
    (root / "phenotype").mkdir()
    (root / "phenotype" / "pain.tsv").write_text(LFS)
    tables, (why,) = read_dataset_tables(root)
    assert not tables
    assert "pain.tsv is a git-lfs pointer" in why
    with pytest.raises(NoInput, match="git-lfs pointer"):
        read_table(root / "phenotype" / "pain.tsv")


@pytest.mark.skipif(find_validator() is None, reason="bids-validator-deno is not installed")
def test_what_was_not_fetched_is_no_fault_of_the_dataset(tmp_path: Path) -> None:
    root = tmp_path / "study"
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    image.header.set_xyzt_units("mm", "sec")
    make(root, "sub-01_T1w.nii.gz", "sub-02_T1w.nii.gz", "sub-03_T1w.nii.gz")
    nib.save(image, root / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    link(root / "sub-02" / "anat" / "sub-02_T1w.nii.gz", f"../../{OBJECTS}")
    (root / "sub-03" / "anat" / "sub-03_T1w.nii.gz").write_text(TEXTS["annex unlocked"][0])
    link(root / "participants.json", OBJECTS)
    note = validate_dataset(root).note
    assert "could not check 3 of the files, as their content is not here: " in note
    assert "`datalad get " in note
    # a fault of another file is one all the same
    (root / "sub-01" / "anat" / "sub-01_T1w.json").write_text("{")
    with pytest.raises(InvalidDataset, match="JSON_INVALID") as caught:
        validate_dataset(root)
    assert "sub-02" not in str(caught.value)


def test_a_description_without_content(tmp_path: Path) -> None:
    for text in (TEXTS["annex unlocked"][0], LFS):
        root = make(tmp_path / text[:7].strip("/"), "sub-01_T1w.nii.gz", description=text)
        with pytest.raises(NoInput, match="content is not here; fetch it with"):
            select(root)


@pytest.mark.parametrize("what", ["image", "sidecar", "mask"])
@pytest.mark.parametrize("own", [True, False])
def test_derivatives_without_content_leave_out_their_person_alone(
    what: str, own: bool, tmp_path: Path
) -> None:
    study(tmp_path / "bids", "participant_id chronic\n1 1\n2 0\n3 1\n4 0\n")
    root = tmp_path / ("out" if own else "site")
    for number in (1, 2, 3, 4):
        image = normalise(root, f"sub-{number}", number)
        mask = image.with_name(image.name.replace("preproc_T1w", "brain_mask"))
        save(mask, 1, np.uint8)
    files = {"image": image, "mask": mask, "sidecar": image.with_name(f"{image.name[:-7]}.json")}
    link(files[what], f"../../{OBJECTS}")
    cohort = build(tmp_path, derivatives={} if own else {"site": root})
    if own and what == "mask":  # nothing reads the person's own mask
        assert reasons(cohort) == {}
        return
    assert cohort.table["participant_id"].tolist() == ["sub-1", "sub-2", "sub-3"]
    assert reasons(cohort) == {"sub-4": "content not fetched"}
    assert "fetch it with `datalad get" in cohort.exclusions["detail"][0]


def test_a_model_without_content(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / MANIFEST).write_text(LFS)
    with pytest.raises(NoInput, match="git lfs pull"):
        load_bundle(tmp_path)
    names = [str(RECIPE), str(METADATA), str(MODELS), "fold.safetensors"]
    files = {name: hashlib.sha256(LFS.encode()).hexdigest() for name in names}
    (tmp_path / MANIFEST).write_text(json.dumps({"format": FORMAT, "files": files}))
    (tmp_path / "fold.safetensors").write_text(LFS)
    for name in names[:3]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(NoInput, match=r"fold\.safetensors is a git-lfs pointer"):
        load_bundle(tmp_path)


def test_weights_without_content(tmp_path: Path) -> None:
    path = tmp_path / "resnet_10_23dataset.pth"
    path.write_text(LFS)
    section = Network(name="resnet", depth=10, start="medicalnet")
    with pytest.raises(NoInput, match="git lfs pull"):
        require_weights(section, 1, path)


@pytest.mark.parametrize("ending", [".nii.gz", ".tsv", ".json"])
def test_atlases_without_content(ending: str, tmp_path: Path) -> None:
    path = tmp_path / "atlas.nii.gz"
    window = volume((20, 20, 20), np.diag([8.0, 8, 8, 1]))
    nib.save(nib.Nifti1Image(np.ones((20, 20, 20), np.int16), np.diag([8.0, 8, 8, 1])), path)
    link(tmp_path / f"atlas{ending}", OBJECTS)
    with pytest.raises(NoInput, match=f"atlas{ending}"):
        resolve_atlas(str(path), window, "MNI152NLin2009aSym")


def test_templates_without_content_are_not_here(tmp_path: Path) -> None:
    folder = tmp_path / "tpl-Own"
    name = "tpl-Own/tpl-Own_res-1_desc-brain_T1w.nii.gz"
    link(folder / name.split("/")[1], OBJECTS)
    (found,) = candidates("Own", [tmp_path])
    assert not found.present([tmp_path])
    (folder / name.split("/")[1]).unlink()
    (folder / name.split("/")[1]).write_text(TEXTS["annex unlocked"][0])
    (found,) = candidates("Own", [tmp_path])
    assert not found.present([tmp_path])
    link(folder / "tpl-Own_atlas-Mine_dseg.nii.gz", OBJECTS)
    window = volume((20, 20, 20), np.diag([8.0, 8, 8, 1]))
    with pytest.raises(NoInput, match="--atlas Mine: no tpl-Own"):
        resolve_atlas("Mine", window, "Own", homes=[tmp_path])


def test_a_recipe_and_a_filter_file_without_content(tmp_path: Path) -> None:
    path = tmp_path / "filter.json"
    path.write_text(LFS)
    with pytest.raises(NoInput, match="git lfs pull"):
        read_bids_filters(path)
    link(tmp_path / "recipe.yaml", OBJECTS)
    with pytest.raises(NoInput, match=r"datalad get recipe\.yaml"):
        load_recipe(str(tmp_path / "recipe.yaml"), ())
