"""``python -m bidsapp.phantom FOLDER``: make a phantom from the command line."""

import sys
from collections.abc import Sequence

from bidsapp.phantom.command import make_and_tell, phantom_parser
from bidsapp.phantom.dataset import make_phantom


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a phantom from the command line; the exit code."""
    parser = phantom_parser("bidsapp.phantom", __doc__, 12)
    parser.add_argument(
        "--effect", type=float, default=0.3, metavar="X", help="relative intensity change (0: none)"
    )
    parser.add_argument(
        "--volume-effect", type=float, default=0.0, metavar="X", help="relative volume change"
    )
    parser.add_argument("--resolution", type=float, default=2.0, metavar="MM", help="voxel size")
    parser.add_argument(
        "--prevalence",
        type=float,
        default=0.5,
        metavar="X",
        help="share of people with the outcome",
    )
    parser.add_argument(
        "--gamma",
        type=float,
        default=1.0,
        metavar="X",
        help="power of the tissues' intensities, as of another scanner (below 0: turned round)",
    )
    asked = parser.parse_args(arguments)
    return make_and_tell(
        lambda: make_phantom(
            asked.folder,
            participants=asked.participants,
            seed=asked.seed,
            effect=asked.effect,
            volume_effect=asked.volume_effect,
            resolution_mm=asked.resolution,
            prevalence=asked.prevalence,
            gamma=asked.gamma,
        ),
        f"Phantom of {asked.participants} participants: {asked.folder}",
    )


if __name__ == "__main__":
    sys.exit(main())
