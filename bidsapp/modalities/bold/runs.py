"""Prepare each run of a series by itself, and put several one after the other."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.contracts.measure import judged
from bidsapp.contracts.scan import Scan
from bidsapp.modalities.bold import files, steps
from bidsapp.modalities.bold.alignment import Aligned, align
from bidsapp.modalities.bold.anatomy import Anatomy
from bidsapp.modalities.bold.cleaning import Cleaned
from bidsapp.modalities.bold.confounds import Confounds
from bidsapp.modalities.bold.field import Susceptibility, measured_field
from bidsapp.modalities.bold.measures import MEASURES
from bidsapp.modalities.bold.quality import measure
from bidsapp.modalities.bold.reading import Run, read_run
from bidsapp.modalities.bold.steps import Standard
from bidsapp.modalities.bold.strategies import STRATEGIES

if TYPE_CHECKING:
    import pandas as pd
    import torch

_SPIKES = ("motion_outlier", "non_steady_state_outlier")
SUMMED = ("minutes_left", "freedom")
"""Numbers of which a series has the sum of its runs': a run by itself is not judged by them."""
_AVERAGED = ("fd_mean", "fd_over", "std_dvars")


@dataclass(frozen=True)
class PreparedRun:
    """A run, or several joined, with all that the steps made of it.

    Attributes
    ----------
    run
        As acquired; the first of several.
    aligned
        Its motion and place; of the first of several.
    standard, confounds, cleaned
        In standard space, its confounds, and denoised.
    quality
        Its measures, verdict and reasons.
    notes
        What was repaired or assumed, a sentence each.
    seconds
        Of CPU, by step.
    volumes
        Of each run.
    told
        What the sidecar says of each run: `told_of`.
    means
        Mean of each run in standard space, float32 (V,), at its own brightness.
    doubts
        What keeps the verdict from ``pass`` whatever is measured, a sentence each.
    """

    run: Run
    aligned: Aligned
    standard: Standard
    confounds: Confounds
    cleaned: Cleaned
    quality: Mapping[str, Any]
    notes: list[str]
    seconds: dict[str, float]
    volumes: tuple[int, ...] = field(default=())
    told: tuple[Mapping[str, Any], ...] = field(default=())
    means: tuple[np.ndarray, ...] = field(default=())
    doubts: tuple[str, ...] = field(default=())

    def kept_of_runs(self) -> tuple[int, ...]:
        """Give how many volumes of each run are left in the denoised series."""
        ends = np.searchsorted(self.cleaned.kept, np.cumsum(self.volumes))
        return tuple(int(count) for count in np.diff(ends, prepend=0))


