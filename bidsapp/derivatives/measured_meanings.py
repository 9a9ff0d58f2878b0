"""What the columns of quality numbers mean, in the words of each modality's measures."""

from bidsapp.contracts.measure import Measure
from bidsapp.contracts.modality import modality_named, modality_packages
from bidsapp.derivatives.column_meanings import TRUE, Column


def measured_columns() -> dict[str, dict[str, Column]]:
    """Give the columns of ``quality.tsv`` and ``measures.tsv`` that modalities bring along."""
    quality: dict[str, Column] = {}
    measures: dict[str, Column] = {}
    for name in modality_packages():
        for one in modality_named(name).measures:
            if one.column:
                quality.setdefault(one.key, _column(one))
            if one.confound or one.unusual_sd is not None:
                measures.setdefault(f"quality_{one.key}", _number(one))
    return {"quality": quality, "measures": measures}


def _number(measure: Measure) -> Column:
    """Say what a column of numbers means; a flag is one of them."""
    if measure.kind == "flag":
        return Column(f"{measure.column.removesuffix('.')}: 1 is yes, 0 no.", "1")
    return _column(measure)


def _column(measure: Measure) -> Column:
    words = measure.column or measure.meaning
    if measure.kind == "flag":
        return Column(words, levels=TRUE)
    if measure.kind == "names":
        return Column(words)
    return Column(words, "1" if measure.unit in ("", "%") else measure.unit)
