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
