"""The quality table says what the verdict says."""

from typing import Any

import numpy as np
import pytest

from bidsapp.contracts.modality import modality_named
from bidsapp.drawing.pages import flags_marked, plain_text
from bidsapp.drawing.quality_table import advice, quality_rows
from bidsapp.modalities.t1w.measures import MEASURES, OTHERWISE
from bidsapp.modalities.t1w.quality import judge
from tests.unit.report_pages import PASSED


def statuses(**changes: Any) -> dict[str, str]:
    return {row.key: row.status for row in quality_rows(MEASURES, PASSED | changes)}


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("ncc", 0.65 - 0.001, "fail"),
        ("ncc", 0.65, "pass"),
        ("local_ncc", 0.55 - 0.001, "fail"),
        ("local_ncc", 0.55, "warn"),
        ("local_ncc", 0.70, "pass"),
        ("brain_volume_ml", 900 - 1, "fail"),
        ("brain_volume_ml", 2100 + 1, "fail"),
        ("affine_scales", [1.0, 1.0, 0.7 - 0.01], "fail"),
        ("affine_scales", [1.3 + 0.01, 1.0, 1.0], "fail"),
        ("folded_fraction", 0.005 + 0.001, "warn"),
        ("cut_faces", ["superior"], "warn"),
        ("rescued", True, "warn"),
        ("mask_dice", 0.1, "info"),
        ("ncc", None, "unknown"),
    ],
)
def test_a_row_turns_at_its_limit(key: str, value: Any, status: str) -> None:
    found = statuses(**{key: value})
    assert found.pop(key) == status
    assert set(found.values()) <= {"pass", "info"}


def test_what_to_do_is_said_once_for_all_bones() -> None:
    knee = modality_named("knee").measures_for({"bones": ["femur", "tibia", "patella"]})
    apart = {f"{bone}_thickness_difference_mm": 0.9 for bone in ("femur", "tibia", "patella")}
    steps = advice(knee, {**apart, "verdict": "warn", "reasons": ["", "", ""]})
    assert len(steps) == 2
    assert "part the two" in steps[0]


def test_marks_stand_in_the_zone_of_their_status() -> None:
    for changes in ({}, {"local_ncc": 0.6, "ncc": 0.4}, {"brain_volume_ml": 9000.0}):
        for row in quality_rows(MEASURES, PASSED | changes):
            if len(row.marks) == 1:
                (mark,) = row.marks
                around = [zone.status for zone in row.zones if zone.start <= mark <= zone.end]
                assert row.status in around
                assert row.zones[0].start == pytest.approx(0)
                assert row.zones[-1].end == pytest.approx(1)


def test_rows_agree_with_the_judge() -> None:
    """Whatever the judge measures, the worst row is the verdict."""
    rng = np.random.default_rng(5)
    template = np.zeros((40, 40, 40), np.float32)
    template[8:32, 8:32, 8:32] = rng.random((24, 24, 24)) + 0.5
    order = ("pass", "warn", "fail")
    seen = set()
    for noise, folded in ((0.0, 0), (0.2, 0), (0.2, 30), (0.3, 0), (3.0, 0)):
        image = template + noise * rng.standard_normal(template.shape) * (template > 0)
        for wide in (2.0, 5.0):
            judged = judge(
                image=image.astype(np.float32),
                template=template,
                moved_mask=template > 0,
                native_mask=template > 0,
                native_affine=np.diag([wide, wide, wide, 1]),
                affine=np.eye(4),
                determinant=np.repeat([-1.0, 1.0], [folded, 1000 - folded]),
            )
            rows = quality_rows(MEASURES, judged.plain())
            worst = max((row.status for row in rows if row.status in order), key=order.index)
            assert worst == judged.verdict
            steps = advice(MEASURES, judged.plain(), OTHERWISE)
            assert bool(steps) == (judged.verdict != "pass")
            seen.add(judged.verdict)
    assert seen == set(order)


def test_a_doubt_without_a_number_still_gets_advice() -> None:
    content = PASSED | {
        "verdict": "warn",
        "reasons": ("The header does not say what is left and right.",),
    }
    steps = advice(MEASURES, content, OTHERWISE)
    assert any("left and right" in step for step in steps)
    assert any("the group level keeps" in step for step in steps)


def test_options_in_a_sentence_are_escaped_and_marked() -> None:
    marked = flags_marked("Run <b> again with --speed precise.")
    assert marked == ('Run &lt;b&gt; again with <code class="flag">--speed</code> precise.')


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (0.1, "0.1"),
        (2, "2"),
        (["a", 1, None], "a, 1, –"),
        ({"of": ["x", "y"], "n": 2.0}, "of: x, y, n: 2"),
        ((), "–"),
    ],
)
def test_settings_read_like_prose(value: Any, text: str) -> None:
    assert plain_text(value) == text
