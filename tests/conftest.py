"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long drawing or running takes tells of the machine that day.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real MRI datasets, or a skip that says where it was looked for."""
    beside = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("NOCICAST_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"real data not found in {folder}; set NOCICAST_TEST_DATA")
    return folder
