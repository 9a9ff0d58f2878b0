"""What the two sides of a saliency map's colours mean, which hangs on the method."""

from collections.abc import Iterable
from dataclasses import dataclass

from bidsapp.contracts.product import Channel
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


def sides_of(
    method: str,
    absolute: bool,
    channels: Iterable[Channel] = (),
    made: tuple[str, str] = ("", ""),
) -> Sides:
    """Say what warm and cold mean.

    Parameters
    ----------
    method
        As the recipe names it.
    absolute
        Whether the map holds absolute values.
    channels
        What a higher value of the images can be.
    made
        What a higher and a lower value of what networks are given say, where that is made of the
        images and no image itself (`bidsapp.recipes.images.Representation.value_words`).
    """
    if absolute:
        return Sides(
            "",
            "moves the forecast more",
            "The warmer, the more the forecast hangs on the place, whichever way: absolute values "
            "tell no direction.",
        )
    if method in SLOPES:
        known = list(channels)
        larger = made[0] or ", or ".join(dict.fromkeys(one.larger for one in known))
        higher = f" ({larger})" if larger else ""
        words = dict.fromkeys(one.smaller for one in known)
        lower = f"a {' or '.join(words)} place" if words and all(words) else "a lower value there"
        return Sides(
            "a higher value lowers the forecast",
            "a higher value raises it",
            f"Warm colours: a higher value there{higher} raises the forecast of the positive "
            f"outcome; cold colours: it lowers it, so that {made[1] or lower} speaks for the "
            "outcome.",
        )
    return Sides(
        "against the outcome",
        "for the outcome",
        "Warm colours: what the image holds there speaks for the positive outcome; cold colours: "
        "against it.",
    )
