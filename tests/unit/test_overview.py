"""The overview of all participants: outliers first, whole when many jobs end at once, small."""

import csv
import io
import json
import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy.stats import median_abs_deviation

from bidsapp.derivatives.finished import finished_images
from bidsapp.drawing.histogram import HEIGHT, WIDTH, histogram
from bidsapp.drawing.thumbnails import thumbnail, thumbnail_path
from bidsapp.execution.last_job import done_for_all
from bidsapp.reports.cohort_pages import after_run
from bidsapp.reports.cohort_quality import FEWEST, UNUSUAL, compared
from bidsapp.reports.overview import write_overview
from tests.integration.running import described
from tests.unit.chromium import Browser, browser, missing
from tests.unit.finished_trees import SETTINGS, leave_sidecar
from tests.unit.report_pages import Page, ball, centred, save

KEY = "cd" * 32
SHAPE = (40, 48, 40)


def leave(
    out: Path, who: str, value: float = 0.81, verdict: str = "pass", **quality: object
) -> None:
    """Leave a finished image: sidecar and a small brain."""
    path = leave_sidecar(out, who, quality={"local_ncc": value, "verdict": verdict, **quality})
    brain = ball(SHAPE, np.full(3, 4.0), 60).astype(np.float32)
    save(path.with_suffix("").with_suffix(".nii.gz"), brain, centred(SHAPE, (4.0, 4.0, 4.0)))


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "group" / "quality.tsv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_outliers_come_first_on_the_side_where_trouble_lies(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    values = np.append(rng.normal(0.81, 0.01, 20).round(5), [0.72, 0.90])
    for place, value in enumerate(values):
        leave(tmp_path, f"sub-{place:02d}", float(value))
    leave(tmp_path, "sub-w", 0.81, "warn")
    leave(tmp_path, "sub-f", 0.81, "fail")
    write_overview(tmp_path, {})
    found = rows(tmp_path)
    assert [row["participant_id"] for row in found[:3]] == ["sub-f", "sub-w", "sub-20"]
    everything = np.append(values, [0.81, 0.81])
    spread = median_abs_deviation(everything, scale="normal")
    by_name = {row["participant_id"]: row for row in found}
    for place, value in enumerate(values):
        z = (value - np.median(everything)) / spread
        row = by_name[f"sub-{place:02d}"]
        assert float(row["z_local_ncc"]) == pytest.approx(z, abs=0.01)
        assert float(row["unusual"]) == pytest.approx(max(0, -z), abs=0.01)  # high is no trouble
    assert float(by_name["sub-20"]["unusual"]) > 3.5
    told = described(tmp_path / "group" / "quality.tsv")
    assert f"from {UNUSUAL:g} on" in told["unusual"]["Description"]
    assert f"fewer than {FEWEST}" in told["z_ncc"]["Description"]


def test_images_made_otherwise_are_not_compared(tmp_path: Path) -> None:
    for place in range(9):
        leave(tmp_path, f"sub-{place}", 0.81 + place / 1000)
    settings = SETTINGS | {"speed": "fast"}
    leave_sidecar(tmp_path, "sub-x", quality={"local_ncc": 0.5}, Settings=settings)
    alone = [line for line in compared(finished_images(tmp_path)) if not line.z]
    assert [line.image.participant for line in alone] == ["sub-x"]
    assert alone[0].unusual == 0


def test_too_few_images_to_compare_are_not_called_usual(tmp_path: Path) -> None:
    for place in range(7):
        leave(tmp_path, f"sub-{place}", 0.81 + place / 1000)
    write_overview(tmp_path, {})
    text = (tmp_path / "quality.html").read_text()
    assert text.count('data-label="Unusual" data-sort="">–</td>') == 7
    assert "not told with fewer than 8 images made alike" in text
    leave(tmp_path, "sub-7", 0.81)
    write_overview(tmp_path, {})
    text = (tmp_path / "quality.html").read_text()
    assert 'data-label="Unusual" data-sort="">' not in text
    assert "not told with" not in text


def test_a_value_that_all_share_makes_nobody_an_outlier(tmp_path: Path) -> None:
    for place in range(12):
        leave(tmp_path, f"sub-{place}", 0.81, folded_fraction=0.0)
    leave(tmp_path, "sub-folded", 0.81, folded_fraction=0.004)
    lines = compared(finished_images(tmp_path))
    assert lines[0].image.participant == "sub-folded"
    assert lines[0].unusual > 3.5
    assert max(line.unusual for line in lines[1:]) < 0.5


