"""What a representation needs and gives, as far as is known before anything is fitted."""

from collections.abc import Sequence

from bidsapp.errors import BadData, UsageError
from bidsapp.recipes.images import Representation
from bidsapp.representation.chain import Chain


def require_files(section: Representation) -> None:
    """Refuse before any work a step whose file is not there, or that is to keep what is not there.

    Raises
    ------
    UsageError
        No file is named; more channels are to be kept than components are made before, or than
        the file has maps.
    NoInput, BadData
        As `bidsapp.intake.images.open_image`; the image has not four dimensions.
    """
    from bidsapp.intake.images import open_image

    made = None  # how many channels there are, once a step makes its own
    for asked, step in zip(section.asked(), Chain.of(section).steps, strict=True):
        for setting, path in asked.files.items():
            key = f"representation.fitted.{asked.name}.{setting}"
            if not asked.settings[setting]:
                raise UsageError(
                    f"{key} names no file: say which, with --set {key}=FILE, or in a recipe of "
                    "your own"
                )
            shape = open_image(path).shape
            if len(shape) != 4:
                raise BadData(
                    f"{key}: {path} has shape {tuple(shape)}; an image of maps (X, Y, Z, maps) is "
                    "expected"
                )
            asked.require_enough(shape[3], f"maps in {path}")
        if made is not None:
            asked.require_enough(len(made), "components before it")
        if made is not None or asked.offer.series:
            made = step.channels(made or ())


def network_channels(section: Representation, given: Sequence[str]) -> tuple[str, ...]:
    """Name the channels that a network is given, as far as is known before anything is fitted.

    Parameters
    ----------
    section
        Of the recipe.
    given
        Channels of the cohort's images: its maps, or the volumes of its series.
    """
    return Chain.of(section).channels(given)
