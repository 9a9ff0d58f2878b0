"""What can be said on the command line; descriptors and documentation are made from it too."""

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn

from bidsapp import __version__
from bidsapp.argument_values import gigabytes, number, positive_and_negative, whole_from
from bidsapp.errors import UsageError
from bidsapp.options import RESOLUTIONS, SPEEDS, RunOptions
from bidsapp.typed import as_meant, suggestion, take_back_places

_EPILOG = """\
exit codes: 0 done; 16 the dataset is not valid; 17 unknown analysis level; 18 the filters
selected nothing; 64 usage; 65 bad data (also: an image failed its quality gate); 66 input missing;
73 output cannot be made; 74 reading or writing failed; 75 try again; 1 anything else, or several.
"""
_ORDER = (
    " Three words stand without an option: bids_dir output_dir {participant,group}. A path with "
    "blanks stands in quotes."
)


class Parser(argparse.ArgumentParser):
    """A parser that ends with the BIDS execution specification's code for usage errors."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and what may be meant, and end."""
        known = [option for action in self._actions for option in action.option_strings]
        unknown = [word for word in message.split() if word.startswith("--")]
        close = [name for word in unknown if (name := suggestion(word, known))]
        hint = ""
        if message.startswith("unrec"):
            hint = f" Did you mean {close[0]}?" if close else _ORDER
        text = f"nocicast: {message}.{hint} See nocicast --help.\n"
        self.exit(UsageError.exit_code, text)

    def parse_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Parse what was typed; folders may stand before, between or behind the options."""
        known = [option for action in self._actions for option in action.option_strings]
        meant, notes = as_meant(sys.argv[1:] if args is None else args, known)
        given = self.parse_intermixed_args(meant, namespace)
        notes += take_back_places(given, self.several())
        for note in notes:
            print(note, file=sys.stderr)
        return given

    def several(self) -> dict[str, str]:
        """Attribute to name of every option that takes all values that follow it."""
        return {
            action.dest: max(action.option_strings, key=len).replace("_", "-")
            for action in self._actions
            if action.nargs == "+" and action.type is None
        }


def build_parser() -> Parser:
    """Build the parser; descriptors and documentation are made from it too."""
    parser = Parser(
        prog="nocicast",
        description="Forecast the course of pain from MRI: a BIDS-App.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("bids_dir", type=Path, nargs="?", help="the BIDS dataset; never written to")
    parser.add_argument("output_dir", type=Path, nargs="?", help="folder of the results")
    parser.add_argument(
        "analysis_level", nargs="?", metavar="{participant,group}", help="what to do"
    )
    _add_selection(parser.add_argument_group("which images"))
    _add_study(parser.add_argument_group("study"))
    _add_group_level(parser.add_argument_group("group level"))
    _add_running(parser.add_argument_group("running"))
    other = parser.add_argument_group("other")
    other.add_argument("--list-recipes", action="store_true", help="list the recipes and stop")
    other.add_argument("--show-recipe", metavar="NAME", help="print a recipe in full and stop")
    other.add_argument("--version", action="version", version=f"nocicast {__version__}")
    other.add_argument(
        "-v", "--verbose", action="count", default=0, help="more output; twice: most"
    )
    return parser


def _add_selection(group: Any) -> None:
    for name, prefix in (("participant", "sub-"), ("session", "ses-")):
        group.add_argument(
            f"--{name}-label",
            f"--{name}_label",
            dest=f"{name}_label",
            nargs="+",
            action="extend",
            default=[],
            metavar="LABEL",
            help=f"only these {name}s, with or without {prefix}",
        )
    group.add_argument(
        "--bids-filter-file",
        type=Path,
        metavar="FILE",
        help='JSON with filters per image type, as in {"t1w": {"acquisition": "mprage"}}',
    )
    group.add_argument(
        "--bids-database-dir",
        type=Path,
        metavar="DIR",
        help="keep pybids' index here, and use the one that is there",
    )
    group.add_argument(
        "--skip-bids-validation",
        action="store_true",
        help="do not run the BIDS validator on the dataset",
    )


def _add_study(group: Any) -> None:
    group.add_argument("--recipe", metavar="NAME|FILE", help=f"default: {RunOptions.recipe}")
    group.add_argument(
        "--set",
        dest="overrides",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="change values of the recipe, as in training.epochs=5",
    )
    group.add_argument(
        "--template", metavar="NAME", help="standard space, a TemplateFlow name; default: recipe's"
    )
    group.add_argument(
        "--resolution",
        type=int,
        choices=RESOLUTIONS,
        help="voxel size of the output in mm; default: recipe's",
    )
    group.add_argument(
        "--speed", choices=SPEEDS, help="effort of the registration; default: recipe's"
    )
    group.add_argument(
        "--no-timeseries",
        action="store_true",
        help="of series keep what the group level needs, not the series before denoising",
    )
    group.add_argument(
        "--random-seed", type=whole_from(0), metavar="N", help="seed of whatever is random"
    )
    group.add_argument(
        "--model",
        type=Path,
        metavar="BUNDLE",
        help="apply this trained model (a folder under group/*/model); group level: judge it on "
        "these people, whose outcome is known (external validation)",
    )
    group.add_argument(
        "--no-saliency",
        dest="saliency",
        action="store_false",
        help="make no maps of what moves a network's answer",
    )
    group.add_argument(
        "--native-maps",
        action="store_true",
        help="bring each participant's map back onto the scan's own voxels, too",
    )


def _add_group_level(group: Any) -> None:
    group.add_argument(
        "--outcome", metavar="COLUMN", help="column to predict, in place of the recipe's"
    )
    group.add_argument(
        "--positive",
        nargs="+",
        default=[],
        metavar="VALUE",
        help="its values that count as positive",
    )
    group.add_argument(
        "--negative",
        nargs="+",
        default=[],
        metavar="VALUE",
        help="its values that count as negative, all others are missing; needed where it has more "
        "than one value that is not positive",
    )
    group.add_argument(
        "--run-label",
        default="",
        metavar="LABEL",
        help="folder under group/; default: recipe's name. A finished run there that differs from "
        "this one is kept beside it, under a dated name",
    )
    group.add_argument(
        "--variants",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="variants and ensembles of the recipe, or all; default: recipe's choice. At the "
        "participant level: prepare what these are given",
    )
    group.add_argument(
        "--splits", type=Path, metavar="FILE", help="splits.tsv to use instead of making one"
    )
    group.add_argument(
        "-d",
        "--derivatives",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=PATH",
        help="datasets with images that other software prepared, such as fMRIPrep's",
    )
    group.add_argument(
        "--weights",
        type=Path,
        metavar="FILE|DIR",
        help="pretrained weights: MedicalNet's or torchvision's (a file, or a folder of them), or "
        "any that fit, of which the recipe says network.origin",
    )
    group.add_argument(
        "--atlas",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE|NAME",
        help="atlases for the saliency tables besides the app's own: NIfTI files of labels in the "
        "template's space, each with a .tsv, or names of TemplateFlow",
    )
    group.add_argument(
        "--anonymous-bundle",
        action="store_true",
        help="leave out of the model bundles the hashes of the images that they were made with",
    )
    group.add_argument(
        "--recalibrate",
        choices=("intercept", "slope"),
        help="with --model: write the model anew, its intercept (or intercept and slope) fitted to "
        "these people",
    )
    group.add_argument(
        "--evaluate-only", action="store_true", help="recompute what follows from scores.tsv"
    )
    group.add_argument(
        "--permutations",
        type=whole_from(0),
        metavar="N",
        help="train the whole pipeline anew on N permutations of the outcomes: an exact p value",
    )
    group.add_argument(
        "--plan",
        nargs="?",
        type=positive_and_negative,
        const=(),
        metavar="POSITIVE,NEGATIVE",
        help="say what a sample of this size can show, and stop; without numbers, of the cohort",
    )
    group.add_argument(
        "--simulate",
        choices=("cuboid",),
        help="plant a known signal into the positives' images, in runs of their own",
    )
    group.add_argument(
        "--simulate-contrast",
        type=number,
        nargs="+",
        metavar="SD",
        help="what is added, in SD between people; several give a sensitivity curve; default: 1",
    )
    group.add_argument(
        "--simulate-size",
        type=number,
        nargs=3,
        metavar="MM",
        help="edges of the cuboid; default: 16 16 16",
    )
    group.add_argument(
        "--simulate-centre",
        type=number,
        nargs=3,
        metavar="MM",
        help="its centre in the standard space; default: 14 -18 8",
    )


def _add_running(group: Any) -> None:
    group.add_argument(
        "-w",
        "--work-dir",
        type=Path,
        metavar="DIR",
        help="intermediate files go into nocicast_work there; default: <output_dir>/work",
    )
    group.add_argument(
        "--clean-workdir",
        action="store_true",
        help="empty nocicast_work before beginning, but for what other runs are using; participant "
        "level: also at the end, if all went well",
    )
    group.add_argument(
        "--nprocs", type=whole_from(1), metavar="N", help="CPUs to use at once; default: all"
    )
    group.add_argument(
        "--omp-nthreads",
        type=whole_from(1),
        default=1,
        metavar="N",
        help="threads a process may use",
    )
    group.add_argument(
        "--mem", type=gigabytes, metavar="GB", help="memory to plan with; default: nine tenths"
    )
    group.add_argument(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="auto, cpu, cuda or cuda:<index>; default: %(default)s",
    )
    group.add_argument(
        "--reports-only",
        action="store_true",
        help="make reports anew from what is in the output folder, and nothing else",
    )
    group.add_argument(
        "--boilerplate-only",
        action="store_true",
        help="write the methods text (logs/CITATION.*) from what is there, and nothing else",
    )
    group.add_argument(
        "--stop-on-first-crash", action="store_true", help="stop when one participant fails"
    )
    group.add_argument("--nipype-plugin", metavar="NAME", help="nipype plugin, SLURM for instance")
    group.add_argument(
        "--nipype-plugin-args", type=Path, metavar="FILE", help="YAML or JSON with its arguments"
    )
