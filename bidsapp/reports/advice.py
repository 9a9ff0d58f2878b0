"""What to do about a normalisation that is doubtful or failed."""

from collections.abc import Mapping, Sequence
from typing import Any

from bidsapp.normalization.quality import FAIL, WARN
from bidsapp.reports.quality_rows import Row

_ADVICE = {
    "ncc": (
        "Switch between participant and template in the registration mosaic. A brain that is "
        "tilted, upside down or mirrored has a wrong header: convert it again from the DICOM "
        "files. A brain of another contrast is not a T1w image: choose the right file with "
        "--bids-filter-file."
    ),
    "local_ncc": (
        "Follow the inner contour in the registration mosaic. If only details miss, run again with "
        "--speed precise. If large lesions, enlarged ventricles or motion cause it, decide "
        "whether the participant belongs in the analysis."
    ),
    "brain_volume_ml": (
        "Look at the brain mask on the native image. Where it is wrong, give the app an image that "
        "is skull-stripped already: it is recognised. Where it is right, check the voxel sizes in "
        "the header."
    ),
    "affine_scales": (
        "Check the voxel sizes in the header, then the brain mask: a mask with neck or without "
        "part of the brain makes the affine stretch."
    ),
    "folded_fraction": (
        "Look for sharp dark spots in the volume-change maps. Where they lie in a region of "
        "interest, do not use that region of the log-Jacobian map."
    ),
    "cut_faces": (
        "Look at the border of the native image. If only a rim of the mask touches it, nothing is "
        "lost; if part of the brain was not scanned, choose another scan with "
        "--bids-filter-file or leave the participant out."
    ),
    "rescued": (
        "Settle left and right before anything that depends on the side: compare with the DICOM "
        "files or a marker, repair the header, and run again."
    ),
}
_OTHERWISE = (
    "Read the reasons above, then look at both mosaics. If the header leaves left and right open, "
    "compare with the DICOM files before anything that depends on the side."
)
_AFTER_FAIL = (
    "If it cannot be mended, do nothing: the group level leaves the participant out by itself and "
    "says why in exclusions.tsv."
)
_AFTER_WARN = (
    "If the overlays look right, go on: the group level keeps the participant. If they do not, "
    "leave the participant out with --participant-label."
)


def advice(quality: Mapping[str, Any], rows: Sequence[Row]) -> list[str]:
    """Sentences that say what to do; empty for a pass."""
    verdict = quality.get("verdict")
    if verdict not in (WARN, FAIL):
        return []
    flagged = {row.key for row in rows if row.status in (WARN, FAIL)}
    steps = [text for key, text in _ADVICE.items() if key in flagged]
    if len(quality.get("reasons", ())) > len(flagged) or not steps:
        steps.append(_OTHERWISE)
    return [*steps, _AFTER_FAIL if verdict == FAIL else _AFTER_WARN]
