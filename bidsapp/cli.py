"""The command line: arguments in, exit code out."""

import argparse
import os
import select
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bidsapp.arguments import build_parser
from bidsapp.errors import (
    NociCastError,
    NoInput,
    TemporaryFailure,
    UnknownAnalysisLevel,
    UsageError,
    disk_trouble,
    memory_trouble,
    path_trouble,
)
from bidsapp.execution.termination import STOPPED, Terminated, ended_in_time
from bidsapp.intake.regular import is_text
from bidsapp.options import LEVELS, RunOptions
from bidsapp.recipe_options import recipe_overrides
from bidsapp.shown_command import shown_command
from bidsapp.typed import PLACES, labels, names, what_took_places

_LONGEST_LABEL = 100  # dates and contrasts are added to it, and 255 bytes make a file name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the app; gives the exit code."""
    parser, words = build_parser(), sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(words)
    try:
        with ended_in_time():
            if given.list_recipes:
                return _list_recipes()
            if given.show_recipe:
                return _show_recipe(given.show_recipe)
            if given.plan:
                return _plan(*given.plan)
            return _run(replace(_options(given), command=shown_command(parser, words)))
    except NociCastError as error:
        print(f"nocicast: {error}", file=sys.stderr)
        return error.exit_code
    except Terminated:
        print(STOPPED, file=sys.stderr)
        return TemporaryFailure.exit_code
    except KeyboardInterrupt:
        print("nocicast: interrupted; run again to resume.", file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return 128 + signal.SIGPIPE
        trouble = disk_trouble(error) or memory_trouble(error) or path_trouble(error)
        if trouble is None:
            raise
        print(f"nocicast: {trouble}", file=sys.stderr)
        return trouble.exit_code


def _nobody_reads() -> bool:
    """Tell whether the terminal's end is closed, by ``| head`` for instance; then write no more."""
    for stream in (sys.stdout, sys.stderr):
        end = select.poll()
        end.register(stream.fileno(), 0)
        if end.poll(0):  # an error is reported whatever is asked for: the reader is gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            return True
    return False


def _list_recipes() -> int:
    from bidsapp.recipes import list_recipes

    for name, summary in list_recipes().items():
        print(f"{name:<14} {summary}")
    return 0


def _show_recipe(name: str) -> int:
    from bidsapp.recipes import dump_recipe, load_recipe

    print(dump_recipe(load_recipe(name)), end="")
    return 0


def _plan(positive: int, negative: int) -> int:
    from bidsapp.evaluation.planning import plan_text

    print(plan_text(positive, negative))
    return 0


def _run(options: RunOptions) -> int:
    from bidsapp.execution.resources import hold_threads
    from bidsapp.execution.work import prepare_temporary

    hold_threads(options.omp_nthreads)
    prepare_temporary(options)
    if options.analysis_level == "participant":
        from bidsapp.participant import run_participant_level

        return run_participant_level(options)
    from bidsapp.group import run_group_level

    return run_group_level(options)


def _options(given: argparse.Namespace) -> RunOptions:
    """Turn parsed arguments into one record with absolute paths and bare labels."""
    from bidsapp.execution.resources import available_cpus, available_memory_gb

    for name in PLACES:
        if getattr(given, name) is None:
            choices = f" ({' or '.join(LEVELS)})" if name == "analysis_level" else ""
            there = ", ".join(f"{n} is {v}" for n in PLACES if (v := getattr(given, n)))
            raise UsageError(
                f"{name} is missing{choices}{f' ({there})' if there else ''}; usage: "
                f"nocicast bids_dir output_dir {{{','.join(LEVELS)}}} [options]."
                f"{what_took_places(given, build_parser().several())}"
            )
    if given.analysis_level not in LEVELS:
        near = get_close_matches(given.analysis_level, LEVELS, 1)
        meant = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(LEVELS)}."
        raise UnknownAnalysisLevel(
            f"analysis level {given.analysis_level!r} is not known; {meant} The order is bids_dir "
            "output_dir level."
        )
    if given.model and given.recipe:
        raise UsageError(
            f"--model brings the recipe it was trained with; leave out --recipe {given.recipe}."
        )
    _check_together(given)
    _check_used(given)
    output_dir = _absolute(given.output_dir)
    threads = given.omp_nthreads
    return RunOptions(
        bids_dir=_absolute(given.bids_dir),
        output_dir=output_dir,
        analysis_level=given.analysis_level,
        work_dir=_absolute(given.work_dir) if given.work_dir else output_dir / "work",
        participant_label=labels(given.participant_label, "sub-"),
        session_label=labels(given.session_label, "ses-"),
        bids_filters=_filters(given.bids_filter_file),
        bids_database_dir=_absolute(given.bids_database_dir) if given.bids_database_dir else None,
        clean_workdir=given.clean_workdir,
        skip_bids_validation=given.skip_bids_validation,
        nprocs=given.nprocs or max(threads, available_cpus()),
        omp_nthreads=threads,
        mem_gb=given.mem or available_memory_gb(),
        device=given.device,
        recipe=given.recipe or RunOptions.recipe,
        overrides=recipe_overrides(given),
        outcome=given.outcome,
        positive=tuple(given.positive),
        run_label=_run_label(given.run_label),
        variants=names(given.variants),
        splits=_absolute(given.splits) if given.splits else None,
        derivatives=_derivatives(given.derivatives),
        weights=_absolute(given.weights) if given.weights else None,
        model=_absolute(given.model) if given.model else None,
        recalibrate=given.recalibrate or "",
        saliency=given.saliency,
        native_maps=given.native_maps,
        evaluate_only=given.evaluate_only,
        reports_only=given.reports_only,
        boilerplate_only=given.boilerplate_only,
        plan=given.plan is not None,
        anonymous_bundle=given.anonymous_bundle,
        simulate=tuple(given.simulate_contrast or (1.0,)) if given.simulate else (),
        stop_on_first_crash=given.stop_on_first_crash,
        nipype_plugin=given.nipype_plugin,
        nipype_plugin_args=_plugin_arguments(given),
        verbose=given.verbose,
    )


