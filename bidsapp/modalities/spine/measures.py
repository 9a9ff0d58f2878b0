"""The quality numbers of an injection's region, in the order of the sidecar."""

from bidsapp.contracts.measure import Limits, Measure

# Over 12 foramina of 11 necks (7 volumes of 1 mm, one axial T2w, three axial T2*w) contrast is
# .73 to .94, blur 1.0 to 2.1 mm and ghosting .005 to .047. Three of them smoothed by a Gaussian
# with an SD of 1.5 mm have a blur of 3.2 to 3.7 mm, with one of 3 mm 5.5 to 6.4 mm.
PIXEL = Limits(high=1.0), Limits(high=1.6)
THICKNESS = Limits(high=5.0), Limits(high=10.0)
REGION = Limits(12.0, 60.0), Limits(6.0, 90.0)
CUT = Limits(high=0.25), Limits(high=0.5)

MEASURES = (
    Measure(
        "pixel_mm",
        "Size of a pixel",
        "Distance of two pixels in the slice, as scanned; foramina are 3 to 8 mm wide.",
        short="Pixel",
        unit="mm",
        warns=PIXEL[0],
        fails=PIXEL[1],
        advice="Choose a series with finer pixels with --bids-filter-file where there is one.",
        bad="high",
        place=4,
        scale=(0.2, 2.0),
        confound=True,
        column="Size of a pixel as scanned, mm.",
    ),
    Measure(
        "slice_mm",
        "Thickness of the slice",
        "Distance of two slices, or what thinner slices were averaged to; thick slices mix the "
        "foramen with the bone above and below it.",
        short="Slice",
        unit="mm",
        digits=1,
        warns=THICKNESS[0],
        fails=THICKNESS[1],
        advice="Choose a series with thinner slices with --bids-filter-file where there is one.",
        bad="high",
        place=5,
        scale=(1.0, 12.0),
        confound=True,
        column="Thickness of the slice, mm.",
    ),
    Measure(
        "region_mm",
        "Width and depth of the region",
        "Of the box, on the injected side of the midline.",
        kind="numbers",
        unit="mm",
        digits=0,
        warns=REGION[0],
        fails=REGION[1],
        advice="Draw the box again: from the midline outwards over foramen and facet joint, from "
        "the disc to behind the joint, about 25 to 30 mm each way.",
        place=6,
    ),
    Measure(
        "edge_mm",
        "Distance to the edge of the field of view",
        "Between region and the nearest edge of the image, where coils see little and tissue may "
        "be folded over.",
        short="To the edge",
        unit="mm",
        digits=0,
        bad="low",
        place=8,
        column="Distance from the region to the edge of the field of view, mm.",
    ),
    Measure(
        "cut_share",
        "Share of the box beyond the midline",
        "What of the box was cut off, as it lay on the other side.",
        short="Beyond the midline",
        unit="%",
        digits=0,
        warns=CUT[0],
        fails=CUT[1],
        advice="Look at the midline on the slice. Where it is right, draw the box again on the "
        "injected side; where it is wrong, give a mask of the cord.",
        bad="high",
        place=3,
        scale=(0.0, 0.6),
        column="Share of the box that lay beyond the midline.",
    ),
    Measure(
        "contrast",
        "Contrast inside the region",
        "Bright against dark over their sum (percentiles 95 and 5): fluid and fat against bone and "
        "ligament. The best single number.",
        short="Contrast",
        warns=Limits(low=0.35),
        fails=Limits(low=0.15),
        advice="Look at the region. Where bone and nerve cannot be told apart, choose another "
        "series, or leave the participant out.",
        bad="low",
        place=1,
        scale=(0.0, 1.0),
        confound=True,
        column="Contrast inside the region, 0 to 1.",
    ),
    Measure(
        "blur_mm",
        "Width of the sharpest edges",
        "Range of intensities over their steepest slopes: edges of a moving neck are wide.",
        short="Blur",
        unit="mm",
        digits=1,
        warns=Limits(high=3.2),
        fails=Limits(high=6.5),
        advice="Look for doubled outlines of the cord and the skin. If the neck moved, choose "
        "another series, or leave the participant out.",
        bad="high",
        place=2,
        scale=(0.0, 8.0),
        confound=True,
        column="Width of the sharpest edges in the region, mm.",
    ),
    Measure(
        "ghosting",
        "Ghosts in the air",
        "How much brighter air is before and behind the neck than beside it, relative to the neck; "
        "not measured where the field of view shows no air.",
        short="Ghosts",
        unit="%",
        digits=1,
        warns=Limits(high=0.08),
        advice="Look for repeated outlines of the neck along one direction. Where they cross the "
        "foramen, choose another series.",
        bad="high",
        place=7,
        scale=(0.0, 0.16),
        confound=True,
        column="Brightness of ghosts in the air, relative to the neck.",
    ),
    Measure(
        "symmetry",
        "Likeness of both halves",
        "Correlation of the slice with its mirror image about the best midline; scoliosis and a "
        "turned head lower it.",
        short="Symmetry",
        bad="low",
        place=9,
        column="Correlation of the slice with its mirror image.",
    ),
    Measure(
        "midline_mm",
        "Disagreement about the midline",
        "Between the middle of the cord's mask and the axis of symmetry; not measured where only "
        "one of them is there.",
        short="Midline",
        unit="mm",
        digits=1,
        warns=Limits(high=3.0),
        advice="Look at the midline on the slice. Where it is wrong, correct the mask of the cord, "
        "or choose the way with --set preparation.midline=symmetry (or cord, centre).",
        bad="high",
        place=3,
        scale=(0.0, 6.0),
        column="Disagreement of cord and symmetry about the midline, mm.",
    ),
)
