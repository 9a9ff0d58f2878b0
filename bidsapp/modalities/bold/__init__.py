"""BOLD at rest: motion, timing, T1w and standard space, confounds and denoising."""
