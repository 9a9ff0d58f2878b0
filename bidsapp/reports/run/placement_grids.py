"""Tables of a page on what scores hang on where a person placed a box."""

from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.grids import Grid, decimal, grid, interval, plain


def placement_table(run: RunFiles) -> Grid | None:
    """Show changes of held-out scores where boxes were moved, or drawn by another rater."""
    numeric = (
        *("apart_mm", "change", "change_low", "change_high", "largest_change"),
        *("flipped", "flipped_low", "flipped_high", "auc", "auc_difference"),
        *("auc_difference_low", "auc_difference_high"),
    )
    table = run.table("tables/placement.tsv", ("variant", "placement", "n"), numeric)
    columns = [
        ("Variant", plain("variant")),
        ("Place", plain("placement")),
        ("mm apart", decimal("apart_mm")),
        ("n", plain("n")),
        ("Change of probability", decimal("change")),
        ("Its interval", interval("change_low", "change_high")),
        ("Largest", decimal("largest_change")),
        ("Share of answers changed", decimal("flipped")),
        ("Interval of the share", interval("flipped_low", "flipped_high")),
        ("AUC", decimal("auc")),
        ("Difference", decimal("auc_difference")),
        ("Interval of the difference", interval("auc_difference_low", "auc_difference_high")),
    ]
    right = tuple(heading for heading, _ in columns[2:])
    findings = run.table("tables/findings.tsv", ("kind", "text"))
    told = findings.loc[findings["kind"] == "placement", "text"]
    own = [text for text in told if text.startswith(f"{run.lead}: ")]
    caption = " ".join(
        (
            "Held-out images placed otherwise, by the same networks; intervals from a bootstrap "
            "over participants.",
            *own,
        )
    )
    return grid("placement", caption, table, columns, numeric=right)


def raters_table(run: RunFiles) -> Grid | None:
    """Show how alike raters placed the boxes."""
    numeric = (
        *("same_slice", "overlap", "overlap_least", "apart_mm", "apart_most_mm"),
        *("icc_width", "icc_depth"),
    )
    table = run.table("tables/raters.tsv", ("rater", "n"), numeric)
    columns = [
        ("Rater", plain("rater")),
        ("n", plain("n")),
        ("On the same slice", decimal("same_slice")),
        ("Overlap (IoU)", decimal("overlap")),
        ("Least", decimal("overlap_least")),
        ("Centres, mm apart", decimal("apart_mm")),
        ("Most", decimal("apart_most_mm")),
        ("ICC of widths", decimal("icc_width")),
        ("ICC of depths", decimal("icc_depth")),
    ]
    right = tuple(heading for heading, _ in columns[1:])
    return grid("raters", "Boxes of another rater beside those used", table, columns, numeric=right)
