"""Values of options on the command line, read or refused with what was expected."""

import argparse
from collections.abc import Callable


def whole_from(least: int) -> Callable[[str], int]:
    """Read a whole number that is not below the least; made for one option."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
        return value

    return parse


def positive_and_negative(text: str) -> tuple[int, int]:
    """Read how many people are positive and how many negative: ``55,73``."""
    positive, comma, negative = text.partition(",")
    if not (comma and positive.strip().isdecimal() and negative.strip().isdecimal()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not POSITIVE,NEGATIVE, two numbers of people such as 55,73; to plan for "
            "the cohort itself, put --plan last"
        )
    for count, name in ((positive, "positive"), (negative, "negative")):
        if int(count) == 0:
            raise argparse.ArgumentTypeError(
                f"{text!r} has no {name} people; there is nothing to tell apart without both"
            )
    return int(positive), int(negative)


def number(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number; folders and level stand before the options"
        ) from None


def gigabytes(text: str) -> float:
    """Read a number of GB above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of GB above 0")
    return value
