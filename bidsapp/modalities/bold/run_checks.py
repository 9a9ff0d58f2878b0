"""Runs of a series told apart, and refused by what headers and JSON files say."""

from dataclasses import replace
from typing import Any

from bidsapp.contracts.scan import Scan
from bidsapp.errors import BadData, UsageError
from bidsapp.modalities.bold import files
from bidsapp.modalities.bold.cleaning import check_length
from bidsapp.modalities.bold.field_files import check_fields
from bidsapp.modalities.bold.reading import check_run
from bidsapp.modalities.bold.strategies import STRATEGIES

# Repetition times of runs that are joined differ by no more, as a share.
_SAME = 1e-3


def each_run(scan: Scan) -> list[Scan]:
    """Give the scan of every run: its main file alone, and all others."""
    main = next(iter(scan.files))
    return [replace(scan, files={**scan.files, main: (file,)}) for file in scan.files[main]]


def check_runs(scan: Scan, settings: Any) -> None:
    """Refuse runs by their headers and JSON files, which are read in no time.

    Raises
    ------
    BadData
        One cannot be prepared (`check_run`, `check_length`), or their RepetitionTimes differ.
    UsageError
        They are no runs of one series, and somebody has to choose.
    """
    strategy, times = STRATEGIES[settings.confounds], []
    for one in each_run(scan):
        path = one.main.path
        metadata = files.series_metadata(one, settings.slice_timing)
        volumes, tr = check_run(path, metadata)
        if settings.susceptibility == "auto":
            check_fields(one, metadata)
        check_length(volumes, strategy, tr, settings.band_pass_hz, str(path))
        times.append((one.main.relative_path, tr))
    names = [{k: v for k, v in one.main.entities.items() if k != "run"} for one in each_run(scan)]
    for other in names[1:]:
        apart = sorted(
            key for key in other.keys() | names[0].keys() if other.get(key) != names[0].get(key)
        )
        if apart:
            listed = ", ".join(path for path, _ in times)
            raise UsageError(
                f"{listed}: preparation.runs=join joins runs that differ in nothing but run-; "
                f"these differ in {', '.join(apart)}. Choose among them with --bids-filter-file."
            )
    first, tr = times[0]
    for name, other_tr in times[1:]:
        if abs(other_tr / tr - 1) > _SAME:
            raise BadData(
                f"{name}: {other_tr:g} s lie between volumes, {tr:g} s in {first}; only runs of "
                "one RepetitionTime can be joined. Choose one with --bids-filter-file."
            )
