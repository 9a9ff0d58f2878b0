"""Who was given a contrast agent, by the name and the sidecar of the image."""

from typing import Any

import pytest

from bidsapp.dataset.contrast import with_contrast


@pytest.mark.parametrize(
    ("entities", "metadata", "expected"),
    [
        (["sub-01", "ce-gadolinium"], {}, True),
        (["sub-01", "ce-gd", "run-1"], {"ContrastBolusIngredient": "NONE"}, True),
        (["sub-01"], {"ContrastBolusIngredient": "GADOLINIUM"}, True),
        (["sub-01"], {"ContrastBolusAgent": "DOTAREM", "FlipAngle": 9}, True),
        (["sub-01"], {"ContrastBolusVolume": 7.5}, True),
        (["sub-01"], {"ContrastBolusIngredient": ["GADOLINIUM"]}, True),
        (["sub-01"], {}, False),
        (["sub-01", "ce-none"], {}, False),
        (["sub-01", "ce-pre"], {"ContrastBolusAgent": "n/a"}, False),
        (["sub-ce", "acq-cegd"], {"ContrastEnhanced": True}, False),
        (["sub-01"], {"ContrastBolusVolume": 0, "ContrastBolusIngredient": None}, False),
        (["sub-01"], {"ContrastBolusVolume": float("nan"), "ContrastBolusAgent": []}, False),
    ],
)
def test_the_agent_is_found_where_it_is_told(
    entities: list[str], metadata: dict[str, Any], expected: bool
) -> None:
    assert with_contrast(entities, metadata) is expected
