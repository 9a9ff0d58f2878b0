"""The group report in a real browser: it reacts, it is quick to read for all, it asks for nothing.

Needs Chromium and ChromeDriver; validity and accessibility are checked where Java and the npm
packages of ``tests/browser/package.json`` are there (`make browser` brings them).
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidsapp.recipes import dump_recipe, load_recipe
from bidsapp.reports.group_report import write_group_report
from tests.unit import chromium
from tests.unit.chromium import AXE, MODULES, Browser
from tests.unit.group_pages import NASTY, finished_run
from tests.unit.saliency_folders import BALL_MM, write_saliency

# text of a figure stays inside it, and no two texts of a figure lie on one another
CLASHES = """
const found = [];
for (const svg of document.querySelectorAll('svg.chart')) {
  const frame = svg.getBoundingClientRect();
  if (!frame.width) continue;
  const boxes = [...svg.querySelectorAll('text')]
    .map(t => [t, t.getBoundingClientRect()]).filter(([, b]) => b.width > 0);
  for (const [t, b] of boxes)
    if (b.left < frame.left - 1 || b.right > frame.right + 1 || b.bottom > frame.bottom + 1)
      found.push(svg.querySelector('title').textContent + ' cuts: ' + t.textContent);
  boxes.forEach(([t, a], i) => boxes.slice(i + 1).forEach(([u, b]) => {
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 1.5 && down > 3.5)
      found.push([svg.id, t.textContent, 'lies on', u.textContent].join(' '));
  }));
}
return found;
"""
LEAKY = (
    "{mode: paper, representation.zscore: dataset, training.checkpoint: test_fold, "
    "evaluation.fitted_threshold: test_fold}"
)
pytestmark = pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing() or "there")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it, copied away from where it was made."""
    out = tmp_path_factory.mktemp("made")
    folder = out / "group" / "attias2025"
    folder.mkdir(parents=True)
    finished_run(folder, variants=("axial", "coronal", "paper"))
    write_saliency(folder, "axial")
    write_saliency(folder, "coronal", verdict="fail")
    for i in range(48):
        (out / f"sub-{i:04d}.html").write_text("<!DOCTYPE html><html lang=en><title>x</title>")
    write_group_report(folder)
    copy = tmp_path_factory.mktemp("copied") / "somewhere else"
    shutil.move(out, copy)
    return copy / "group" / "attias2025" / "report.html"


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with chromium.browser() as started:
        yield started


@pytest.fixture
def page(report: Path, window: Browser) -> Browser:
    window.screen(1280)
    window.requests()
    window.open(report)
    return window


def rows(page: Browser, column: int) -> list[str]:
    """Text of a column of the participants that are shown."""
    return list(
        page.run(
            "return [...document.querySelectorAll('#people tbody tr')].filter(r => !r.hidden)"
            ".map(r => r.cells[arguments[0]].textContent)",
            column,
        )
    )


def test_no_complaint_and_no_request_leaves_the_page(page: Browser, report: Path) -> None:
    page.run("document.querySelectorAll('.brain-viewer').forEach(e => e.scrollIntoView())")
    page.until("document.querySelector('.brain-viewer.ready')")
    asked = [url for url in page.requests() if not url.startswith("data:")]
    assert asked == [report.resolve().as_uri()]
    assert page.complaints() == []


def test_every_link_of_the_copied_folder_resolves(page: Browser) -> None:
    targets = page.run("return [...document.links].map(a => a.href)")
    files = [
        Path(url[7:].split("#")[0].replace("%20", " ")) for url in targets if url[:7] == "file://"
    ]
    assert len(files) > 60
    assert [str(path) for path in files if not path.is_file()] == []
    broken = page.run(
        "return [...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    )
    assert broken == 0


def test_participants_sort_by_number_and_back(page: Browser) -> None:
    heading = "#people thead th:nth-child(3) button"
    page.click(heading)
    upwards = [float(text) for text in rows(page, 2)]
    assert upwards == sorted(upwards)
    assert upwards[0] < upwards[-1]
    page.click(heading)
    assert [float(text) for text in rows(page, 2)] == upwards[::-1]
    state = "return document.querySelector('#people thead th:nth-child(3)').ariaSort"
    assert page.run(state) == "descending"


def test_participants_filter_by_words(page: Browser) -> None:
    page.type("#people-filter", "false negative")
    calls = page.run(
        "return [...document.querySelectorAll('#people tbody tr')].filter(r => !r.hidden)"
        ".map(r => r.textContent)"
    )
    assert calls
    assert all("false negative" in text for text in calls)
    told = page.run("return document.getElementById('people-count').textContent")
    assert told == f"{len(calls)} of 48 shown"
    page.type("#people-filter", "negative sub-0008")
    assert rows(page, 0) == ["sub-0008"]
    page.type("#people-filter", "sub-0007")
    assert rows(page, 0) == ["sub-0007"]
    page.type("#people-filter", "nobody")
    assert rows(page, 0) == []


def test_the_choice_of_a_variant_steers_all_figures(page: Browser) -> None:
    shown = "return [...document.querySelectorAll('.series.on')].map(g => g.dataset.variant)"
    assert set(page.run(shown)) == {"axial"}
    page.run(
        "const s = document.getElementById('variant'); s.value = 'coronal';"
        "s.dispatchEvent(new Event('change'))"
    )
    assert set(page.run(shown)) == {"coronal"}
    seen = page.run("return [...document.querySelectorAll('.only.on')].map(g => g.dataset.variant)")
    assert set(seen) == {"coronal"}


def readout(page: Browser) -> str:
    text = page.run("return document.querySelector('.brain-viewer.ready .readout').textContent")
    return str(text).replace("−", "-")


def warm_pixels(page: Browser, plane: str) -> int:
    """How many points of a slice are coloured warm."""
    return int(
        page.run(
            "const c = document.querySelector(`.brain-viewer.ready [data-part=${arguments[0]}]`);"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] - d[i + 2] > 80;"
            "return n",
            plane,
        )
    )


