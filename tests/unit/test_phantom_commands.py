"""The command lines of all phantoms: alike where they mean the same."""

import importlib
from pathlib import Path

import pytest

MODULES = {
    "bidsapp.phantom.__main__": ("--resolution", "4"),
    "bidsapp.modalities.knee.phantom": ("--thinned", "0.5"),
    "bidsapp.modalities.bold.phantom": ("--volumes", "30"),
    "bidsapp.modalities.spine.phantom": ("--effect", "0"),
}


@pytest.mark.parametrize("module", MODULES)
def test_a_folder_that_holds_something_is_told_and_left(
    module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    main = importlib.import_module(module).main
    assert main([str(tmp_path), "--participants", "4", "--seed", "1", *MODULES[module]]) == 73
    said = capsys.readouterr()
    assert said.err.startswith("Error: ")
    assert "not empty" in said.err
    assert not said.out
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("module", MODULES)
def test_help_names_the_command(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main(["--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"python -m {module.removesuffix('.__main__')}" in said
    assert all(word in said for word in ("--participants N", "--seed N", MODULES[module][0]))
