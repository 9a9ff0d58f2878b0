"""Recipes of earlier versions: ``normalization`` is read as ``preparation``, wherever it stands."""

from pathlib import Path

import pytest

from bidsapp.errors import UsageError
from bidsapp.recipes import dump_recipe, load_recipe

BODY = """
name: old
summary: written before preparations had modalities
outcome: {column: pain, positive: [1]}
{section}
representation: {kind: slab, plane: axial, slices: 6}
network: {name: resnet, depth: 10, start: random}
variants:
  fine: {KEY.resolution: 1}
  quick: {KEY: {speed: fast}}
"""
SECTION = "KEY: {template: MNI152NLin6Asym, resolution: 2, box: template}"


def written(path: Path, key: str) -> Path:
    path.write_text(BODY.replace("{section}", SECTION).replace("KEY", key))
    return path


def test_an_earlier_recipe_is_the_same_recipe(tmp_path: Path) -> None:
    old = load_recipe(written(tmp_path / "old.yaml", "normalization"))
    new = load_recipe(written(tmp_path / "new.yaml", "preparation"))
    assert old == new
    assert old.preparation.plain()["template"] == "MNI152NLin6Asym"
    assert old.with_variant("fine").preparation.plain()["resolution"] == 1
    assert old.with_variant("quick").preparation.plain()["speed"] == "fast"
    assert "normalization" not in dump_recipe(old)
    (tmp_path / "again.yaml").write_text(dump_recipe(old))
    assert load_recipe(tmp_path / "again.yaml") == old


def test_earlier_keys_are_read_from_the_command_line() -> None:
    old = load_recipe(
        "t1w", ["normalization.resolution=1", "variants.a={normalization.speed: fast}"]
    )
    new = load_recipe("t1w", ["preparation.resolution=1", "variants.a={preparation.speed: fast}"])
    assert old == new


def test_an_error_under_the_earlier_name_names_a_key_that_can_be_found(tmp_path: Path) -> None:
    path = written(tmp_path / "old.yaml", "normalization")
    path.write_text(path.read_text().replace("resolution: 2", "resolution: 7"))
    with pytest.raises(UsageError, match=r"preparation\.resolution.*7"):
        load_recipe(path)


def test_both_names_at_once_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "both.yaml", "normalization")
    path.write_text(path.read_text() + "preparation: {resolution: 1}\n")
    with pytest.raises(UsageError, match="normalization"):
        load_recipe(path)
