"""T1w to standard space, as nipype nodes."""
