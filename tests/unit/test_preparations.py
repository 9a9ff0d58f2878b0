"""Several preparations in one run: who has images of all, and which variant is given which."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bidsapp.dataset.beside import in_both, preparations, seen_by
from bidsapp.dataset.cohort import Cohort
from bidsapp.dataset.normalized import NormalizedImage
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.group_cohort import cohort_of
from bidsapp.options import RunOptions
from bidsapp.recipes import by_preparation, load_recipe
from bidsapp.training.variants import check_variants, sharing_variants

EXCLUDED = ("participant_id", "session_id", "reason", "detail")
NATIVE = 'variants.whole={"preparation": {"space": "native"}, "representation.channels": ["head"]}'


def cohort(people: str, kind: str, outcomes: str = "0101", excluded: str = "") -> Cohort:
    """Of people called by letters, the first of whom has the first outcome."""
    rows, files = [], []
    for letter, outcome in zip(people, outcomes, strict=False):
        who, image = f"sub-{letter}", f"sub-{letter}_{kind}.nii.gz"
        files.append(NormalizedImage(who, "", Path(image), None, {}, "", image))
        rows.append((who, None, who, int(outcome), image, f"{letter}{kind}", "pass", letter))
    columns = ["participant_id", "session_id", "group", "outcome", "image", "sha256", "quality"]
    table = pd.DataFrame(rows, columns=pd.Index([*columns, "age"]), dtype=object)
    table["outcome"] = table["outcome"].astype(int)
    out = [(f"sub-{letter}", None, "failed quality", "a cut brain") for letter in excluded]
    left = pd.DataFrame(out, columns=pd.Index(EXCLUDED), dtype=object)
    return Cohort(table, left, tuple(files), ())


def test_those_are_in_who_have_images_of_both_and_others_are_named() -> None:
    first, other = cohort("abcd", "mni"), cohort("dba", "own", excluded="c")
    both = in_both(first, other, ["whole", "brain"])
    assert list(both.table["participant_id"]) == ["sub-a", "sub-b", "sub-d"]
    assert [file.participant_id for file in both.files] == ["sub-a", "sub-b", "sub-d"]
    (left,) = both.exclusions.to_dict("records")
    assert left["participant_id"] == "sub-c"
    assert left["reason"] == "failed quality"
    assert "whole, brain" in left["detail"]
    assert "a cut brain" in left["detail"]
    assert "1 scans are left out" in both.notes[-1]


def test_a_variant_is_given_its_own_images_of_the_same_people_in_the_same_order() -> None:
    """The other cohort has another order, and other outcomes, which do not count."""
    both = in_both(cohort("abcd", "mni"), cohort("dcba", "own", "1111"), ["whole"])
    fewer = replace(
        both, table=both.table.iloc[[0, 1, 3]].reset_index(drop=True),
        files=tuple(both.files[k] for k in (0, 1, 3)),
    )  # fmt: skip
    for one, people in ((both, "abcd"), (fewer, "abd")):
        seen = seen_by(one, "whole")
        assert list(seen.table["sha256"]) == [f"{letter}own" for letter in people]
        assert [file.uri for file in seen.files] == list(seen.table["image"])
        assert list(seen.table["outcome"]) == list(one.table["outcome"])
        assert seen_by(one, "axial") is one
    table = preparations(fewer)
    assert list(table["participant_id"]) == ["sub-a", "sub-b", "sub-d"]
    assert set(table["variant"]) == {"whole"}
    assert list(table["sha256"]) == ["aown", "bown", "down"]
    assert not len(preparations(cohort("ab", "mni")))


def test_nobody_or_one_class_is_refused_with_the_command_that_helps() -> None:
    first = cohort("abcd", "mni")
    with pytest.raises(NoInput, match="participant --variants whole"):
        in_both(first, cohort("xy", "own"), ["whole"])
    with pytest.raises(BadData, match="one class"):
        in_both(first, cohort("ac", "own"), ["whole"])


def test_variants_of_other_preparations_share_a_run_and_all_names_how() -> None:
    recipe = load_recipe("t1w", [NATIVE])
    check_variants(recipe, ("axial", "whole"))
    assert by_preparation(recipe, ("axial", "whole", "coronal")) == [
        ("axial", "coronal"),
        ("whole",),
    ]
    together, _, (sentence,) = sharing_variants(recipe, ("axial", "coronal", "whole"), ())
    assert together == ("axial", "coronal")
    assert "participant --variants whole" in sentence


def test_preparations_whose_files_have_the_same_names_are_refused(tmp_path: Path) -> None:
    recipe = load_recipe("t1w", ["variants.fine={preparation.speed: precise}"])
    options = RunOptions(tmp_path, tmp_path / "out", "group", work_dir=tmp_path / "work")
    with pytest.raises(UsageError, match="axial and fine differ in preparation, but not in the"):
        cohort_of(recipe, ("axial", "fine"), options)
