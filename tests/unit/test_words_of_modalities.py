"""No room but its own says of an image what is done to it: the word is the modality's."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import bidsapp
from bidsapp.contracts.modality import modality_named, modality_packages
from bidsapp.contracts.prepared import Prepared
from bidsapp.drawing.wording import software
from bidsapp.recipes.analysis import Saliency
from bidsapp.reports.run.answer import _depicted

PACKAGE = Path(bidsapp.__file__).parent
ELSEWHERE = [p for p in sorted(PACKAGE.rglob("*.py")) if "modalities" not in p.parts]
# What is normalised here is a batch, mutual information or a quaternion, or an earlier key.
OTHER_THINGS = ("batch normalisation", "Batch normalisation", "normalization", "NormalizedImage")


def _texts(path: Path) -> Iterator[str]:
    """Every string of a file that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


def test_no_text_outside_its_room_says_normalised() -> None:
    said = []
    for path in ELSEWHERE:
        for text in _texts(path):
            left = text
            for other in OTHER_THINGS:
                left = left.replace(other, "")
            if "ormalis" in left or "ormaliz" in left:
                said.append((path.relative_to(PACKAGE), text))
    assert said == []


def test_no_text_outside_its_room_names_a_setting_of_one_modality_alone() -> None:
    of: dict[str, set[str]] = {}
    for name in modality_packages():
        for shape in modality_named(name).every_settings:
            for key in shape.model_fields:
                of.setdefault(key, set()).add(name)
    shared = Saliency.model_fields  # maps are smoothed, too
    own = [k for k, names in of.items() if len(names) == 1 and "_" in k and k not in shared]
    assert "keep_preproc" in own
    named = re.compile(rf"(preparation\.|^)({'|'.join(own)})\b")
    said = [
        (path.relative_to(PACKAGE), text)
        for path in ELSEWHERE
        for text in _texts(path)
        if named.search(text)
    ]
    assert said == []


@pytest.mark.parametrize(
    ("name", "word"),
    [("t1w", "normalised"), ("bold", "prepared"), ("spine", "prepared"), ("knee", "prepared")],
)
def test_what_a_finished_image_is_called(name: str, word: str) -> None:
    assert modality_named(name).prepared == word


@pytest.mark.parametrize(
    ("name", "words"),
    [("t1w", "the brain"), ("bold", "the brain"), ("spine", "the foramen"), ("knee", "the knee")],
)
def test_the_answer_doubts_what_the_image_shows(name: str, words: str) -> None:
    run = SimpleNamespace(recipe=SimpleNamespace(preparation=SimpleNamespace(modality=name)))
    assert _depicted(run) == words
    assert _depicted(SimpleNamespace(recipe=None)) == "the image"
    assert [text for path in ELSEWHERE for text in _texts(path) if "be the brain" in text] == []


def test_a_version_that_no_sidecar_tells_is_left_out_of_the_sentence() -> None:
    def images(*versions: str | None) -> list[Prepared]:
        told = [{"GeneratedWith": {"nipype": version}} if version else {} for version in versions]
        return [Prepared("t1w", None, sidecar) for sidecar in told]  # type: ignore[arg-type]

    assert software("nipype", images("1.9.2", "1.9.2")) == "Nipype 1.9.2"
    assert software("nipype", images(None, None)) == "Nipype"
    mixed = software("nipype", images("1.9.2", "1.9.2", None))
    assert mixed == "Nipype 1.9.2 (2 images) and unknown (1 image)"
