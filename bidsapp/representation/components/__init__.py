"""Components of BOLD series: group ICA in a fold, dual regression, selection, matching."""
