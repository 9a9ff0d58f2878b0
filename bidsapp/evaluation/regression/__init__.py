"""Nested regressions: does a column add anything to others, with people who have several rows."""
