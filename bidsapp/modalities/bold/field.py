"""What is known of the field in which a series was taken: a map, a reversed phase, or nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.contracts.scan import Scan, SourceFile
from bidsapp.errors import BadData, NoInput
from bidsapp.intake.images import read_numbers
from bidsapp.modalities.bold.bend import bend_onto
from bidsapp.modalities.bold.boundary import Placed
from bidsapp.modalities.bold.field_files import (
    DIFFERENCE,
    FIELD_MAP,
    MAGNITUDE,
    PHASE1,
    PHASE2,
    REVERSED,
    is_meant,
    metadata_of_file,
    partner,
    suffix_of,
)
from bidsapp.modalities.bold.phase_difference import echo_gap, hertz_of, radians
from bidsapp.modalities.bold.reading import Run, phase_not_known, phase_of
from bidsapp.modalities.bold.readout import readout_of, same_readout
from bidsapp.modalities.bold.susceptibility import (
    LEAST_GAIN,
    Displacement,
    of_field,
    of_reversed,
)
from bidsapp.modalities.bold.white_matter import Boundary

if TYPE_CHECKING:
    import torch

_PER_SECOND = {"Hz": 1.0, "rad/s": 1 / (2 * np.pi)}


@dataclass(frozen=True)
class Susceptibility:
    """How the field's displacement of a series was corrected, and how it was known.

    Attributes
    ----------
    displacement
        None where nothing was corrected.
    method
        ``map``, ``phases``, ``reversed``, ``registration`` or ``none``.
    why
        A sentence for people.
    facts
        For the sidecar: numbers of the fit.
    """

    displacement: Displacement | None
    method: str
    why: str
    facts: Mapping[str, Any]

    def judged(self, before: float, fit: Callable[[Displacement], float]) -> "Susceptibility":
        """Keep a displacement only where the series then fits the T1w image at least as well.

        Parameters
        ----------
        before
            How well it fits without: mean local correlation.
        fit
            How well it fits with a displacement; -inf where the two then cannot be registered.
        """
        assert self.displacement is not None
        after = fit(self.displacement)
        facts = {**self.facts, "FitBefore": round(before, 4)}
        if isfinite(after):
            facts["FitAfter"] = round(after, 4)
        if after >= before:
            told = f"(mean local correlation {after:.3f}, {before:.3f} without)"
            why = f"{self.why} With it the mean volume fits the T1w image as well or better {told}."
            return replace(self, why=why, facts=facts)
        less = (
            "fits the T1w image less well than without (mean local correlation "
            f"{after:.3f} and {before:.3f})"
            if isfinite(after)
            else "cannot be registered to the T1w image"
        )
        why = f"{self.why} With it the mean volume {less}, so that it is not used."
        if self.method in ("map", "phases"):
            reverse = fit(self.displacement.reverse)
            if isfinite(reverse):
                facts["FitReversed"] = round(reverse, 4)
            if reverse > before + LEAST_GAIN:
                why += (
                    f" With its sense reversed it would fit better ({reverse:.3f}): look whether "
                    "PhaseEncodingDirection has the right sign."
                )
        return none_because(why, facts)

    @property
    def sentence(self) -> str:
        """What the page says; empty where nothing was to be corrected."""
        if not self.why:
            return ""
        done = "Susceptibility was corrected" if self.displacement else "Susceptibility was not"
        return f"{done}{'' if self.displacement else ' corrected'}: {self.why}"

    def plain(self, affine: np.ndarray, brain: np.ndarray) -> dict[str, Any]:
        """Say it for the sidecar, with the largest displacement inside the brain in mm.

        `brain` is that of the T1w image: what is bright in the series reaches into sinuses and
        scalp, where phases are noise.
        """
        told: dict[str, Any] = {"Method": self.method, "Description": self.why, **self.facts}
        if self.displacement is not None:
            size = float(np.linalg.norm(affine[:3, self.displacement.axis]))
            told["LargestDisplacement"] = round(
                float(np.abs(self.displacement.voxels[brain]).max(initial=0.0)) * size, 2
            )
        return told


def none_because(why: str, facts: Mapping[str, Any] = MappingProxyType({})) -> Susceptibility:
    """Say that nothing is corrected."""
    return Susceptibility(None, "none", why, facts)


def measured_field(
    run: Run, reference: np.ndarray, scan: Scan, metadata: Mapping[str, Any], device: "torch.device"
) -> Susceptibility:
    """Find the displacement from a field map or from images with the phase reversed.

    Parameters
    ----------
    run, metadata
        The series, and its metadata.
    reference
        Its mean volume.
    scan
        Its files; those of a map of the field, of the phases of two echoes and of images with the
        phase reversed serve, in this order, where they are meant for it.
    device
        For the registration of images with the same phase.

    Returns
    -------
    Susceptibility
        Of method ``none`` where neither can be used; `why` says what is missing.
    """
    if run.phase is None:
        return none_because(phase_not_known(metadata))
    told = []
    for source, find in _KINDS:
        files = [file for file in scan.files.get(source, ()) if is_meant(file, scan, metadata)]
        if not files:
            continue
        try:
            return find(_Asked(run, reference, scan, metadata, device), files)
        except (BadData, NoInput) as error:
            told.append(str(error))
    return none_because(" ".join(told) or "There is no field map and no reversed phase.")


def fitted_field(
    run: Run,
    reference: np.ndarray,
    boundary: Boundary | None,
    place: Placed,
    measured: Susceptibility,
) -> Susceptibility:
    """Bend the series along its phase onto the boundary of white matter, where that gains enough.

    Parameters
    ----------
    run
        The series, whose phase is known.
    reference
        Its mean volume.
    boundary
        Of white matter in the T1w image; None where it shows too little of one.
    place
        Where that lies in the series.
    measured
        Of method ``none``: why nothing was measured, or not used.

    Returns
    -------
    Susceptibility
        It is still to be `judged`: the fit does not know the rest of the image.
    """
    assert run.phase is not None
    axis, _ = run.phase
    why = measured.why
    facts = {f"Measured{name}": value for name, value in measured.facts.items()}
    if boundary is None or place.method != "boundary":
        return none_because(
            f"{why} The boundary of white matter, onto which it could be bent, was not found in "
            "it.".strip(),
            facts,
        )
    # the read-out: neither phase nor slices, and no field bends along it
    across = min({0, 1, 2} - {axis, run.timing.axis})
    bend = bend_onto(reference, run.affine, boundary, place.to_series, axis, across)
    facts |= {"BoundaryGain": round(bend.gained, 5), "BoundaryGainAcross": round(bend.across, 5)}
    if not bend.improves:
        return none_because(
            f"{why} Bending along the phase did not improve the contrast across the boundary of "
            "white matter by more than bending across the phase.".strip(),
            facts,
        )
    return Susceptibility(
        bend.displacement,
        "registration",
        f"{why} The mean volume was bent along its phase onto the boundary of white "
        "matter.".strip(),
        facts,
    )


@dataclass(frozen=True)
class _Asked:
    """What a displacement is asked for; see `measured_field`."""

    run: Run
    reference: np.ndarray
    scan: Scan
    metadata: Mapping[str, Any]
    device: "torch.device"


def _of_map(asked: _Asked, files: Sequence[SourceFile]) -> Susceptibility:
    (file,) = files[:1]
    units = str(metadata_of_file(file, "fieldmap").get("Units", ""))
    if units not in _PER_SECOND:
        raise BadData(f"{file.relative_path}: Units in its JSON are {units!r}; Hz is expected.")
    values, affine = read_numbers(file.path)
    if values.ndim != 3 or not np.isfinite(values).all():
        raise BadData(f"{file.relative_path} is no map of a field: one finite volume is expected.")
    words = f"A map of the field ({file.relative_path}) said how far the phase was displaced."
    return _mapped(asked, values * _PER_SECOND[units], affine, words)


def _of_phases(asked: _Asked, files: Sequence[SourceFile]) -> Susceptibility:
    """Make a map of the field of the phases of two echoes, or of their difference."""
    (file,) = files[:1]
    name = file.relative_path
    told, magnitude = metadata_of_file(file, suffix_of(file)), partner(asked.scan, file, MAGNITUDE)
    values, affine = read_numbers(file.path)
    phase = radians(values, told.get("Units"), name)
    if suffix_of(file) == "phasediff":
        gap = echo_gap(told, None, name)
    else:
        second = partner(asked.scan, file, PHASE2)
        other = metadata_of_file(second, "phase2")
        gap = echo_gap(told, other, name)
        later = radians(read_numbers(second.path)[0], other.get("Units"), second.relative_path)
        if later.shape != phase.shape:
            raise BadData(f"{name} has shape {phase.shape}, its _phase2 {later.shape}.")
        phase = later - phase
    hertz = hertz_of(phase, read_numbers(magnitude.path)[0], gap, name)
    words = f"The phases of two echoes ({name}) said how far the phase was displaced."
    return _mapped(asked, hertz, affine, words, "phases", EchoTimeDifference=round(gap, 6))


def _mapped(
    asked: _Asked,
    hertz: np.ndarray,
    affine: np.ndarray,
    words: str,
    method: str = "map",
    **facts: float,
) -> Susceptibility:
    """Turn a map in Hz on its own grid into the displacement of a series."""
    assert asked.run.phase is not None
    axis, sense = asked.run.phase
    readout, assumed = readout_of(asked.metadata, asked.run.data.shape[axis])
    found = of_field(_on(hertz, affine, asked.run), readout, axis, sense)
    told = " ".join(filter(None, [words, assumed]))
    return Susceptibility(found, method, told, {"TotalReadoutTime": round(readout, 6), **facts})


def _of_reversed(asked: _Asked, files: Sequence[SourceFile]) -> Susceptibility:
    """Compare images of both senses of the phase; the series' own mean stands in for its sense."""
    run, reference, metadata = asked.run, asked.reference, asked.metadata
    assert run.phase is not None
    axis, sense = run.phase
    images: dict[int, np.ndarray] = {}
    for file in files:
        values, affine = read_numbers(file.path)
        told = metadata_of_file(file, "epi")
        phase = phase_of(told, file.path)
        if phase is None or phase[0] != axis:
            continue
        both = {asked.scan.main.relative_path: metadata, file.relative_path: told}
        if not same_readout(both):
            continue
        mean = values if values.ndim == 3 else values.mean(axis=-1)
        images.setdefault(phase[1], _on(mean, affine, run))
    if -sense not in images:
        raise BadData(
            f"{files[0].relative_path}: none of the images for this series has its phase along the "
            "same axis, reversed, with the same TotalReadoutTime."
        )
    same, other = images.get(sense, reference), images[-sense]
    if sense in images:
        same, other = _onto(reference, same, other, run, asked.device)
    found = of_reversed(same, other, run.voxel_sizes, axis)
    return Susceptibility(
        found,
        "reversed",
        "Images with the phase reversed said how far it was displaced.",
        {},
    )


