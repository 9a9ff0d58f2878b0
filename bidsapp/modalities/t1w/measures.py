"""The quality numbers of a normalised T1w image, in the order of the sidecar."""

import math
from statistics import fmean

from bidsapp.contracts.measure import WARN, Block, Limits, Measure

# Over the 48 heads of IXI and the 6 of ds000011 local NCC is .75 to .81 and NCC .74 to .82; every
# failure that was provoked falls below these limits.
NCC = Limits(low=0.65)
LOCAL_NCC_FAILS, LOCAL_NCC_WARNS = Limits(low=0.55), Limits(low=0.70)
VOLUME_ML = Limits(900.0, 2100.0)
AFFINE_SCALE = Limits(0.7, 1.3)
FOLDED = Limits(high=0.005)
EDGE_MM2 = 200.0
"""More brain than this on a side of the field of view: part of it may not have been scanned."""
TEMPLATE = {"space": ("template",)}
"""Settings under which there is a template to compare with."""
LOCAL_RADIUS = 2
"""Voxels of 2 mm: local correlation is taken in cubes of 10 mm."""
BRIGHT = 0.005
"""From this share of the brain on, voxels brighter than any tissue are no chance: of 54 heads
without contrast agent none had more than .0015."""


def _size(block: Block) -> float | None:
    """Geometric mean of the affine's three scales."""
    scales = block.get("affine_scales") or ()
    if not scales or min(scales) <= 0:
        return None
    return math.exp(fmean(math.log(scale) for scale in scales))


