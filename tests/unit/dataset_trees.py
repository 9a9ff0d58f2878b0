"""Datasets of empty files, and the images that are selected in them."""

import re
from pathlib import Path
from types import SimpleNamespace

from bidsapp.dataset import Selection, select_images
from bidsapp.options import RunOptions

T1W = SimpleNamespace(datatype="anat", suffix="T1w")
DESCRIPTION = '{"Name": "A study", "BIDSVersion": "1.10.0"}'


def make(root: Path, *names: str, description: str | None = DESCRIPTION) -> Path:
    """Write an empty file for each name; a name without a folder goes where BIDS wants it."""
    root.mkdir(parents=True, exist_ok=True)
    if description is not None:
        (root / "dataset_description.json").write_text(description, encoding="utf-8")
    for name in names:
        path = root / name
        if "/" not in name:
            labels = re.match(r"(sub-[^_]+)(?:_(ses-[^_]+))?", name)
            assert labels is not None
            path = root.joinpath(*[part for part in labels.groups() if part], "anat", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def select(root: Path, inputs: object = T1W, **changes: object) -> Selection:
    settings = {
        "bids_dir": root,
        "output_dir": root.parent / "out",
        "work_dir": root.parent / "work",
        "analysis_level": "participant",
        **changes,
    }
    return select_images(RunOptions(**settings), inputs)  # type: ignore[arg-type]


def chosen(selection: Selection) -> list[str]:
    return [Path(choice.relative_path).name for choice in selection.choices]


def filtered(**entities: object) -> dict[str, dict[str, object]]:
    return {"t1w": entities}
