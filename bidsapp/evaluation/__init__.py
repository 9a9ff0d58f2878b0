"""Out-of-fold scores to metrics, intervals, tests, baselines; needs neither torch nor an image."""
