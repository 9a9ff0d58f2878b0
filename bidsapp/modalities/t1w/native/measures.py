"""The quality numbers of a head in its own space: what can be known without a template."""

from bidsapp.contracts.measure import Limits, Measure
from bidsapp.modalities.t1w.native.settings import NATIVE

DEPTH_MM = 70.0
"""How far below the lowest point of the frontal lobes the face is followed: to the upper lip."""
BEHIND_MM = 15.0
"""A level has a face where tissue reaches to this much behind the front of the brain, or further
forward: behind it lie the orbits' walls, the skull base and the throat alone."""
FACED = 0.75
"""Share of levels with a face below which it was removed. The 49 real heads with a face that were
at hand have at least .97, the 6 defaced ones (ds000011) at most .51."""
_OWN = {"space": (NATIVE,)}
_WHOLE = {"space": (NATIVE,), "brain": ("whole",)}

NATIVE_MEASURES = (
    Measure(
        "brain_outside",
        "Brain outside the box",
        "Share of the brain that was cropped away.",
        unit="%",
        digits=1,
        fails=Limits(high=0.001),
        reason="The box cuts off {value:.1%} of the brain.",
        advice="Make the box larger (preparation.box), or choose axes along which it holds the "
        "head (preparation.axes): a box of 256 × 256 × 170 holds a sagittal stack as PSR.",
        bad="high",
        place=4,
        column="Share of the brain outside the box.",
        only=_OWN,
    ),
    Measure(
        "head_outside",
        "Head outside the box",
        "Share of the head (tissue of any kind, with the neck) that was cropped away.",
        unit="%",
        digits=1,
        zero="none",
        bad="high",
        place=5,
        confound=True,
        column="Share of the head outside the box.",
        only=_WHOLE,
    ),
    Measure(
        "face_share",
        "Face",
        f"Share of levels within {DEPTH_MM:.0f} mm below the frontal lobes at which the head "
        f"reaches forward to {BEHIND_MM:.0f} mm behind the front of the brain, or further: 100 % "
        "with a face, half or less where it was cut off.",
        unit="%",
        digits=0,
        bad="low",
        place=7,
        scale=(0.0, 1.0),
        confound=True,
        column="Share of levels of the face that are there.",
        only=_WHOLE,
    ),
    Measure(
        "defaced",
        "Face removed",
        f"Whether the face was cut off before (less than {FACED:.0%} of it is there). A network "
        "that is given the whole head sees it: where some people are defaced and others not, it "
        "can tell sites or groups apart by that. A face that was blurred or replaced is not "
        "noticed.",
        kind="flag",
        expected="the same for all",
        place=8,
        confound=True,
        column="Whether the face was removed before the scan came here.",
        only=_WHOLE,
    ),
)
