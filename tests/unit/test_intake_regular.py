"""Nothing that the app reads may be a pipe or a device: it would be waited for without a word."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bidsapp.cli import main
from bidsapp.dataset import check_dataset, read_bids_filters
from bidsapp.dataset.bidsignore import read_bidsignore
from bidsapp.dataset.own_output import find_own
from bidsapp.dataset.tables import read_dataset_tables, read_table
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import NociCastError, path_trouble
from bidsapp.intake.regular import open_regular
from bidsapp.recipes import load_recipe
from bidsapp.saliency.atlas import resolve_atlas
from bidsapp.training.splits_file import read_splits
from tests.unit.cohort_trees import SPACE, build, heads, normalise, reasons, save, study
from tests.unit.dataset_trees import make


def pipe(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def endless(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")
    return path


def _description(folder: Path, spoil: Callable[[Path], Path]) -> None:
    spoil(folder / "dataset_description.json")
    check_dataset(folder)


def _bidsignore(folder: Path, spoil: Callable[[Path], Path]) -> None:
    spoil(folder / ".bidsignore")
    read_bidsignore(folder)


def _participants(folder: Path, spoil: Callable[[Path], Path]) -> None:
    spoil(folder / "participants.tsv")
    read_dataset_tables(folder)


def _atlas_table(folder: Path, spoil: Callable[[Path], Path]) -> None:
    import numpy as np

    from bidsapp.spaces.volume import volume

    image = save(folder / "atlas.nii.gz", 3, np.int16)
    spoil(folder / "atlas.tsv")
    resolve_atlas(str(image), volume((4, 5, 6), np.eye(4)), SPACE)


READERS: dict[str, Callable[[Path, Callable[[Path], Path]], object]] = {
    "recipe": lambda folder, spoil: load_recipe(spoil(folder / "r.yaml")),
    "filter file": lambda folder, spoil: read_bids_filters(spoil(folder / "f.json")),
    "table": lambda folder, spoil: read_table(spoil(folder / "t.tsv")),
    "participants": _participants,
    "description": _description,
    "bidsignore": _bidsignore,
    "splits": lambda folder, spoil: read_splits(spoil(folder / "s.tsv"), None),  # type: ignore[arg-type]
    "atlas table": _atlas_table,
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("spoil", [pipe, endless])
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_what_is_read_must_be_a_file(
    reader: Callable[[Path, Callable[[Path], Path]], object],
    spoil: Callable[[Path], Path],
    tmp_path: Path,
) -> None:
    kind = "a pipe" if spoil is pipe else "a device"
    with pytest.raises(NociCastError, match=rf"it is {kind}, not a file"):
        reader(tmp_path, spoil)


@pytest.mark.timeout(30)
def test_a_hash_waits_for_no_pipe(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="it is a pipe"):
        file_sha256(pipe(tmp_path / "x"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("option", ["--bids-filter-file", "--recipe", "--nipype-plugin-args"])
def test_an_option_that_names_a_pipe_is_refused_at_once(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a shell makes of <(...), too: it is to be written to a file first."""
    bids = make(tmp_path / "bids", "sub-01_T1w.nii.gz")
    given = [bids, tmp_path / "out", "participant", option, pipe(tmp_path / "pipe.yaml")]
    more = ["--nipype-plugin", "Linear"] if option == "--nipype-plugin-args" else []
    assert main([*map(str, given), *more]) == 66
    assert "it is a pipe, not a file" in capsys.readouterr().err


@pytest.mark.timeout(60)
def test_results_that_are_no_files_cost_one_person(tmp_path: Path) -> None:
    rows = "".join(f"{number} {number % 2}\n" for number in range(1, 9))
    study(tmp_path / "bids", f"participant_id chronic\n{rows}")
    images = [normalise(tmp_path / "out", f"sub-{number}", number) for number in range(1, 9)]
    pipe(images[0].with_name(images[0].name.replace(".nii.gz", ".json")))
    pipe(images[1])
    jacobian = images[2].with_name(images[2].name.replace("preproc_T1w", "logjacobian_statmap"))
    endless(jacobian)
    content = bytearray(images[3].read_bytes())
    content[-6] ^= 1  # of its checksum
    images[3].write_bytes(content)
    why = reasons(build(tmp_path, channels=["t1w", "log_jacobian"]))
    assert why == {
        "sub-1": "no quality verdict",
        "sub-2": "image not readable",
        "sub-3": "image not readable",
        "sub-4": "image not readable",
    }
    assert set(reasons(build(tmp_path))) == {"sub-1", "sub-2", "sub-4"}
    mask = images[4].with_name(images[4].name.replace("preproc_T1w", "brain_mask"))
    mask.write_bytes(mask.read_bytes()[:-1])
    others = reasons(build(tmp_path, derivatives={"prep": tmp_path / "out"}))
    assert others["sub-5"] == "image not readable"
    assert find_own(tmp_path / "out", heads(SPACE)).images


def test_a_file_in_which_a_file_is_looked_for_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text(json.dumps({"t1w": {"acquisition": "mprage"}}))
    (tmp_path / "link.json").symlink_to("f.json")
    assert read_bids_filters(tmp_path / "link.json") == {"t1w": {"acquisition": "mprage"}}


TOO_LONG = ["/tmp/" + "b" * 5000, "/tmp/" + "/".join(["a" * 200] * 25)]


@pytest.mark.parametrize("path", TOO_LONG, ids=["a name", "a path"])
@pytest.mark.parametrize(
    "option", ["output", "--work-dir", "--recipe", "--model", "--bids-database-dir"]
)
def test_a_path_that_no_system_takes_is_refused_in_words(
    option: str, path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "bids", "sub-01_T1w.nii.gz")
    out = path if option == "output" else str(tmp_path / "out")
    more = [] if option == "output" else [option, path]
    words = [str(tmp_path / "bids"), out, "participant", "--skip-bids-validation", *more]
    assert main(words) == 64
    said = capsys.readouterr().err
    assert "too long" in said
    assert len(said) < 1000


def test_a_path_in_a_recipe_with_a_character_that_no_name_has_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "bids", "sub-01_T1w.nii.gz")
    words = [str(tmp_path / "bids"), str(tmp_path / "out"), "group", "--skip-bids-validation"]
    words += ["--outcome", "pain", "--positive", "1", "--set", 'network.start="/tmp/a\\0b.pth"']
    assert main(words) == 66
    assert "network.start: /tmp/a<U+0000>b.pth is not there" in capsys.readouterr().err
    with pytest.raises(ValueError, match="null") as caught:
        open_regular(tmp_path / "a\0b")
    assert "the character NUL" in str(path_trouble(caught.value))