def told_of(
    run: Run, aligned: Aligned, source: str = "", quality: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Say of a run what may be otherwise in another one that it is joined with.

    Of its quality the numbers alone: the series is judged.
    """
    numbers = {one.key: quality[one.key] for one in MEASURES if one.key in quality}
    return {
        "Source": source,
        "Quality": numbers,
        "StartTime": run.timing.middle,
        "SliceTimingCorrected": run.timing.apart,
        "SusceptibilityDistortion": aligned.field.plain(run.affine, aligned.brain),
        "RegistrationToT1w": aligned.place.plain(),
        "T1wToSeries": np.round(aligned.to_series, 6).tolist(),
    }


def prepare_run(
    scan: Scan,
    anatomy: Anatomy,
    template_mask: Path,
    settings: Mapping[str, Any],
    device: "torch.device",
    nthreads: int,
) -> PreparedRun:
    """Do all steps for one run.

    Parameters
    ----------
    scan
        With one main file.
    anatomy
        What the normalisation of the person's T1w image left.
    template_mask
        The template's brain on the output grid.
    settings
        Of the preparation.
    device, nthreads
        Of the registrations.
    """
    name = scan.main.relative_path
    seconds: dict[str, float] = {}
    with _timed(seconds, "reading"):
        metadata = files.series_metadata(scan, settings["slice_timing"])
        run = read_run(scan.main.path, metadata)

    def measured(mean: np.ndarray) -> Susceptibility:
        return measured_field(run, mean, scan, metadata, device)

    with _timed(seconds, "alignment"):
        aligned = align(
            run,
            anatomy,
            measured if settings.get("susceptibility") == "auto" else None,
            seed=settings["seed"],
            device=device,
            nthreads=nthreads,
        )
    with _timed(seconds, "resampling"):
        standard = steps.to_standard(run, aligned, anatomy, template_mask, device)
    with _timed(seconds, "confounds"):
        strategy = STRATEGIES[settings["confounds"]]
        confounds = steps.confounds_in(standard, aligned, run.timing.tr, strategy, name)
    with _timed(seconds, "denoising"):
        cleaned = steps.denoise(
            standard.series,
            standard.covered,
            standard.mask,
            standard.affine,
            confounds.table,
            run.timing.tr,
            settings,
            name,
        )
    with _timed(seconds, "quality"):
        t1w = steps.on_grid(anatomy.normalised, template_mask)[standard.mask]
        doubts = (*run.doubts, *anatomy.doubts)
        quality = measure(run, aligned, standard, confounds.table, cleaned, t1w, doubts)
    notes = [*run.notes, *filter(None, [aligned.field.sentence, aligned.place.why])]
    volumes = (len(standard.series),)
    # the series as acquired is not needed any more; several would fill the memory
    bare = replace(run, data=run.data[..., :0])
    return PreparedRun(
        *(bare, aligned, standard, confounds, cleaned, quality, notes, seconds, volumes),
        told=(told_of(bare, aligned, scan.main.address, quality),),
        means=(standard.series.mean(axis=0),),
        doubts=doubts,
    )


def joined(runs: Sequence[PreparedRun]) -> PreparedRun:
    """Put runs one after the other, in the order of their names; a single one is left as it is.

    Each was realigned, registered, filtered and denoised by itself: nothing is taken from one run
    to another, and no filter runs across the gap between two. Voxels that one of them does not
    reach are left out of all. A scanner sets its gain anew for each run: each is multiplied so that
    its brain is as bright as the first one's, by the median over voxels of the mean over volumes
    (grand mean scaling), so that no run outweighs another. Times and freedom add up, motion and
    DVARS are averaged over volumes, and of everything else the worst run's number is the series'.
    What is doubtful of one run is doubtful of the series.
    """
    if len(runs) == 1:
        return runs[0]
    first = runs[0]
    covered = np.logical_and.reduce([one.standard.covered for one in runs])
    level = [float(np.median(one.standard.series.mean(axis=0)[covered])) for one in runs]
    scales = [np.float32(level[0] / own) for own in level]
    series = np.concatenate(
        [one.standard.series * scale for one, scale in zip(runs, scales, strict=True)]
    )
    cleaned = np.concatenate(
        [one.cleaned.series * scale for one, scale in zip(runs, scales, strict=True)]
    )
    series[:, ~covered] = 0
    cleaned[:, ~covered] = 0
    counts = [count for one in runs for count in one.volumes]
    starts = np.cumsum([0, *counts[:-1]])
    kept = np.concatenate([one.cleaned.kept + at for one, at in zip(runs, starts, strict=True)])
    doubts = _doubts([one.doubts for one in runs])
    seconds: dict[str, float] = {}
    for one in runs:
        for step, spent in one.seconds.items():
            seconds[step] = round(seconds.get(step, 0.0) + spent, 3)
    return PreparedRun(
        first.run,
        first.aligned,
        replace(first.standard, series=series, covered=covered),
        Confounds(
            _table([one.confounds.table for one in runs]),
            _about([one.confounds.about for one in runs]),
        ),
        Cleaned(cleaned, kept, sum(one.cleaned.freedom for one in runs)),
        _quality([one.quality for one in runs], counts, doubts),
        [
            f"{len(runs)} runs of {', '.join(map(str, counts))} volumes were prepared one by one "
            "and put one after the other, brought to the brightness of the first "
            f"(times {', '.join(f'{scale:.3f}' for scale in scales)}).",
            *[f"Run {n}: {note}" for n, one in enumerate(runs, start=1) for note in one.notes],
        ],
        seconds,
        tuple(counts),
        tuple(told for one in runs for told in one.told),
        tuple(mean for one in runs for mean in one.means),
        doubts,
    )


def _doubts(runs: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Say once what is doubtful of all runs, and with its number what is of some."""
    every = [doubt for doubt in runs[0] if all(doubt in own for own in runs)]
    some = [
        f"Run {n}: {doubt}"
        for n, own in enumerate(runs, start=1)
        for doubt in own
        if doubt not in every
    ]
    return (*every, *some)


def _about(tables: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Say of each column what holds of all runs, and what was found in each by itself.

    Under ``Runs``, in their order; None for a run that has no such column, which is 0 there.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(name for table in tables for name in table):
        each = [table.get(name) for table in tables]
        told = [one for one in each if one is not None]
        same = {key: v for key, v in told[0].items() if all(one.get(key) == v for one in told)}
        found[name] = {
            **same,
            "Runs": [
                None if one is None else {key: one[key] for key in one if key not in same}
                for one in each
            ],
        }
    return found


def _table(tables: Sequence["pd.DataFrame"]) -> "pd.DataFrame":
    """Put confounds one below the other; each outlier keeps a column of its own.

    A difference to the volume before is 0 where a later run begins, as there is none; only the
    first row of a table may lack a number.
    """
    import pandas as pd

    plain, spikes = [], []
    for number, table in enumerate(tables):
        names = [name for name in table if str(name).startswith(_SPIKES)]
        rest = table.drop(columns=names)
        plain.append(rest if number == 0 else rest.fillna(0.0))
        spikes.append(table[names])
    whole = pd.concat(plain, ignore_index=True).fillna(0.0)
    whole.iloc[0] = plain[0].iloc[0].reindex(whole.columns)
    at, found = 0, dict.fromkeys(_SPIKES, 0)
    for own in spikes:
        for name in own:
            kind = next(one for one in _SPIKES if str(name).startswith(one))
            column = np.zeros(len(whole))
            column[at : at + len(own)] = own[name]
            whole[f"{kind}{found[kind]:02d}"] = column
            found[kind] += 1
        at += len(own)
    return whole


def _quality(
    blocks: Sequence[Mapping[str, Any]], volumes: Sequence[int], doubts: Sequence[str] = ()
) -> dict[str, Any]:
    """Give the quality block of joined runs; see `joined`."""
    found: dict[str, Any] = {}
    for one in MEASURES:
        told = [
            (block[one.key], count)
            for block, count in zip(blocks, volumes, strict=True)
            if block.get(one.key) is not None
        ]
        values = [value for value, _ in told]
        if not values:
            found[one.key] = None
        elif one.key in SUMMED:
            found[one.key] = sum(values)
        elif one.key in _AVERAGED:
            found[one.key] = float(np.average(values, weights=[count for _, count in told]))
        else:
            found[one.key] = min(values) if one.bad == "low" else max(values)
    verdict, reasons = judged(MEASURES, found, doubts)
    return found | {"verdict": verdict, "reasons": list(reasons)}


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Note the CPU seconds of a step."""
    start = time.process_time()
    yield
    seconds[step] = round(time.process_time() - start, 3)
