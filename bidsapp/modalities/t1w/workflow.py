"""The nipype workflow of one T1w image."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bidsapp.contracts.job import Job
from bidsapp.options import RunOptions

# Peak memory in GB of each step on a 1 mm head (256 × 256 × 256), rounded up.
_MEMORY = {"extract": 2.0, "bias": 1.0, "register": 1.0, "assess": 2.0, "write": 1.0}


def normalization_workflow(
    name: str, job: Job, files: Mapping[str, Path], options: RunOptions
) -> Any:
    """Connect the steps from a T1w image to its derivatives.

    Parameters
    ----------
    name
        Of the workflow; its folder in the work directory.
    job
        The image, and where its derivatives go.
    files
        The template's brain: ``registration``, ``judged`` and ``output`` grid.
    options
        Device, threads, and the command line for the page.

    Returns
    -------
    nipype Workflow
    """
    from nipype.pipeline.engine import Node, Workflow

    from bidsapp.execution.write_node import write_node
    from bidsapp.modalities.t1w.interfaces import Assess, CorrectBias, ExtractBrain, Register
    from bidsapp.modalities.t1w.write import WriteDerivatives

    speed, seed = (job.provenance.settings[key] for key in ("speed", "seed"))
    nthreads = options.omp_nthreads

    def node(interface: Any, label: str) -> Any:
        memory = _MEMORY[label] * (2.0 if speed == "precise" and label == "register" else 1.0)
        return Node(interface, name=label, n_procs=nthreads, mem_gb=memory)

    common = {"nthreads": nthreads}
    extract = node(
        ExtractBrain(t1w=str(job.scan.main.path), device=options.device, speed=speed, **common),
        "extract",
    )
    bias = node(CorrectBias(speed=speed, **common), "bias")
    registration = {"speed": speed, "seed": seed, "fixed": str(files["registration"])}
    register = node(Register(**registration, **common), "register")
    assess = node(
        Assess(judged=str(files["judged"]), device=options.device, **registration, **common),
        "assess",
    )
    write = WriteDerivatives.of(job, options, template_image=str(files["output"]))
    final = write_node(write, _MEMORY["write"])

    workflow = Workflow(name=name)
    workflow.connect(
        [
            (extract, bias, [("head", "head"), ("mask", "mask")]),
            (bias, register, [("corrected", "corrected"), ("mask", "mask")]),
            (
                extract,
                assess,
                [("head", "head"), ("mask", "head_mask"), ("record", "head_record")],
            ),
            (bias, assess, [("corrected", "corrected"), ("mask", "mask")]),
            (register, assess, [("affine", "affine"), ("field", "field")]),
            (extract, final, [("record", "head_record")]),
            (bias, final, [("record", "bias_record")]),
            (register, final, [("record", "registration_record")]),
            (
                assess,
                final,
                [
                    (field, field)
                    for field in (
                        *("corrected", "mask", "affine", "field"),
                        *("head", "head_mask", "quality"),
                    )
                ]
                + [("record", "quality_record")],
            ),
        ]
    )
    return workflow
