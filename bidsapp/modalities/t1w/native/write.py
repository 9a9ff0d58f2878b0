"""The node of one head in its own space: box, sidecars and page into the output folder."""

import time
from pathlib import Path
from typing import Any

from bidsapp.contracts.job import Job
from bidsapp.contracts.modality import modality_named
from bidsapp.execution.write_node import Done, WriteUnit


class WriteHead(WriteUnit):
    """Lay a head into its box, judge it, and put all files in place together."""

    software = ("nocicast", "numpy", "scipy", "nibabel", "deepbet", "torch", "nipype")

    def _done(self, job: Job) -> Done:
        from bidsapp.execution.compute import has_bfloat16, resolve_device
        from bidsapp.modalities.t1w.native.files import write_box
        from bidsapp.modalities.t1w.native.page import write_head_page
        from bidsapp.modalities.t1w.native.steps import prepare

        names = job.names
        settings = modality_named(job.modality).settings_among(job.provenance.settings)
        began = time.process_time()
        device = resolve_device(self.inputs.device)
        done = prepare(job.scan.main.path, settings, device)
        spent = round(time.process_time() - began, 3)

        def data(staging: Path) -> dict[str, Any]:
            write_box(staging / names[names.main.key], done.values, done.grid.affine)
            mask = done.brain.astype("uint8")
            write_box(staging / names["own_mask"], mask, done.grid.affine)
            return done.facts

        precision = "bfloat16" if has_bfloat16(device) else "float32"
        return Done(
            done.quality,
            data,
            write_head_page,
            records=[{"notes": done.notes, "seconds": {"head": spent}}],
            computed={"device": str(device), "precision": precision},
        )
