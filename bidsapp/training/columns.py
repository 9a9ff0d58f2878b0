"""Columns of the tables that training reads and writes, on which others rely."""

SPLITS = ("repeat", "fold", "participant_id", "role")
ROLES = ("train", "validation", "test")
LEARNING = ("train", "validation")
"""Roles of the people whom the network of a fold has seen."""
SCORES = (
    "participant_id",
    "session_id",
    "variant",
    "repeat",
    "fold",
    "outcome",
    "probability",
)
