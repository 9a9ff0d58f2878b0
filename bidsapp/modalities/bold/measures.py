"""The quality numbers of a prepared BOLD series, in the order of the sidecar."""

from bidsapp.contracts.measure import Limits, Measure

FD_OVER_MM = 0.5
"""Volumes that moved farther since the one before are counted (Power et al. 2012)."""

MEASURES = (
    Measure(
        "fd_mean",
        "Mean framewise displacement",
        "How far the head moves from one volume to the next, rotations on a sphere of 50 mm. "
        "Motion makes and breaks correlations between regions.",
        short="Motion",
        unit="mm",
        warns=Limits(high=0.25),
        fails=Limits(high=0.55),
        reason="The head moves {shown} from volume to volume (expected {expected}).",
        advice="Look at the motion traces and the carpet. Where the head moved in a few moments "
        "only, choose a strategy that leaves volumes out (--set preparation.confounds=scrub); "
        "where it moved all the time, leave the participant out.",
        bad="high",
        place=1,
        scale=(0.0, 0.8),
        confound=True,
        column="Mean framewise displacement, mm.",
    ),
    Measure(
        "displacement_max",
        "Largest displacement",
        "How far the head's centre ever was from its mean place.",
        short="Largest move",
        unit="mm",
        digits=1,
        warns=Limits(high=3.0),
        advice="Look at the motion traces: a head that came to lie elsewhere was in another field.",
        bad="high",
        place=3,
        scale=(0.0, 6.0),
        confound=True,
        column="Largest distance of the head's centre from its mean place, mm.",
    ),
    Measure(
        "fd_over",
        f"Volumes that moved over {FD_OVER_MM:g} mm",
        "Share of volumes between which and the one before the head moved farther.",
        short="Moved volumes",
        unit="%",
        digits=0,
        warns=Limits(high=0.2),
        fails=Limits(high=0.5),
        advice="Choose a strategy that leaves volumes out (--set preparation.confounds=scrub), or "
        "leave the participant out.",
        bad="high",
        place=4,
        scale=(0.0, 0.6),
        confound=True,
        column="Share of volumes with more than .5 mm of framewise displacement.",
    ),
    Measure(
        "minutes_left",
        "Minutes left",
        "Length of what is left after volumes were left out. Connectivity is steady from five "
        "minutes on.",
        short="Minutes",
        unit="min",
        digits=1,
        warns=Limits(low=4.0),
        fails=Limits(low=0.5),
        advice="Join several runs, choose a strategy that leaves out fewer volumes, or leave the "
        "participant out.",
        bad="low",
        place=5,
        scale=(0.0, 12.0),
        confound=True,
        column="Minutes of the series that are left after scrubbing.",
    ),
    Measure(
        "freedom",
        "Degrees of freedom left",
        "Volumes that are left, less what confounds and band-pass take.",
        short="Freedom",
        digits=0,
        warns=Limits(low=20),
        fails=Limits(low=5),
        advice="Choose a strategy with fewer confounds, or a wider band "
        "(preparation.band_pass_hz).",
        bad="low",
        place=6,
        column="Degrees of freedom that denoising left.",
    ),
    Measure(
        "std_dvars",
        "Standardised DVARS",
        "Change of the whole image from volume to volume, 1 where it is what noise gives; the "
        "largest are motion, spikes or faults. Mean over volumes in steady state.",
        short="DVARS",
        bad="high",
        place=7,
        confound=True,
        column="Mean standardised DVARS.",
    ),
    Measure(
        "tsnr",
        "Temporal signal to noise",
        "Mean over standard deviation over time, in steady state, median over the brain, before "
        "denoising; larger for larger voxels.",
        short="tSNR",
        digits=0,
        warns=Limits(low=20),
        fails=Limits(low=8),
        advice="Look at the map of tSNR: where it is low everywhere, the head moved, or coil or "
        "sequence differ from the others'.",
        bad="low",
        place=8,
        scale=(0.0, 120.0),
        confound=True,
        column="Temporal signal to noise, median over the brain.",
    ),
    Measure(
        "brain_dice",
        "Fit to the T1w image (Dice)",
        "Overlap of the brain in the series and in the T1w image, both in standard space.",
        short="Fit to T1w",
        warns=Limits(low=0.85),
        fails=Limits(low=0.75),
        advice="Switch between series and T1w image in the registration mosaic. Where they do not "
        "lie on each other, a header is wrong: convert both again.",
        bad="low",
        place=2,
        scale=(0.5, 1.0),
        confound=True,
        column="Overlap of the series' brain and the T1w image's.",
    ),
    Measure(
        "template_dice",
        "Fit to the template (Dice)",
        "Overlap of what is bright in the series with the template's brain, within the field of "
        "view; lower where signal is lost above nose and ears.",
        short="Fit to template",
        warns=Limits(low=0.85),
        advice="Switch between series and T1w image in the registration mosaic. Where both lie off "
        "the template's outline, see the page of the T1w image; where the series alone is dark, "
        "signal was lost.",
        bad="low",
        place=12,
        scale=(0.5, 1.0),
        confound=True,
        column="Overlap of the series' brain and the template's.",
    ),
    Measure(
        "mutual_information",
        "Fit to the T1w image (mutual information)",
        "Normalised mutual information of mean volume and T1w image in the brain, 1 for none.",
        short="Mutual information",
        digits=3,
        bad="low",
        place=9,
        column="Normalised mutual information of the mean volume and the T1w image.",
    ),
    Measure(
        "boundary_contrast",
        "Contrast across the boundary of white matter",
        "How much brighter grey matter is than white in the mean volume, 1.5 mm to either side of "
        "the T1w image's boundary of white matter, median over it; lower where the two lie beside "
        "each other, and with larger voxels and shorter echo times.",
        short="Contrast",
        unit="%",
        digits=1,
        # of 16 series of known heads 4.8 % and more, with the T1w image of another head 3.4 % and
        # less in 32 (bold_boundary); chosen after seeing
        warns=Limits(low=0.04),
        advice="Look at the registration, and whether the T1w image is of the same person: with "
        "another's head, or beside its place, there is next to no contrast. A series that itself "
        "tells grey from white matter poorly has little, too.",
        bad="low",
        place=13,
        column="Median share by which grey matter is brighter than white across the boundary.",
    ),
    Measure(
        "coverage",
        "Coverage of the brain",
        "Share of the template's brain that lies in the field of view.",
        short="Coverage",
        unit="%",
        digits=0,
        warns=Limits(low=0.9),
        fails=Limits(low=0.7),
        advice="Look at the registration mosaic: what is missing has no values, and people with "
        "less brain in view differ from others by that.",
        bad="low",
        place=10,
        scale=(0.5, 1.0),
        confound=True,
        column="Share of the template's brain in the field of view.",
    ),
    Measure(
        "ghosting",
        "Ghosts in the air",
        "How much brighter air is half a field of view away from the head along the phase than "
        "elsewhere, relative to the head; not measured where the phase's direction is not known.",
        short="Ghosts",
        unit="%",
        digits=1,
        warns=Limits(high=0.1),
        advice="Look at the mean volume for a second outline of the head along one direction.",
        bad="high",
        place=11,
        confound=True,
        column="Brightness of ghosts in the air, relative to the head.",
    ),
)
OTHERWISE = (
    "Read the reasons above, then look at the pictures. If a header leaves left and right open, "
    "compare with the DICOM files or a marker before anything that depends on the side, repair the "
    "header, and run again."
)
"""What to do where the verdict hangs on something that is no number."""
