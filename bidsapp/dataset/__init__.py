"""BIDS in: which images, which outcome and covariates, the cohort table.

Light names are offered here; what needs pandas is imported from its own module
(``bidsapp.dataset.tables``, ``.expression``, ``.cohort``, ``.extra``).
"""

from bidsapp.dataset.description import check_dataset, list_participants
from bidsapp.dataset.filters import read_bids_filters
from bidsapp.dataset.images import ImageChoice, Selection, select_images
from bidsapp.dataset.refusals import Refusal
from bidsapp.dataset.validation import ValidationSummary, validate_dataset

__all__ = [
    "ImageChoice",
    "Refusal",
    "Selection",
    "ValidationSummary",
    "check_dataset",
    "list_participants",
    "read_bids_filters",
    "select_images",
    "validate_dataset",
]
