"""Maps per participant, group maps and statistics, atlas tables, sanity checks."""
