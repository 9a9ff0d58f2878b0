"""What the two sides of a saliency map's colours mean, which hangs on the method."""

from dataclasses import dataclass

from bidsapp.recipes.known_names import SLOPES


@dataclass(frozen=True)
class Sides:
    """Words for a map's colours.

    Attributes
    ----------
    below, above
        What values below and above 0 say, in a few words.
    sentence
        The same in full.
    """

    below: str
    above: str
    sentence: str


def sides_of(method: str, absolute: bool) -> Sides:
    """Say what warm and cold mean.

    Parameters
    ----------
    method
        As the recipe names it.
    absolute
        Whether the map holds absolute values.
    """
    if absolute:
        return Sides(
            "",
            "moves the forecast more",
            "The warmer, the more the forecast hangs on the place, whichever way: absolute values "
            "tell no direction.",
        )
    if method in SLOPES:
        return Sides(
            "a higher value lowers the forecast",
            "a higher value raises it",
            "Warm colours: a higher value there (brighter, or larger in a log-Jacobian) raises the "
            "forecast of the positive outcome; cold colours: it lowers it, so that a darker or "
            "smaller place speaks for the outcome.",
        )
    return Sides(
        "against the outcome",
        "for the outcome",
        "Warm colours: what the image holds there speaks for the positive outcome; cold colours: "
        "against it.",
    )
