"""Participant report, overview and methods text in a real browser: fit, readable for all, valid.

Validity and accessibility are checked where Java and the npm packages of
``tests/browser/package.json`` are there (`make browser` brings them).
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidsapp.derivatives.finished import finished_images
from bidsapp.drawing import pages as pages_of_the_app
from bidsapp.modalities.t1w.page import write_participant_report
from bidsapp.reports.cohort_pages import after_run
from tests.unit import chromium
from tests.unit.chromium import AXE, MODULES, Browser
from tests.unit.finished_trees import leave_sidecar
from tests.unit.report_pages import ball, centred, save, small_report

NASTY = "<script>alert('x')</script> {{ 7 * 7 }} & \"quoted\""
pytestmark = pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing() or "there")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An output folder with everything on its pages, copied away from where it was made."""
    out = tmp_path_factory.mktemp("made") / "out"
    shape, sizes = (40, 44, 36), (4.0, 4.0, 4.0)
    affine = centred(shape, sizes)
    brain = ball(shape, affine.diagonal()[:3], 60).astype("float32")
    for place in range(10):
        verdict = ("pass", "warn", "fail")[min(place, 2)] if place < 3 else "pass"
        quality = {"verdict": verdict, "local_ncc": 0.8 + place / 100, "reasons": [NASTY]}
        path = leave_sidecar(out, f"sub-{place}", quality=quality)
        save(path.with_suffix("").with_suffix(".nii.gz"), brain, affine)
    images = finished_images(out)
    first = images[0].names
    answer = {
        "outcome": NASTY,
        "positive": [NASTY],
        "probability": 0.4,
        "probability_sd": 0.1,
        "per_model": [0.3, 0.5],
        "model": {"name": NASTY, "version": "1", "sha256": "ab" * 32, "held_out": NASTY},
        "quality": {"verdict": "pass"},
    }
    stem = f"sub-0_space-{first.space}_res-2_desc-m"
    (first.folder / "sub-0_desc-m_predictions.json").write_text(json.dumps(answer))
    save(first.folder / f"{stem}Gradient_statmap.nii.gz", brain * 0.1, affine)
    report = small_report(out / "work", title=NASTY, notes=[NASTY])
    write_participant_report(report, first.report)
    after_run(
        out,
        {frozenset(first.labels.items()): report.template_brain},
        [first],
        f"nocicast --model {NASTY}",
    )
    for image in images[1:]:
        shutil.copy(first.report, image.names.report)
    copy = tmp_path_factory.mktemp("copied") / "somewhere else"
    shutil.move(out, copy)
    return {
        "report": copy / "sub-0.html",
        "overview": copy / "quality.html",
        "words": copy / "logs" / "CITATION.html",
    }


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with chromium.browser() as started:
        yield started


@pytest.mark.parametrize("name", ["report", "overview", "words"])
def test_a_page_fits_and_asks_for_nothing(
    pages: dict[str, Path], window: Browser, name: str
) -> None:
    window.requests()
    for width, dark in ((1280, False), (390, True)):
        window.screen(width, dark=dark)
        window.open(pages[name])
        assert window.run("return document.documentElement.scrollWidth <= innerWidth")
    asked = {url for url in window.requests() if not url.startswith("data:")}
    assert asked == {pages[name].resolve().as_uri()}
    assert window.complaints() == []
    if name != "words":
        assert "<script>alert('x')</script>" in window.run("return document.body.textContent")


@pytest.mark.parametrize("name", ["report", "overview", "words"])
def test_a_page_is_readable_for_all(pages: dict[str, Path], window: Browser, name: str) -> None:
    if not AXE.is_file():
        pytest.skip(f"no {AXE}; make browser brings it")
    for width, dark in ((1280, False), (390, True)):
        window.screen(width, dark=dark)
        window.open(pages[name])
        assert window.violations() == []


