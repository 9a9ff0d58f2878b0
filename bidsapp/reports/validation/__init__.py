"""What is said of a model that was applied to new people with a known outcome."""