def _check_together(given: argparse.Namespace) -> None:
    """Refuse options that would be passed over in silence: another thing would be done."""
    asked = {
        "--plan": given.plan is not None,
        "--evaluate-only": given.evaluate_only,
        "--simulate": bool(given.simulate),
        "--reports-only": given.reports_only,
        "--boilerplate-only": given.boilerplate_only,
    }
    there = [name for name, is_there in asked.items() if is_there]
    if given.analysis_level == "participant" and there and there[0] in [*asked][:3]:
        raise UsageError(f"{there[0]} is for the group level; leave it out, or say group.")
    alone = [name for name in there if name != "--simulate"]
    if "--plan" in alone and "--simulate" in there:
        alone.append("--simulate")
    if len(alone) > 1:
        raise UsageError(f"{' and '.join(alone)} ask for different things; give one of them.")


def _check_used(given: argparse.Namespace) -> None:
    """Refuse options of training beside those that train nothing, which would pass them over."""
    training = {
        "--outcome": given.outcome,
        "--negative": given.negative,
        "--variants": given.variants,
        "--splits": given.splits,
        "--derivatives": given.derivatives,
        "--weights": given.weights,
        "--atlas": given.atlas,
        "--permutations": given.permutations is not None,
        "--anonymous-bundle": given.anonymous_bundle,
    }
    there = [name for name, is_there in training.items() if is_there]
    if given.recalibrate and not (given.model and given.analysis_level == "group"):
        raise UsageError("--recalibrate needs --model BUNDLE at the group level.")
    judged = ("--outcome", "--negative")  # what new people need to be judged on
    validation = given.model and given.analysis_level == "group"
    # where a modality's files, or images that are prepared already, lie is of use to a model too
    of_use = ("--derivatives", *(judged if validation else ()))
    training_only = [name for name in there if name not in of_use]
    training_only += [
        name
        for name, is_there in {
            "--simulate": given.simulate,
            "--plan": given.plan is not None,
        }.items()
        if validation and is_there
    ]
    if given.model and training_only:
        raise UsageError(
            f"{training_only[0]} is for training, at the group level; --model was trained already. "
            f"Leave out {training_only[0]}."
        )
    kept = ("--variants", "--splits", "--derivatives", "--weights", "--anonymous-bundle")
    ignored = [name for name in there if name in kept]
    again = {
        "--evaluate-only": given.evaluate_only,
        "--reports-only": given.reports_only,
        "--boilerplate-only": given.boilerplate_only,
    }
    mode = next((name for name, is_there in again.items() if is_there), None)
    if mode and ignored:
        raise UsageError(
            f"{mode} takes the variants, people and models of the run that is there, so that "
            f"{ignored[0]} would change nothing; leave out {ignored[0]}, or leave out {mode}: what "
            "is trained is not trained again."
        )


def _absolute(path: Path) -> Path:
    found = Path(os.path.abspath(path.expanduser()))
    if not is_text(str(found)):
        raise UsageError(
            f"{str(found)!r} is not UTF-8 text, as paths must be; rename the folder, or give a "
            "link to it."
        )
    return found


def _filters(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    from bidsapp.dataset import read_bids_filters

    return read_bids_filters(path)


def _run_label(text: str) -> str:
    if (text and not all(c.isalnum() or c in "-_." for c in text)) or text.startswith("."):
        raise UsageError(f"--run-label {text!r}: use letters, digits, hyphens and underscores.")
    if len(os.fsencode(text)) > _LONGEST_LABEL:
        raise UsageError(f"--run-label {text!r} is longer than {_LONGEST_LABEL} characters.")
    return text


def _derivatives(given: Sequence[str]) -> dict[str, Path]:
    found = {}
    for text in given:
        name, separator, path = text.partition("=")
        if not separator:
            name, path = Path(text).name, text
        if not name or not path or name in found:
            raise UsageError(f"--derivatives {text!r}: expected NAME=PATH, each name once.")
        if name == "raw" or not all(c.isalnum() or c in "-_." for c in name):
            raise UsageError(
                f"--derivatives {text!r}: say NAME=PATH with a name of letters, digits, hyphens, "
                "underscores: addresses (bids:NAME:...) are made of it; raw is the input's."
            )
        folder = _absolute(Path(path))
        if not folder.is_dir():
            raise NoInput(f"--derivatives {text}: {folder} is not a folder.")
        found[name] = folder
    return found


def _plugin_arguments(given: argparse.Namespace) -> dict[str, Any]:
    if given.nipype_plugin_args is None:
        return {}
    if given.nipype_plugin is None:
        raise UsageError("--nipype-plugin-args needs --nipype-plugin.")
    from bidsapp.execution.plugin_arguments import read_plugin_arguments

    return read_plugin_arguments(given.nipype_plugin_args)


if __name__ == "__main__":
    sys.exit(main())