def test_the_viewer_shows_the_volume_and_reacts(page: Browser) -> None:
    page.run("document.querySelector('.brain-viewer').scrollIntoView()")
    page.until("document.querySelector('.brain-viewer.ready')")
    x, y, z = BALL_MM
    assert f"x +{x:.0f}, y +{y:.0f}, z +{z:.0f} mm (right)" in readout(page)
    assert "+2.0" in readout(page) or "+1.9" in readout(page)
    at_the_ball = warm_pixels(page, "axial")
    assert at_the_ball > 100
    # the left half of the axial slice, behind: no ball there
    page.click_at(".brain-viewer [data-part=axial]", 0.3, 0.75)
    assert "(left)" in readout(page)
    assert "y -" in readout(page)
    assert warm_pixels(page, "sagittal") == 0
    # up in the coronal slice: out of the ball
    page.click_at(".brain-viewer [data-part=coronal]", 0.7, 0.1)
    assert "(right)" in readout(page)
    assert warm_pixels(page, "axial") == 0
    page.click(".brain-viewer [data-part=peak]")
    assert warm_pixels(page, "axial") == at_the_ball
    page.click_at(".brain-viewer [data-part=axial]", 0.3, 0.75)
    page.click("#regions-axial .go")  # a region's peak is shown where it lies
    assert f"x +{x:.0f}, y +{y:.0f}, z +{z:.0f} mm (right)" in readout(page)
    page.run(
        "const t = document.querySelector('.brain-viewer [data-part=threshold]'); t.value = 90;"
        "t.dispatchEvent(new Event('input'))"
    )
    assert 0 < warm_pixels(page, "axial") < at_the_ball / 3


def test_hostile_columns_do_nothing(page: Browser) -> None:
    text = page.run("return document.body.innerText")
    assert NASTY in text
    scripts = page.run(
        "return [...document.scripts].filter(s => s.text.includes('alert(1)')).length"
    )
    assert scripts == 0


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(
    report: Path, window: Browser, width: int, dark: bool
) -> None:
    window.screen(width, dark=dark)
    window.open(report)
    assert window.run("return document.documentElement.scrollWidth") <= width
    assert window.run(CLASHES) == []


@pytest.mark.parametrize("dark", [False, True])
def test_accessibility(report: Path, window: Browser, dark: bool) -> None:
    if not AXE.is_file():
        pytest.skip(f"no {AXE}; make browser brings it")
    window.screen(1280, dark=dark)
    window.open(report)
    window.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
    window.run("document.querySelector('.brain-viewer').scrollIntoView()")
    window.until("document.querySelector('.brain-viewer.ready')")
    serious = [one for one in window.violations() if one[0] in ("serious", "critical")]
    assert serious == []


def test_html_is_valid(report: Path) -> None:
    jar = MODULES / "vnu-jar" / "build" / "dist" / "vnu.jar"
    if not jar.is_file() or shutil.which("java") is None:
        pytest.skip(f"no java or no {jar}; make browser brings it")
    figures = sorted((report.parent / "figures").glob("*.svg"))
    for kind, files in (("--html", [report]), ("--svg", figures)):
        command = ["java", "-jar", str(jar), "--format", "json", "--errors-only", kind]
        done = subprocess.run(
            [*command, *map(str, files)], capture_output=True, text=True, check=False, timeout=300
        )
        messages = json.loads(done.stderr)["messages"]
        # the checker does not know this property of SVG 2
        found = [one["message"] for one in messages if "vector-effect" not in one["message"]]
        assert found == []


def test_long_names_and_stamps_stay_in_their_figures(window: Browser, tmp_path: Path) -> None:
    """Names as long as a careful person gives, and all leaks at once."""
    folder = tmp_path / "group" / "long"
    name = "axial_1mm_with_a_name_that_says_everything_about_the_variant"
    recipe = tmp_path / "long.yaml"
    recipe.write_text(
        dump_recipe(load_recipe("attias2025"))
        .replace("variants:\n", f"variants:\n  {name}: {LEAKY}\n", 1)
        .replace("name: attias2025", "name: long")
    )
    finished_run(folder, recipe=str(recipe), variants=("axial", name))
    write_group_report(folder)
    window.screen(390)
    window.open(folder / "report.html")
    choice = "document.getElementById('variant')"
    window.run(f"{choice}.value = arguments[0]; {choice}.dispatchEvent(new Event('change'))", name)
    shown = window.run("return document.querySelector('#figure-roc .series.on').textContent")
    assert "training.checkpoint: test_fold" in " ".join(shown.split())
    assert window.run(CLASHES) == []
    assert window.run("return document.documentElement.scrollWidth") <= 390
