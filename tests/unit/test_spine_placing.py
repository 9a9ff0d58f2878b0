"""The page for placing boxes in a real browser: by mouse, by keys, kept, saved and read again."""

import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidsapp.modalities.spine.injections import Injection
from bidsapp.modalities.spine.placing import Neck, write_placing_page
from bidsapp.modalities.spine.proposals import boxes_beside
from bidsapp.modalities.spine.roi_table import PROPOSED, Roi, read_roi_table
from bidsapp.modalities.spine.stack import Stack
from tests.unit import chromium
from tests.unit.chromium import AXE, Browser
from tests.unit.spine_necks import box_about, foramen_mm, stack_of
from tests.unit.test_spine_proposals import cord_of

NASTY = "sub-02 </script><script>alert('x')</script>"
pytestmark = pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing() or "there")


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> list[Stack]:
    folder = tmp_path_factory.mktemp("necks")
    psr = {"order": (1, 2, 0), "flips": (-1, 1, 1)}
    return [stack_of(folder, flips=(-1, 1, 1)), stack_of(folder, "R", **psr)]


@pytest.fixture(scope="module")
def page(stacks: list[Stack], tmp_path_factory: pytest.TempPathFactory) -> Path:
    index, box = box_about(stacks[1], foramen_mm("R"))
    roi = Roi(Injection("C7", "R"), index, box, "x", status=PROPOSED)
    path = tmp_path_factory.mktemp("page") / "roi.html"
    necks = [
        Neck("sub-01", "sub-01/anat", "sub-01_acq-axial", stacks[0], [Injection("C6", "L")]),
        Neck(NASTY, "sub-02/anat", "sub-02_acq-3D", stacks[1], rois=[roi]),
    ]
    write_placing_page(path, necks)
    return path


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with chromium.browser() as started:
        yield started


@pytest.fixture
def fresh(page: Path, window: Browser) -> Browser:
    window.screen(1280)
    window.open(page)
    window.run("localStorage.clear()")
    window.requests()
    window.open(page)
    return window


def key(window: Browser, name: str, times: int = 1, *, shift: bool = False) -> None:
    for _ in range(times):
        for kind in ("keyDown", "keyUp"):
            typed = "\r" if name == "Enter" and kind == "keyDown" else ""
            how = {"key": name, "code": name, "modifiers": 8 * shift, "text": typed}
            window.tool("Input.dispatchKeyEvent", type=kind, **how)


def text(window: Browser, css: str) -> str:
    return str(window.run(f"return document.querySelector({css!r}).textContent"))


def shown_box(window: Browser) -> list[float]:
    names = ["x", "y", "width", "height"]
    return list(window.run("return arguments[0].map(n => Number(box.getAttribute(n)))", names))


def saved(window: Browser, folder: Path, name: str) -> Path:
    window.tool("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    window.click("#save" if name.endswith(".zip") else "#save-one")
    for _ in range(200):
        if (folder / name).is_file():
            return folder / name
        time.sleep(0.05)
    raise AssertionError(f"{name} was not saved; the page says {text(window, '#state')}")


@pytest.mark.skipif(not AXE.is_file(), reason=f"no {AXE}: make browser")
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_nothing_is_wrong_for_those_who_do_not_see_or_use_a_mouse(
    fresh: Browser, page: Path, width: int, dark: bool
) -> None:
    fresh.screen(width, dark=dark)
    fresh.open(page)
    assert fresh.violations() == []


def test_it_asks_for_nothing_and_fits_every_screen(fresh: Browser, page: Path) -> None:
    for width, dark in ((1280, False), (390, True)):
        fresh.screen(width, dark=dark)
        fresh.open(page)
        assert fresh.run("return document.documentElement.scrollWidth <= innerWidth")
    asked = {url for url in fresh.requests() if not url.startswith("data:")}
    assert asked == {page.resolve().as_uri()}
    assert fresh.complaints() == []
    assert NASTY in fresh.run("return document.getElementById('who').textContent")


def test_a_box_drawn_with_the_mouse_is_saved_as_voxels_of_the_file(
    fresh: Browser, stacks: list[Stack], tmp_path: Path
) -> None:
    assert fresh.run("return [level.value, side.value]") == ["C6", "L"]
    stack = stacks[0]
    index, box = box_about(stack, foramen_mm("L"))
    fresh.run("slice.value = arguments[0]; slice.dispatchEvent(new Event('input'))", index)
    fresh.type("#rater", "A. B.")
    x0, x1, y0, y1 = stack.in_plane(box)
    nx, ny = stack.plane(index).values.shape
    at = fresh.run(
        "const b = picture.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]"
    )
    corners = [(x1, y1), (x0, y0)]  # the patient's right and front first: upper left
    places = [
        (at[0] + (nx - 1 - x + 0.5) / nx * at[2], at[1] + (ny - 1 - y + 0.5) / ny * at[3])
        for x, y in corners
    ]
    for kind, (x, y), button in (
        ("mousePressed", places[0], "left"),
        ("mouseMoved", places[1], "left"),
        ("mouseReleased", places[1], "left"),
    ):
        fresh.tool(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=1, clickCount=1
        )
    assert "not kept yet" in text(fresh, "#state")
    fresh.click("#keep")
    assert "Kept: sub-01, C6-L" in text(fresh, "#state")
    path = saved(fresh, tmp_path, "sub-01_acq-axial_desc-foramen_roi.tsv")
    (roi,) = read_roi_table(path, stack)
    assert (roi.injection.label, roi.slice, roi.box) == ("C6-L", index, box)
    assert roi.rater == "A. B."
    assert roi.date is not None


def test_keys_alone_place_a_box_and_what_was_entered_is_kept(
    fresh: Browser, stacks: list[Stack], page: Path, tmp_path: Path
) -> None:
    fresh.run("frame.focus()")
    key(fresh, "PageUp", 2)
    middle = len(range(stacks[0].slices)) // 2
    assert int(fresh.run("return slice.value")) == middle + 2
    key(fresh, "ArrowRight", 3)  # the patient's left is on the right
    key(fresh, "ArrowUp", 2)
    before = shown_box(fresh)
    key(fresh, "ArrowRight", 4, shift=True)
    after = shown_box(fresh)
    assert after[2] == before[2] + 4
    assert after[3] == before[3]
    key(fresh, "Enter")
    assert "Kept" in text(fresh, "#state")
    fresh.open(page)  # as if the browser was closed on the way
    assert "1 of 2 images" in text(fresh, "#count")
    archive = saved(fresh, tmp_path, "rois.zip")
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "rois")
    table = tmp_path / "rois/sub-01/anat/sub-01_acq-axial_desc-foramen_roi.tsv"
    (roi,) = read_roi_table(table, stacks[0])
    assert roi.injection.label == "C6-L"
    assert roi.slice == middle + 2
    assert roi.blinded is True