def test_hostile_texts_show_as_text_and_links_lead_to_reports(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script> {{ 7 * 7 }} \t\n&"
    leave(tmp_path, "sub-01_ses-a", reasons=[nasty])
    leave(tmp_path, "sub-02", cut_faces=["left"], rescued=True)
    write_overview(tmp_path, {})
    text = (tmp_path / "quality.html").read_text()
    page = Page(text)
    assert "<script>alert(1)</script> {{ 7 * 7 }}" in page.text
    assert [tag for tag, _ in page.elements].count("script") == 1
    links = {at["href"] for tag, at in page.elements if tag == "a" and at["href"][0] != "#"}
    assert links == {"sub-01_ses-a.html", "sub-02.html"}
    sources = [at["src"] for tag, at in page.elements if "src" in at]
    assert len(sources) == 2
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    policy = next(at["content"] for _, at in page.elements if "http-equiv" in at)
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    assert [row["session_id"] for row in rows(tmp_path)] == ["ses-a", "n/a"]
    assert not [name for name in ("\t", "\n") if name in rows(tmp_path)[0]["reasons"]]


def test_each_image_of_a_visit_leads_to_its_own_page_and_is_told_apart(tmp_path: Path) -> None:
    for run in ("1", "2"):
        who = f"sub-01_acq-x_run-{run}"
        leave(tmp_path, who)
        for path in (tmp_path / "sub-01" / "anat").glob(f"{who}_*.json"):
            path.write_text(json.dumps(json.loads(path.read_text()) | {"Page": f"{who}.html"}))
    leave(tmp_path, "sub-02_acq-x_run-1")
    write_overview(tmp_path, {})
    page = Page((tmp_path / "quality.html").read_text())
    links = {at["href"] for tag, at in page.elements if tag == "a" and at["href"][0] != "#"}
    assert links == {"sub-01_acq-x_run-1.html", "sub-01_acq-x_run-2.html", "sub-02.html"}
    assert "sub-01 run-1" in page.text
    assert "sub-01 run-2" in page.text
    assert "sub-02 run" not in page.text
    assert {row["report"] for row in rows(tmp_path)} == links


def test_a_thousand_participants_stay_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (86, 228), dtype=np.uint8))
    buffer = io.BytesIO()
    noise.save(buffer, format="JPEG", quality=68, comment=KEY)  # noise takes more than a brain
    picture = buffer.getvalue()
    for place in range(1000):
        leave_sidecar(tmp_path, f"sub-{place:04d}", quality={"local_ncc": 0.7 + place / 1e4})
    for image in finished_images(tmp_path):
        path = thumbnail_path(image.names)
        path.parent.mkdir()
        path.write_bytes(picture)
    write_overview(tmp_path, {})
    assert (tmp_path / "quality.html").stat().st_size < 20e6
    assert len(rows(tmp_path)) == 1000


def test_a_thumbnail_is_that_of_the_result_that_is_there(tmp_path: Path) -> None:
    leave(tmp_path, "sub-01")
    names = finished_images(tmp_path)[0].names
    first = thumbnail(names, KEY)
    kept = thumbnail_path(names).stat().st_mtime_ns
    assert thumbnail(names, KEY) == first
    assert thumbnail_path(names).stat().st_mtime_ns == kept
    image = nib.Nifti1Image.load(names.folder / names["preproc"])
    save(names.folder / names["preproc"], np.zeros(SHAPE, np.float32), image.affine)
    assert thumbnail(names, "ef" * 32) != first


def _finish(out: Path, number: int) -> None:
    (out / f"done-{number}").touch()

    def work() -> None:
        seen = sorted(path.name for path in out.glob("done-*"))
        with (out / "rounds").open("a") as stream:
            stream.write("x")
        time.sleep(0.02)
        (out / "seen").write_text("\n".join(seen))

    done_for_all(out / "logs" / "turn.lock", work)


def test_the_last_round_sees_what_every_job_left(tmp_path: Path) -> None:
    jobs = 24
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_finish, args=(tmp_path, n)) for n in range(jobs)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len((tmp_path / "seen").read_text().split()) == jobs
    assert 1 <= len((tmp_path / "rounds").read_text()) <= jobs


