"""BIDS out: names, sidecars, dataset_description, atomic writing."""

from bidsapp.contracts.product import OutputNames
from bidsapp.derivatives.atomic import atomic_path, publish, write_json, write_text
from bidsapp.derivatives.description import check_output, prepare_output

__all__ = [
    "OutputNames",
    "atomic_path",
    "check_output",
    "prepare_output",
    "publish",
    "write_json",
    "write_text",
]