def test_a_proposal_counts_only_after_somebody_kept_it(
    fresh: Browser, stacks: list[Stack], tmp_path: Path
) -> None:
    fresh.run("who.value = 1; who.dispatchEvent(new Event('change'))")
    assert "A proposal" in text(fresh, "#state")
    assert fresh.run("return box.classList.contains('proposed')")
    path = saved(fresh, tmp_path, "sub-02_acq-3D_desc-foramen_roi.tsv")
    index, box = box_about(stacks[1], foramen_mm("R"))
    (roi,) = read_roi_table(path, stacks[1])
    assert (roi.status, roi.slice, roi.box) == ("proposed", index, box)
    path.unlink()
    fresh.click("#keep")
    (roi,) = read_roi_table(saved(fresh, tmp_path, path.name), stacks[1])
    assert roi.status == "confirmed"
    assert (roi.slice, roi.box) == (index, box)


def test_a_box_beside_the_cord_follows_the_slice_and_counts_only_when_kept(
    window: Browser, stacks: list[Stack], tmp_path: Path
) -> None:
    path = tmp_path / "roi.html"
    told = [Injection("C6", "L")]
    cord = cord_of(stacks[0])
    cord[:, :, :2] = False  # none within 5 mm of the lowest slice
    neck = Neck("sub-01", "sub-01/anat", "sub-01_acq-axial", stacks[0], told, cord=cord)
    write_placing_page(path, [neck])
    window.open(path)
    window.run("localStorage.clear()")
    window.open(path)
    assert "beside the cord" in text(window, "#state")
    assert window.run("return box.classList.contains('proposed')")
    window.click("#save")
    assert "no box to save" in text(window, "#state")
    window.run("slice.value = 0; slice.dispatchEvent(new Event('input'))")
    assert shown_box(window)[2] == 0
    window.run("slice.value = 5; slice.dispatchEvent(new Event('input'))")
    window.run("frame.focus()")
    key(window, "Enter")
    table = saved(window, tmp_path, "sub-01_acq-axial_desc-foramen_roi.tsv")
    (roi,) = read_roi_table(table, stacks[0])
    assert (roi.injection.label, roi.slice, roi.status) == ("C6-L", 5, "confirmed")
    assert stacks[0].in_plane(roi.box) == boxes_beside(stacks[0], [5], cord)["L"][0]


def test_a_second_reader_sees_no_box_of_the_first_and_loses_none(
    window: Browser, stacks: list[Stack], tmp_path: Path
) -> None:
    path, index = tmp_path / "roi.html", 3
    first = Roi(Injection("C7", "R"), index, (20, 50, 30, 60), "x", rater="AB")
    neck = Neck("sub-02", "sub-02/anat", "sub-02_acq-3D", stacks[1], rois=[first])
    write_placing_page(path, [neck], second=True)
    window.open(path)
    window.run("localStorage.clear()")
    window.open(path)
    assert window.run("return [level.value, side.value]") == ["C7", "R"]
    assert "No box yet" in text(window, "#state")
    assert "AB" not in text(window, "#boxes")
    window.run("frame.focus()")
    key(window, "ArrowRight", 2)
    key(window, "Enter")
    assert "Write your initials first" in text(window, "#state")
    window.type("#rater", "CD")
    window.click("#keep")
    table = saved(window, tmp_path, "sub-02_acq-3D_desc-foramen_roi.tsv")
    one, two = read_roi_table(table, stacks[1])
    assert (one.injection, one.slice, one.box, one.rater) == (
        *(first.injection, index, first.box, "AB"),
    )
    assert (two.injection, two.rater, two.status) == (first.injection, "CD", "confirmed")


def test_brightness_changes_what_is_seen_and_nothing_else(fresh: Browser) -> None:
    before = fresh.run("return JSON.stringify(localStorage)")
    fresh.run(
        "const one = document.getElementById('brightness'); one.value = 3;"
        "one.dispatchEvent(new Event('input'));"
    )
    assert fresh.run("return picture.style.filter") == "brightness(3)"
    assert text(fresh, "#brightness-name") == "3×"
    assert fresh.run("return JSON.stringify(localStorage)") == before


def test_a_box_too_small_is_not_kept(fresh: Browser) -> None:
    fresh.click("#keep")
    assert "no box to keep" in text(fresh, "#state")
    fresh.run("frame.focus()")
    key(fresh, "ArrowLeft")
    key(fresh, "ArrowLeft", 40, shift=True)
    fresh.click("#keep")
    assert "at least 6 are needed. It was not kept." in text(fresh, "#state")
    assert "0 of 2 images" in text(fresh, "#count")
