"""What concludes a group run: evaluation, findings on the terminal, methods text, report, pack."""

from pathlib import Path

from bidsapp.execution.status import telling

_FINISHED = ("recipe.yaml", "cohort.tsv", "splits.tsv", "scores.tsv", "metrics.tsv")


def evaluate_run(folder: Path) -> int:
    """Compute everything that follows from the state files."""
    from bidsapp.evaluation.evaluate import evaluate

    with telling("evaluation"):
        evaluate(folder)
    return 0


def tell_summary(folder: Path) -> None:
    """Print what the evaluation found, in its own sentences."""
    from bidsapp.evaluation.tsv import read_table

    for text in read_table(folder / "tables" / "findings.tsv", ("kind", "text"))["text"]:
        print(text)
    print(f"All numbers: {folder / 'metrics.tsv'}; models: {folder / 'model'}")


def write_report(folder: Path) -> int:
    """Write the report of the run and what its tables mean, and say where it is."""
    from bidsapp.derivatives.dictionaries import describe_run
    from bidsapp.reports.group_report import write_group_report

    report = write_group_report(folder)
    if all((folder / name).is_file() for name in _FINISHED):
        from bidsapp.reports.pictures import write_pictures
        from bidsapp.reports.reporting.pack import write_pack

        write_pictures(folder)
        describe_run(folder)  # before the guidelines, which point to these files where they are
        print(f"Submission pack (TRIPOD+AI, CLAIM, PROBAST): {write_pack(folder)}")
    describe_run(folder)
    print(f"Report: {report}")
    return 0


def write_words(folder: Path) -> int:
    """Write the methods text, and say where it is."""
    from bidsapp.reports.methods_text import write_group_words

    print(f"Methods text: {write_group_words(folder).with_suffix('.md')}")
    return 0