def _onto(
    reference: np.ndarray,
    same: np.ndarray,
    other: np.ndarray,
    run: Run,
    device: "torch.device",
) -> tuple[np.ndarray, np.ndarray]:
    """Bring two images to where the head lay in the reference, by that of the same phase."""
    from bidsapp.modalities.bold.motion import register_to
    from bidsapp.modalities.bold.resampling import resample

    matrix = register_to(reference, same, run.affine, device)
    grid = np.moveaxis(np.indices(reference.shape), 0, -1).reshape(-1, 3)
    points = grid @ run.affine[:3, :3].T + run.affine[:3, 3]
    both = np.stack([same, other], axis=-1).astype(np.float32)
    moved = resample(both, run.affine, np.stack([matrix, matrix]), points, device)
    one, two = moved.series.reshape(2, *reference.shape)
    return one, two


def _on(values: np.ndarray, affine: np.ndarray, run: Run) -> np.ndarray:
    """Read an image at the centres of the series' voxels, linearly; its edge beyond."""
    from scipy.ndimage import map_coordinates

    shape = run.data.shape[:3]
    grid = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3)
    there = np.linalg.inv(affine) @ run.affine
    at = grid @ there[:3, :3].T + there[:3, 3]
    read = map_coordinates(values.astype(np.float32), at.T, order=1, mode="nearest")
    return np.asarray(read.reshape(shape))


_KINDS = (
    (FIELD_MAP, _of_map),
    (DIFFERENCE, _of_phases),
    (PHASE1, _of_phases),
    (REVERSED, _of_reversed),
)
