"""The node of one injection: region, sidecars and page into the output folder."""

import time
from pathlib import Path
from typing import Any

from bidsapp.contracts.job import Job
from bidsapp.contracts.modality import modality_named
from bidsapp.execution.write_node import Done, WriteUnit


class WriteRegion(WriteUnit):
    """Cut the region of an injection out, judge it, and put all files in place together."""

    software = ("nocicast", "numpy", "scipy", "nibabel", "nipype")

    def _done(self, job: Job) -> Done:
        from bidsapp.modalities.spine.files import write_region_files
        from bidsapp.modalities.spine.page import write_region_page
        from bidsapp.modalities.spine.steps import facts_of, prepare

        settings = modality_named(job.modality).settings_among(job.provenance.settings)
        began = time.process_time()
        done = prepare(job.scan, job.part, settings)
        spent = round(time.process_time() - began, 3)
        facts = facts_of(done)

        def data(staging: Path) -> dict[str, Any]:
            files = [staging / job.names[key] for key in ("slice", "region", "picture")]
            write_region_files(done.region, *files)
            return facts

        records = [{"notes": list(done.notes), "seconds": {"region": spent}}]
        return Done(done.quality, data, write_region_page, records)