def test_parts_of_people_are_compared_with_each_other(tmp_path: Path) -> None:
    """As left and right knees are, whose maps are mirrored for it: few have many of one side."""
    for place in range(FEWEST):
        leave(tmp_path, f"sub-{place}", 0.80 + place / 1000)
    sides = [
        replace(image, names=replace(image.names, labels={**image.names.labels, "part": side}))
        for image, side in zip(finished_images(tmp_path), "LR" * (FEWEST // 2), strict=True)
    ]
    lines = compared(sides)
    assert len(lines) == FEWEST
    assert all("local_ncc" in line.z for line in lines)


def test_each_report_is_told_its_place_among_the_others(tmp_path: Path) -> None:
    for place in range(10):
        leave(tmp_path, f"sub-{place}", 0.80 + place / 1000)
    leave(tmp_path, "sub-odd", 0.60)
    page = "<p>a</p><!-- prediction:begin --><!-- prediction:end --><!-- cohort:begin -->"
    images = finished_images(tmp_path)
    for image in images:
        image.names.report.write_text(page + "<!-- cohort:end --><p>z</p>")
    odd = [image.names for image in images if image.participant == "sub-odd"]
    after_run(tmp_path, {}, odd)
    text = odd[0].report.read_text()
    assert "Among the 11 images" in text
    assert text.count('class="far"') == 1
    assert "Local likeness to the template (local NCC): 0.600" in text
    assert (tmp_path / "sub-3.html").read_text() == page + "<!-- cohort:end --><p>z</p>"
    assert (tmp_path / "logs" / "CITATION.md").is_file()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.html")}
    after_run(tmp_path, {}, odd)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.html")} == before


def test_histogram_counts_every_voxel_once() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(200, 20, 4000), rng.normal(600, 20, 2000), [np.nan, 1e9]])
    plot = histogram("Before", "units", values)
    assert plot is not None
    heights = [HEIGHT - float(step.split("H")[0]) for step in plot.path.split("V")[1:-1]]
    shares = np.array(heights) / sum(heights)
    low, high = (share.sum() for share in (shares[:32], shares[32:]))
    assert low == pytest.approx(4000 / 6001, abs=0.01)  # the scale ends near 650
    assert high == pytest.approx(2001 / 6001, abs=0.01)
    assert all(0 <= place <= WIDTH for place, _ in plot.ticks)
    assert [text for _, text in plot.ticks] == ["0", "200", "400", "600"]


def test_whole_numbers_fill_the_bins_evenly() -> None:
    plot = histogram("Before", "units", np.repeat(np.arange(1, 1000), 5))
    assert plot is not None
    heights = [HEIGHT - float(step.split("H")[0]) for step in plot.path.split("V")[2:60]]
    assert max(heights) - min(heights) < 1


@pytest.mark.parametrize(("slope", "least"), [(15.96, 0), (15.96, 3), (0.1, -7)])
def test_whole_numbers_with_a_slope_fill_the_bins_evenly(slope: float, least: int) -> None:
    """As read from uint8 with scl_slope, in float32."""
    values = np.repeat(np.arange(least, least + 240), 50).astype(np.float32) * np.float32(slope)
    plot = histogram("Before", "units", values)
    assert plot is not None
    heights = [HEIGHT - float(step.split("H")[0]) for step in plot.path.split("V")[2:55]]
    assert max(heights) - min(heights) < 1
    assert max(heights) == HEIGHT


@pytest.mark.parametrize("values", [[], [np.nan], [0.0, 0.0]])
def test_histogram_of_nothing_is_left_out(values: list[float]) -> None:
    assert histogram("Before", "units", np.array(values)) is None


def test_where_a_person_has_images_of_two_kinds_each_line_says_which(tmp_path: Path) -> None:
    leave(tmp_path, "sub-1")
    write_overview(tmp_path, {})
    assert 'data-label="Image"' not in (tmp_path / "quality.html").read_text()
    name = "sub-1_task-rest_space-MNI152NLin2009aSym_res-2_desc-denoised_bold"
    told = {"Quality": {"verdict": "pass", "reasons": [], "fd_mean": 0.2}, "RunKey": KEY}
    path = tmp_path / "sub-1/func" / f"{name}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(told))
    brain = ball(SHAPE, np.full(3, 4.0), 60).astype(np.float32)
    save(path.with_suffix(".nii.gz"), brain, centred(SHAPE, (4.0, 4.0, 4.0)))
    reference = path.with_name(f"{name.replace('desc-denoised_bold', 'boldref')}.nii.gz")
    save(reference, brain, centred(SHAPE, (4.0, 4.0, 4.0)))
    write_overview(tmp_path, {})
    page = (tmp_path / "quality.html").read_text()
    for kind in ("BOLD series", "T1w image"):
        assert f'<td data-label="Image">{kind}</td>' in page


