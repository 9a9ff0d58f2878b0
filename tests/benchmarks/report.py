"""How long the group report takes to write and to open, and how large it is.

``python -m tests.benchmarks.report [PEOPLE ...]``: for each size (48 and 1,000 by default) an
invented run of three networks with maps of each; CPU seconds of writing, of nilearn's `view_img`
for one of the maps (the peer), megabytes, and the time Chromium takes from asking for the page to
having loaded it, with the CPU seconds of all its processes meanwhile, medians of five.
"""

import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from bidsapp.reports.group_report import write_group_report
from tests.unit import chromium
from tests.unit.group_pages import finished_run
from tests.unit.saliency_folders import write_saliency

VARIANTS = ("axial", "coronal", "sagittal")
_LOADED = (
    "const t = performance.getEntriesByType('navigation')[0];"
    "return [t.domContentLoadedEventEnd, t.loadEventEnd]"
)


def _peer(folder: Path) -> tuple[float, float]:
    """CPU seconds and MB of nilearn's viewer of one map."""
    from nilearn.plotting import view_img

    path = next((folder / "saliency" / "axial").glob("*.nii.gz"))
    began = time.process_time()
    page = view_img(str(path), threshold=0.2).get_standalone()
    return time.process_time() - began, len(page) / 1e6


def opening(page: Path) -> tuple[float, float]:
    """Median seconds until a page has loaded, and of CPU in the browser's processes meanwhile."""
    with chromium.browser() as window:
        window.screen(1280)
        waited, spent = [], []
        for _ in range(5):
            before = _browser_seconds()
            window.open(page)
            waited.append(float(window.run(_LOADED)[1]) / 1000)
            spent.append(_browser_seconds() - before)
    return statistics.median(waited), statistics.median(spent)


def _browser_seconds() -> float:
    """CPU seconds so far of the processes that this one has begun."""
    found = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            found += sum(process.cpu_times()[:2])
    return found


def main(sizes: list[int]) -> None:
    """Print a line for each size."""
    for people in sizes:
        with tempfile.TemporaryDirectory() as home:
            folder = Path(home) / "group" / "attias2025"
            folder.mkdir(parents=True)
            finished_run(folder, n=people, variants=VARIANTS)
            for variant in VARIANTS:
                write_saliency(folder, variant)
            write_group_report(folder)  # imports and templates are read once before the clock runs
            began = time.process_time()
            page = write_group_report(folder)
            spent = time.process_time() - began
            peer, peer_mb = _peer(folder)
            print(
                f"{people} people: {spent:.2f} CPU s to write, {page.stat().st_size / 1e6:.2f} MB; "
                f"nilearn view_img of one of its 6 maps: {peer:.2f} CPU s, {peer_mb:.2f} MB",
                flush=True,
            )
            if chromium.missing():
                print(f"  opening not measured: {chromium.missing()}")
            else:
                waited, used = opening(page)
                print(f"  opens in {waited:.2f} s, {used:.2f} CPU s (Chromium, medians of 5)")


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [48, 1000])
