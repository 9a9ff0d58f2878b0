"""T1w head: brain found, brought into a template's space, judged."""