def press_enter(page: Browser) -> None:
    key = {"key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13}
    for kind in ("keyDown", "keyUp"):
        page.tool("Input.dispatchKeyEvent", type=kind, **key)


@pytest.mark.skipif(bool(missing()), reason=missing() or "all there")
def test_the_table_sorts_and_filters_with_the_keyboard(tmp_path: Path) -> None:
    for place, value in enumerate([0.83, 0.79, 0.81]):
        leave(tmp_path, f"sub-{place}", value, ("pass", "pass", "warn")[place])
    write_overview(tmp_path, {})
    first = "return document.querySelector('#people tbody tr th').textContent"
    with browser() as page:
        page.screen(1280)
        page.open(tmp_path / "quality.html")
        assert page.run(first) == "sub-2"
        heading = "document.querySelectorAll('#people thead button')[4]"
        assert page.run(f"return {heading}.textContent") == "Local likeness"
        page.run(f"{heading}.focus()")
        press_enter(page)
        assert page.run(first) == "sub-1"
        press_enter(page)
        assert page.run(first) == "sub-0"
        page.type("#words", "warn")
        assert page.run("return document.querySelector('#people-count').textContent") == (
            "1 of 3 shown"
        )
        lines = "[...document.querySelectorAll('#people tbody tr')]"
        assert page.run(f"return {lines}.filter(line => line.offsetHeight).length") == 1
        for width in (1280, 390):
            page.screen(width, dark=True)
            assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        assert page.complaints() == []
        assert [url for url in page.requests() if not url.startswith(("file:", "data:"))] == []


@pytest.mark.skipif(bool(missing()), reason=missing() or "all there")
def test_of_many_people_the_later_rows_are_made_when_they_are_asked_for(tmp_path: Path) -> None:
    """With their pictures, which lie beside the page; on paper and without scripts all show."""
    leave(tmp_path, "sub-0000")
    picture = thumbnail_path(finished_images(tmp_path)[0].names)
    thumbnail(finished_images(tmp_path)[0].names, KEY)
    for place in range(1, 1100):
        sidecar = leave_sidecar(tmp_path, f"sub-{place:04d}", quality={"local_ncc": 0.81})
        copy = sidecar.parents[1] / "figures" / picture.name.replace("0000", f"{place:04d}")
        copy.parent.mkdir()
        copy.write_bytes(picture.read_bytes())
    write_overview(tmp_path, {})
    lines = "[...document.querySelectorAll('#people tbody tr')]"
    told = "return document.querySelector('#people-count').textContent"
    drawn = f"{lines}.map(row => row.querySelector('img')).filter(one => one.naturalWidth).length"
    with browser() as page:
        page.screen(1280)
        page.open(tmp_path / "quality.html")
        assert page.run(told) == "1000 of 1100 shown"
        assert page.run(f"return {lines}.length") == 1000
        page.type("#words", "sub-1099")  # looked for among all
        assert page.run(told) == "1 of 1100 shown"
        shown = f"return {lines}.filter(row => row.offsetHeight).map(row => row.cells[0].innerText)"
        assert page.run(shown) == ["sub-1099"]
        page.run("scrollTo(0, document.body.scrollHeight)")
        page.until(f"{lines}.find(row => row.offsetHeight).querySelector('img').naturalWidth")
        page.type("#words", " ")
        page.click(".more")
        assert page.run(told) == "1100 of 1100 shown"
        assert page.run(f"return new Set({lines}.map(row => row.cells[0].innerText)).size") == 1100
        assert page.complaints() == []
        assert [url for url in page.requests() if not url.startswith(("file:", "data:"))] == []
        page.open(tmp_path / "quality.html")
        page.run("dispatchEvent(new Event('beforeprint'))")
        assert page.run(f"return {lines}.length") == 1100
        page.tool("Emulation.setScriptExecutionDisabled", value=True)
        page.open(tmp_path / "quality.html")
        page.tool("Emulation.setScriptExecutionDisabled", value=False)
        assert page.run("return document.querySelectorAll('noscript tr').length") == 100
        assert page.run(f"return {drawn}") >= 1000


def test_what_was_changed_in_an_output_folder_costs_no_page(tmp_path: Path) -> None:
    """Values of another kind than the app writes count as not there; so does a page cut within."""
    changes: list[dict[str, object]] = [
        {"GeneratedWith": "x", "Notes": 5},
        {"Settings": {"speed": [[]], "box": {}}},
        {"Sources": True, "CPUSeconds": []},
    ]
    broken: dict[str, object] = {"ncc": [], "affine_scales": 1.0, "rescued": "x", "reasons": True}
    for place, change in enumerate([*changes, {}]):
        sidecar = leave_sidecar(tmp_path, f"sub-{place}", quality=broken, **change)
        brain = ball(SHAPE, np.full(3, 4.0), 60).astype(np.float32)
        save(sidecar.with_suffix(".nii.gz"), brain, centred(SHAPE, (4.0, 4.0, 4.0)))
        (tmp_path / f"sub-{place}.html").write_bytes(b"<!DOCTYPE html>\xfe")
    names = [image.names for image in finished_images(tmp_path)]
    after_run(tmp_path, {}, names)
    table = (tmp_path / "group" / "quality.tsv").read_text().splitlines()
    assert len(table) == 5
    head, row = (line.split("\t") for line in table[:2])
    assert row[head.index("ncc")] == "n/a"
    assert "Likeness" not in (tmp_path / "quality.html").read_text().split("<thead>")[1][:900]
