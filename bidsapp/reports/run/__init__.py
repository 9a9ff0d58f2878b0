"""What a group report says: read from the files of a run, and from nothing else."""
