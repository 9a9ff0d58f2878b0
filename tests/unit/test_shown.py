"""What is handed on tells nobody where people keep their files, nor what they are called."""

import shlex
from pathlib import Path

import pytest

from bidsapp.arguments import build_parser
from bidsapp.cli import main
from bidsapp.derivatives.shown import Hidden
from bidsapp.options import RunOptions
from bidsapp.recipes import dump_recipe, load_recipe
from bidsapp.recipes.folders import without_folders
from bidsapp.shown_command import shown_command

HOME = "/home/alice smith/study"
BOTH = "'<bids_dir>' '<output_dir>'"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ([f"{HOME}/bids", f"{HOME}/out", "participant"], f"{BOTH} participant"),
        (["bids", "out", "group"], f"{BOTH} group"),
        (
            ["bids", "out", "participant", "-w", f"{HOME}/w", "--model", f"{HOME}/m"],
            f"{BOTH} participant -w '<work_dir>' --model '<model>'",
        ),
        (
            [f"--work-dir={HOME}", "b", "o", "group"],
            f"'--work-dir=<work_dir>' {BOTH} group",
        ),
        ([f"-w{HOME}", "b", "o", "group"], f"'-w<work_dir>' {BOTH} group"),
        (
            ["--nprocs", "2", "-v", "b", "--", "-o", "group"],
            "--nprocs 2 -v '<bids_dir>' -- '<output_dir>' group",
        ),
        (
            ["b", "o", "group", "-d", f"fmriprep={HOME}/prep", f"{HOME}/other", "--no-saliency"],
            f"{BOTH} group -d 'fmriprep=<fmriprep>' '<other>' --no-saliency",
        ),
        (
            ["b", "o", "group", "--recipe", f"{HOME}/my recipe.yaml", "--splits", f"{HOME}/s.tsv"],
            f"{BOTH} group --recipe 'my recipe.yaml' --splits s.tsv",
        ),
        (
            ["b", "o", "group", "--atlas", f"{HOME}/a.nii.gz", "Schaefer2018:100Parcels7Networks"],
            f"{BOTH} group --atlas a.nii.gz Schaefer2018:100Parcels7Networks",
        ),
        (
            [
                "b",
                "o",
                "group",
                "--set",
                "saliency.atlases=[/home/alice/a.nii.gz]",
                "a.b=1e-3/2",
            ],
            f"{BOTH} group --set 'saliency.atlases=[a.nii.gz]' a.b=1e-3/2",
        ),
        (
            ["b", "o", "group", "--outcome", "pain", "--positive", "yes", "-1", "it's"],
            f"{BOTH} group --outcome pain --positive yes -1 'it'\"'\"'s'",
        ),
        (
            ["b", "o", "participant", "--participant-label", "01", "o", "--recipe", "t1w"],
            f"{BOTH} participant --participant-label 01 o --recipe t1w",
        ),
    ],
)
def test_a_command_is_shown_without_folders(words: list[str], shown: str) -> None:
    found = shown_command(build_parser(), words)
    assert found == f"nocicast {shown}"
    assert "alice" not in found
    assert shlex.split(found)[0] == "nocicast"


def test_a_folder_whose_path_is_no_text_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/data/b\udcff", "/out", "participant"]) == 64
    assert "'/data/b\\udcff' is not UTF-8 text" in capsys.readouterr().err


def options(**changes: object) -> RunOptions:
    home = Path(HOME)
    plain = {"bids_dir": home / "bids", "output_dir": home / "bids" / "derivatives" / "out"}
    plain |= {
        "work_dir": home / "work",
        "derivatives": {"prep": home / "prep"},
        "model": home / "m",
    }
    return RunOptions(analysis_level="group", **plain | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            f"{HOME}/bids/sub-01/anat/x.nii.gz is damaged",
            "<bids_dir>/sub-01/anat/x.nii.gz is damaged",
        ),
        (f"none in {HOME}/bids/derivatives/out; run", "none in <output_dir>; run"),
        (f"'{HOME}/work'", "'<work_dir>'"),
        (f"{HOME}/prep/a and {HOME}/m", "<prep>/a and <model>"),
        (f"{HOME}/bids2/x", "<home>/study/bids2/x"),
        ("/data/other", "/data/other"),
        ("", ""),
    ],
)
def test_the_folders_of_a_run_are_named_in_a_text(
    text: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/alice smith")
    monkeypatch.delenv("TEMPLATEFLOW_HOME", raising=False)
    assert Hidden.of(options()).text(text) == shown


def test_a_folder_that_is_a_link_is_named_by_either_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/")  # as in containers: the root of all is not hidden
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    hidden = Hidden.of(options(bids_dir=tmp_path / "link"))
    assert hidden.text(f"{tmp_path}/link/a, {tmp_path}/real/b") == "<bids_dir>/a, <bids_dir>/b"


def test_a_recipe_is_written_with_the_names_of_files_alone() -> None:
    atlas = f"{HOME}/atlas-own_dseg.nii.gz"
    recipe = load_recipe("t1w", [f'saliency.atlases=["{atlas}", desikan_killiany]'])
    assert recipe.saliency.atlases == (atlas, "desikan_killiany")
    text = dump_recipe(recipe)
    assert "alice" not in text
    assert "atlas-own_dseg.nii.gz" in text
    files = {"saliency.atlases": ["/x/y", "x/y", "/", 3, None], "notes": "/x/y"}
    kept = {"saliency.atlases": ["y", "x/y", "/", 3, None], "notes": "/x/y"}
    assert without_folders(files) == kept
