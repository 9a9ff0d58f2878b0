"""Figures as pictures of print size: what the SVG has, at its place, in its colour."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bidsapp.drawing.forest import Line, forest
from bidsapp.drawing.plot import Plot, unit_axis
from bidsapp.drawing.raster import as_png
from bidsapp.drawing.svg import WIDTH, Drawing
from bidsapp.reports.pictures import write_pictures

MAIN, POSITIVE = (0, 103, 165), (181, 66, 10)


def picture(drawing: Drawing) -> Image.Image:
    return Image.open(BytesIO(as_png(drawing.standalone())))


def share(image: Image.Image, colour: tuple[int, int, int]) -> float:
    values = np.asarray(image.convert("RGB"), int)
    return float((np.abs(values - colour).max(axis=2) < 12).mean())


def empty() -> Drawing:
    return Drawing("x", "", "")


def test_a_plot_is_a_column_wide_at_300_dpi() -> None:
    image = picture(Plot("p", "Title", "words", unit_axis("x"), unit_axis("y")))
    assert image.width == round(90 / 25.4 * 300)
    assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    wide = picture(Drawing("x", "", "", WIDTH * 2))
    assert wide.width == 2 * image.width


def test_shapes_lie_where_the_drawing_has_them() -> None:
    drawing = empty()
    drawing.rect(100, 60, 50, 40, "fill-pos")
    drawing.dot(300, 200, "point", radius=10)
    values = np.asarray(picture(drawing).convert("RGB"), int)
    scale, title = values.shape[1] / WIDTH, 30
    for colour, box in ((POSITIVE, (100, 60, 150, 100)), (MAIN, (290, 190, 310, 210))):
        rows, columns = np.nonzero(np.abs(values - colour).max(axis=2) < 12)
        found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        expected = [box[0], box[1] + title, box[2], box[3] + title]
        assert np.array(found) / scale == pytest.approx(expected, abs=1.5)


def test_only_the_series_that_shows_first_is_drawn() -> None:
    drawing = empty()
    with drawing.series("one", on=True):
        drawing.rect(0, 0, 100, 100, "fill-main")
    with drawing.series("two", on=False):
        drawing.rect(200, 0, 100, 100, "fill-pos")
    image = picture(drawing)
    assert share(image, MAIN) > 0.05
    assert share(image, POSITIVE) == 0


def test_dashes_leave_gaps_and_bands_let_the_ground_through() -> None:
    inked = []
    for css in ("main", "baseline"):
        drawing = empty()
        drawing.path([(10, 100), (200, 100), (200, 250)], css)
        values = np.asarray(picture(drawing).convert("L"), int)
        inked.append((values < 250).any(axis=0)[: round(190 * values.shape[1] / WIDTH)].mean())
    assert inked[0] > 0.93
    assert 0.5 < inked[1] < 0.8
    drawing = empty()
    drawing.rect(0, 0, 100, 100, "fill-band")
    assert share(picture(drawing), (204, 225, 237)) > 0.05  # a fifth of the colour on white


@pytest.mark.parametrize("anchor", ["start", "middle", "end"])
def test_words_stand_where_they_are_anchored(anchor: str) -> None:
    drawing = empty()
    drawing.text(200, 150, "≥ 0.05 − é µ", "strong", anchor)
    values = np.asarray(picture(drawing).convert("L"), int)
    rows, columns = np.nonzero(values < 200)
    scale = values.shape[1] / WIDTH
    place = {"start": columns.min(), "middle": (columns.min() + columns.max()) / 2}
    assert place.get(anchor, columns.max()) / scale == pytest.approx(200, abs=2.5)
    assert rows.max() / scale == pytest.approx(150 + 30, abs=5)
    # small figures and letters are 7 points high at least: 12 units of a column of 420
    assert 12 * scale / 300 * 72 >= 7


def test_words_of_a_forest_fit_beside_one_another() -> None:
    lines = [Line("a variant of 36 characters, no longer", 0.71, 0.6, 0.8, note="n = 24")]
    image = picture(forest("f", "Forest", "words", lines, "AUC"))
    assert image.width > 1200


def test_a_picture_stays_while_its_figure_does_and_goes_with_it(tmp_path: Path) -> None:
    figures = tmp_path / "figures"
    figures.mkdir()
    svg, other = figures / "roc.svg", figures / "history.svg"
    svg.write_text(empty().standalone())
    other.write_text(empty().standalone())
    assert write_pictures(tmp_path) == [figures / "roc.png"]
    before = (figures / "roc.png").stat().st_mtime_ns
    write_pictures(tmp_path)
    assert (figures / "roc.png").stat().st_mtime_ns == before
    drawing = empty()
    drawing.rect(0, 0, 100, 100, "fill-main")
    svg.write_text(drawing.standalone())
    write_pictures(tmp_path)
    assert share(Image.open(figures / "roc.png"), MAIN) > 0.05
    svg.unlink()
    assert write_pictures(tmp_path) == []
    assert not (figures / "roc.png").exists()