def test_every_link_of_the_copied_folder_resolves(pages: dict[str, Path], window: Browser) -> None:
    for page in pages.values():
        window.open(page)
        targets = window.run("return [...document.links].map(a => a.href.split('#')[0])")
        local = [url for url in targets if not url.startswith("https://doi.org/")]
        for url in local:
            assert Path(url.removeprefix("file://").replace("%20", " ")).is_file(), url
        anchors = window.run(
            "return [...document.querySelectorAll('a[href^=\"#\"]')]"
            ".filter(a => !document.getElementById(a.hash.slice(1))).length"
        )
        assert anchors == 0


def test_html_is_valid(pages: dict[str, Path]) -> None:
    jar = MODULES / "vnu-jar" / "build" / "dist" / "vnu.jar"
    if not jar.is_file() or shutil.which("java") is None:
        pytest.skip(f"no java or no {jar}; make browser brings it")
    done = subprocess.run(
        ["java", "-jar", str(jar), "--format", "json", "--errors-only", *map(str, pages.values())],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    messages = json.loads(done.stderr)["messages"]
    # the checker does not know this property of SVG 2
    assert [one["message"] for one in messages if "vector-effect" not in one["message"]] == []


@pytest.fixture
def long_table(tmp_path: Path) -> Path:
    """A table of 1,200 rows, set and scripted as those of the reports are."""
    folder = Path(pages_of_the_app.__file__).parent / "templates"
    style, code = ((folder / name).read_text() for name in ("style.css", "tables.js"))
    rows = "".join(
        f"<tr><th scope=row>sub-{n:04d}</th><td>{'rare' if n % 300 == 0 else 'common'}</td></tr>"
        for n in range(1200)
    )
    page = tmp_path / "long.html"
    page.write_text(
        f'<!DOCTYPE html><html lang="en"><title>x</title><style>{style}</style>'
        '<div class="filter" hidden><input id="f" data-filters="people">'
        '<span class="count" id="people-count"></span></div><table class="sortable" id="people">'
        f"<thead><tr><th>Who</th><th>Kind</th></tr></thead><tbody>{rows}</tbody></table>"
        f"<script>{code}</script>"
    )
    return page


def test_of_a_long_table_a_thousand_rows_show_until_all_are_asked_for(
    long_table: Path, window: Browser
) -> None:
    window.screen(1280)
    window.open(long_table)
    lines = "[...document.querySelectorAll('tbody tr')].filter(row => row.offsetHeight)"
    told = "return document.getElementById('people-count').textContent"

    def seen() -> tuple[int, str, bool]:
        more = "return document.querySelector('.more').offsetHeight > 0"
        return window.run(f"return {lines}.length"), window.run(told), window.run(more)

    assert seen() == (1000, "1000 of 1200 shown", True)
    window.type("#f", "rare")  # looked for among all
    assert seen() == (4, "4 of 1200 shown", False)
    window.type("#f", "common")
    assert seen() == (1000, "1000 of 1200 shown, 1196 fit", True)
    window.type("#f", "sub-1199")
    assert seen()[0] == 1
    window.type("#f", " ")
    for _ in range(2):
        window.click("thead th:first-child button")
    assert window.run(f"return {lines}[0].cells[0].textContent") == "sub-1199"  # sorted among all
    assert seen() == (1000, "1000 of 1200 shown", True)
    window.click(".more")
    assert seen() == (1200, "1200 of 1200 shown", False)


def test_on_paper_and_without_scripts_a_long_table_is_whole(
    long_table: Path, window: Browser
) -> None:
    lines = "return [...document.querySelectorAll('tbody tr')].filter(r => r.offsetHeight).length"
    window.screen(1280)
    window.tool("Emulation.setEmulatedMedia", media="print")
    window.open(long_table)
    assert window.run(lines) == 1200
    window.tool("Emulation.setEmulatedMedia", media="")
    window.tool("Emulation.setScriptExecutionDisabled", value=True)
    try:
        window.open(long_table)
        box = window.tool("Page.getLayoutMetrics")["cssContentSize"]
    finally:
        window.tool("Emulation.setScriptExecutionDisabled", value=False)
    window.open(long_table)
    short = window.tool("Page.getLayoutMetrics")["cssContentSize"]
    assert box["height"] > 1.15 * short["height"]