MEASURES = (
    Measure(
        "ncc",
        "Likeness to the template (NCC)",
        "Correlation with the template over the whole brain: is it the right organ, the right "
        "way up, in the right contrast?",
        short="Likeness",
        digits=3,
        limit_digits=2,
        fails=NCC,
        reason="NCC with the template is {value:.2f} (below {limit}).",
        advice="Switch between participant and template in the registration mosaic. A brain that "
        "is tilted, upside down or mirrored has a wrong header: convert it again from the DICOM "
        "files. A brain of another contrast is not a T1w image: choose the right file with "
        "--bids-filter-file.",
        bad="low",
        place=2,
        scale=(0.3, 1.0),
        confound=True,
        column="Correlation with the template.",
        only=TEMPLATE,
    ),
    Measure(
        "local_ncc",
        "Local likeness to the template (local NCC)",
        f"Correlation with the template in small cubes ({(2 * LOCAL_RADIUS + 1) * 2} mm), "
        "averaged: do folds and nuclei lie on each other? The best single number.",
        short="Local likeness",
        digits=3,
        limit_digits=2,
        fails=LOCAL_NCC_FAILS,
        warns=LOCAL_NCC_WARNS,
        reason="Local NCC with the template is {value:.2f} (below {limit}).",
        advice="Follow the inner contour in the registration mosaic. If only details miss, run "
        "again with --speed precise. If large lesions, enlarged ventricles or motion cause it, "
        "decide whether the participant belongs in the analysis.",
        bad="low",
        place=1,
        scale=(0.3, 1.0),
        confound=True,
        column="Correlation with the template in small cubes, averaged.",
        only=TEMPLATE,
    ),
    Measure(
        "brain_volume_ml",
        "Brain volume",
        "Volume of the brain mask on the native image. Too small: brain is missing. "
        "Too large: skull, eyes or neck are in it.",
        unit="ml",
        digits=0,
        fails=VOLUME_ML,
        reason="The brain mask holds {shown} (expected {expected}).",
        advice="Look at the brain mask on the native image. Where it is wrong, give the app an "
        "image that is skull-stripped already: it is recognised. Where it is right, check the "
        "voxel sizes in the header.",
        bad="both",
        place=3,
        scale=(400.0, 2600.0),
        column="Brain volume.",
    ),
    Measure(
        "affine_scales",
        "Size against the template",
        "How many times larger than the template the participant is, along three perpendicular "
        "directions.",
        kind="numbers",
        limit_digits=1,
        fails=AFFINE_SCALE,
        reason="The affine scales by {low:.2f} to {high:.2f} "
        f"(expected {AFFINE_SCALE.low} to {AFFINE_SCALE.high}).",
        advice="Check the voxel sizes in the header, then the brain mask: a mask with neck or "
        "without part of the brain makes the affine stretch.",
        place=4,
        scale=(0.4, 1.6),
        only=TEMPLATE,
    ),
    Measure(
        "size",
        "Size against the template (mean of three directions)",
        "Geometric mean of the three sizes against the template.",
        short="Size",
        digits=3,
        bad="both",
        of=_size,
        on_page=False,
        place=4,
        column="Size against the template, mean of three directions.",
        only=TEMPLATE,
    ),
    Measure(
        "mask_dice",
        "Overlap of the brain masks (Dice)",
        "Overlap of the normalised brain mask with the template's. It stays high even in most "
        "failures, so nothing hangs on it.",
        short="Mask overlap",
        digits=3,
        bad="low",
        place=9,
        confound=True,
        column="Dice of the brain mask and the template's.",
        only=TEMPLATE,
    ),
    Measure(
        "folded_fraction",
        "Folded tissue",
        "Share of the brain in which the deformation turns space inside out.",
        short="Folded",
        unit="%",
        limit_digits=1,
        warns=FOLDED,
        reason="The deformation folds in {value:.1%} of the brain.",
        advice="Look for sharp dark spots in the volume-change maps. Where they lie in a region "
        "of interest, do not use that region of the log-Jacobian map.",
        bad="high",
        place=5,
        scale=(0.0, 0.01),
        confound=True,
        column="Share of voxels where the transform folds.",
        only=TEMPLATE,
    ),
    Measure(
        "bright_share",
        "Brighter than any tissue",
        "Share of the brain that is brighter than its white matter, as vessels with contrast "
        f"agent are; none where it is below {BRIGHT:.1%}. Both likenesses are taken without it.",
        unit="%",
        digits=1,
        zero="none",
        expected="none, without contrast agent",
        place=6,
        confound=True,
        column="Share of the brain that is brighter than any tissue, as vessels with contrast "
        f"agent are; 0 where it is below {BRIGHT:g}.",
    ),
    Measure(
        "cut_faces",
        "Brain cut by the field of view",
        f"Sides of the image on which more than {EDGE_MM2 / 100:g} cm² of brain lie: was part of "
        "the brain not scanned?",
        kind="names",
        raised=WARN,
        reason="The brain touches the edge of the field of view ({shown}).",
        advice="Look at the border of the native image. If only a rim of the mask touches it, "
        "nothing is lost; if part of the brain was not scanned, choose another scan with "
        "--bids-filter-file or leave the participant out.",
        place=7,
        column="Faces of the field of view that cut the brain.",
    ),
    Measure(
        "rescued",
        "Orientation found from the image",
        "Whether the header's orientation had to be set aside. If so, left and right cannot be "
        "verified from the file.",
        kind="flag",
        raised=WARN,
        reason="The orientation in the header was wrong and another was found from the image; "
        "left and right cannot be verified.",
        advice="Settle left and right before anything that depends on the side: compare with the "
        "DICOM files or a marker, repair the header, and run again.",
        place=8,
        excludes=(
            "left and right not verified",
            "the header's orientation was wrong, so that the image may be mirrored; repair the "
            "header and run the participant level again",
        ),
        column="Whether the header's orientation was set aside; left and right are then not "
        "verified.",
        only=TEMPLATE,
    ),
)
OTHERWISE = (
    "Read the reasons above, then look at both mosaics. If the header leaves left and right open, "
    "compare with the DICOM files before anything that depends on the side."
)
"""What to do where the verdict hangs on something that is no number."""
BY_KEY = {measure.key: measure for measure in MEASURES}
