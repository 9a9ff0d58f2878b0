"""Running nipype workflows: resources, plugins, and what became of each node."""

from bidsapp.execution.resources import available_cpus, available_memory_gb

__all__ = ["available_cpus", "available_memory_gb"]
