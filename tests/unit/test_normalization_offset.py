"""A real head with an offset goes through all steps as its twin without one."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from bidsapp.execution.compute import resolve_device, threads
from bidsapp.modalities.t1w import steps
from bidsapp.modalities.t1w.brainmask import extract_brain
from bidsapp.modalities.t1w.reading import read_head
from bidsapp.modalities.t1w.resampling import resample_brain
from bidsapp.modalities.t1w.speeds import speed_named
from bidsapp.modalities.t1w.template_images import prepare_template
from bidsapp.recipes import load_recipe
from bidsapp.templates import resolve_template
from tests.integration.heads import t1w


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> steps.Target:
    folder = tmp_path_factory.mktemp("template")
    template = resolve_template("MNI152NLin2009aSym", home=folder)
    images = prepare_template(template, load_recipe("t1w").preparation, folder)
    brain = sitk.ReadImage(str(images["judged"]))
    return steps.Target(brain, brain)


def test_whole_numbers_with_an_offset_end_in_the_same_bits(
    real_data: Path, target: steps.Target, tmp_path: Path
) -> None:
    """As they are read alike to the last bit; other units differ by what rounding does."""
    stored: Any = nib.load(t1w(real_data, "IXI014"))
    values = np.asarray(stored.dataobj.get_unscaled(), dtype=np.int16) * 4
    found = []
    for offset in (0, -1024):
        path = tmp_path / f"{offset}.nii"
        nib.Nifti1Image(values + np.int16(offset), stored.affine).to_filename(path)
        with threads(1):
            head, speed = read_head(path), speed_named("fast")
            mask = steps.measured(head, extract_brain(head, resolve_device("cpu"), grid=192))
            corrected, cropped = steps.correct(head, mask, speed)
            fit = steps.fit(corrected, cropped, target, speed, seed=0, nthreads=1)
            quality = steps.assess(fit, target, head, mask)
            image, _ = resample_brain(corrected, cropped, fit.spatial, target.at_2mm)
        found.append((image, quality))
        assert quality.verdict == "pass"
        assert np.mean(image[image > 0]) > 0.2 * image.max()
    np.testing.assert_array_equal(found[1][0], found[0][0])
    assert found[0][1] == found[1][1]
