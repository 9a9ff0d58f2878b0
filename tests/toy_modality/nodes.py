"""The toy's one node."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from nipype.interfaces.base import BaseInterfaceInputSpec, TraitedSpec, traits

from bidsapp.contracts.measure import judged
from bidsapp.contracts.modality import job_of
from bidsapp.derivatives.unit import write_unit
from bidsapp.execution.failures import Step
from bidsapp.intake.images import read_numbers
from tests.toy_modality.modality import MEASURES, affine, frame, half, write_page


class _Inputs(BaseInterfaceInputSpec):
    job = traits.Dict(mandatory=True)


class _Outputs(TraitedSpec):
    verdict = traits.Str()


class WriteToy(Step):
    """Weight an image, judge it, and write all that belongs to it."""

    input_spec = _Inputs
    output_spec = _Outputs

    def _work(self, folder: Path) -> None:
        job = job_of(self.inputs.job)
        values, _ = read_numbers(job.scan.main.path)
        table = job.scan.path("weights")
        weight = 1.0 if table is None else float(pd.read_csv(table, sep="\t")["weight"].iloc[0])
        values = (values * weight * job.provenance.settings["gain"]).astype(np.float32)
        quality: dict[str, Any] = {
            "spread": round(float(values.std()), 5),
            "unweighted": table is None,
        }
        verdict, reasons = judged(MEASURES, quality)
        quality |= {"verdict": verdict, "reasons": list(reasons)}

        def data(staging: Path) -> dict[str, Any]:
            space = half(job.part)
            seen = space.cut(values)[..., None]
            nib.save(nib.Nifti1Image(seen, frame().affine), staging / job.names["toy"])
            where = nib.Nifti1Image((values > 0).astype(np.uint8), affine())
            nib.save(where, staging / job.names["where"])
            return {"space": space.to_dict()}

        def page(staging: Path, facts: Mapping[str, Any], path: Path) -> None:
            write_page(f"sub-{job.scan.participant} {job.part}", quality, path)

        write_unit(job.names, job.provenance, quality, data=data, page=page, software=["nocicast"])
        self._results["verdict"] = verdict
