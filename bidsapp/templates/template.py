"""What a resolved template is, and the standard names of the BIDS specification."""

from dataclasses import dataclass
from pathlib import Path

# The volumetric names of BIDS 1.10, "Standard template identifiers"; a derivative in any other
# space has to say in its sidecar where that space is defined (SpatialReference).
BIDS_STANDARD = frozenset(
    {
        "ICBM452AirSpace",
        "ICBM452Warp5Space",
        "IXI549Space",
        "MNI152Lin",
        "MNI152NLin2009aAsym",
        "MNI152NLin2009aSym",
        "MNI152NLin2009bAsym",
        "MNI152NLin2009bSym",
        "MNI152NLin2009cAsym",
        "MNI152NLin2009cSym",
        "MNI152NLin6Asym",
        "MNI152NLin6Sym",
        "MNI305",
        "MNIColin27",
        "NIHPD",
        "OASIS30AntsOASISAnts",
        "OASIS30Atropos",
        "Talairach",
        "UNCInfant",
        "fsaverage",
        "fsaverageSym",
    }
)


@dataclass(frozen=True)
class Template:
    """A standard space whose files are on this machine.

    Attributes
    ----------
    name
        As it was asked for: ``MNI152NLin2009aSym``, ``MNIPediatricAsym:cohort-2``.
    label
        Value of the BIDS entity ``space``: ``MNI152NLin2009aSym``, ``MNIPediatricAsym+2``.
    t1w
        The T1-weighted image.
    brain_mask
        The brain mask on the grid of `t1w`, or None where `t1w` is skull-stripped: its brain is
        then what is above zero, holes filled (see `brain_template`).
    skull_stripped
        Whether `t1w` shows the brain alone.
    standard
        Whether `label` is in the BIDS list of standard templates. If not, sidecars must carry
        ``SpatialReference``, for which `reference` is meant.
    reference
        Address of the template's T1-weighted image or of its description; of a template that
        nobody publishes, ``templateflow:`` and the path inside a TemplateFlow home.
    source
        ``embedded`` (comes with the app) or ``templateflow``.
    licence
        The licence's text or name, empty where the template does not say.
    citation
        Links to the publications that describe the template.
    """

    name: str
    label: str
    t1w: Path
    brain_mask: Path | None
    skull_stripped: bool
    standard: bool
    reference: str
    source: str
    licence: str = ""
    citation: tuple[str, ...] = ()
