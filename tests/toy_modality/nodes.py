"""The toy's one node."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from bidsapp.contracts.job import Job
from bidsapp.contracts.measure import judged
from bidsapp.contracts.prepared import UnitPage
from bidsapp.execution.write_node import Done, WriteUnit
from bidsapp.intake.images import read_numbers
from tests.toy_modality.modality import MEASURES, affine, frame, half, write_page


class WriteToy(WriteUnit):
    """Weight an image, judge it, and write all that belongs to it."""

    software = ("nocicast",)

    def _done(self, job: Job) -> Done:
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

        def page(unit: UnitPage, path: Path) -> None:
            write_page(f"sub-{job.scan.participant} {job.part}", unit.quality, path)

        return Done(quality, data, page)
