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
            if one.confound:
                measures.setdefault(f"quality_{one.key}", _column(one))
    return {"quality": quality, "measures": measures}


def _column(measure: Measure) -> Column:
    words = measure.column or measure.meaning
    if measure.kind == "flag":
        return Column(words, levels=TRUE)
    if measure.kind == "names":
        return Column(words)
    return Column(words, "1" if measure.unit in ("", "%") else measure.unit)
