"""What every modality must hold, and what measures and products say of themselves."""

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidsapp.contracts.job import Job
from bidsapp.contracts.measure import FAIL, INFO, PASS, WARN, Limits, Measure, judged
from bidsapp.contracts.modality import Modality, job_of, modality_named, modality_packages
from bidsapp.contracts.prepared import Provenance
from bidsapp.contracts.product import OutputNames, Product, sidecar_name
from bidsapp.contracts.scan import Scan, SourceFile
from bidsapp.errors import UsageError
from bidsapp.recipes.preparation import Preparation

NAMES = tuple(modality_packages())
LABELS = {"space": "MNI152NLin6Asym", "res": "2"}


@pytest.fixture(params=NAMES)
def modality(request: pytest.FixtureRequest) -> Modality[Any]:
    return modality_named(request.param)


def test_a_modality_is_named_by_its_package(modality: Modality[Any]) -> None:
    assert modality.name in NAMES
    assert issubclass(modality.settings, Preparation)
    assert modality.settings().modality == modality.name


def test_settings_that_a_modality_speaks_of_are_its_own(modality: Modality[Any]) -> None:
    known = {key for shape in modality.every_settings for key in shape.model_fields}
    assert known.issuperset([*modality.free, *modality.spared])
    values = modality.settings().plain()
    assert all(values[key] is True for key in modality.spared)


def test_an_unknown_modality_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UsageError, match=r"preparation.modality: 'mrs' is not one of .*t1w"):
        modality_named("mrs")


def test_what_a_recipe_needs_of_a_modality_is_imported_without_what_works_on_images() -> None:
    """Recipes are checked by them, so that the command line answers at once."""
    code = (
        "import sys; from bidsapp.contracts.modality import modality_named as m, "
        "modality_packages as p; [m(name) for name in p()]; "
        "heavy = ['torch', 'nipype', 'SimpleITK', 'nibabel', 'pandas', 'numpy', 'scipy']; "
        "print([name for name in heavy if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_every_product_has_a_name_of_its_own_that_can_be_read_back(
    modality: Modality[Any],
) -> None:
    products = modality.products_for(modality.settings().plain())
    labels = {label: "2" for one in products for label in re.findall(r"\{(\w+)\}", one.name)}
    names = OutputNames(Path("/out"), {"subject": "01", "session": "b"}, labels, products)
    assert len(set(names.data_files)) == len(products)
    assert len({sidecar_name(name) for name in names.data_files}) == len(products)
    for product in products:
        match = product.pattern().fullmatch(names[product.key])
        assert match is not None
        found = match.groupdict()
        assert found.pop("stem") == "sub-01_ses-b"
        assert found.items() <= labels.items()
    assert [product.main for product in products].count(True) == 1
    assert names.main.main


def test_no_two_modalities_have_a_main_product_of_one_name() -> None:
    tails = [main.name for name in NAMES for main in modality_named(name).main_products()]
    assert len(set(tails)) == len(tails)


def test_every_measure_has_words_and_no_two_have_one_key(modality: Modality[Any]) -> None:
    assert len({measure.key for measure in modality.measures}) == len(modality.measures)
    for measure in modality.measures:
        assert measure.title
        assert measure.meaning
        limited = measure.limits or measure.raised
        assert measure.advice or not limited, f"{measure.key} can fail, and nobody says what to do"
        assert measure.column or not measure.bad, f"{measure.key} is a column without a meaning"


def test_the_zones_of_a_scale_are_the_statuses_of_its_values(modality: Modality[Any]) -> None:
    for measure in modality.measures:
        zones = measure.zones()
        if not zones:
            assert measure.scale is None
            continue
        low, high = measure.scale or (0.0, 1.0)
        assert (zones[0].start, zones[-1].end) == (0, 1)
        for before, after in pairwise(zones):
            assert before.end == after.start
            assert before.status != after.status
        for zone in zones:
            middle = low + (zone.start + zone.end) / 2 * (high - low)
            assert measure.status(middle) == zone.status


@given(value=st.floats(-3, 3), low=st.floats(-2, 0), high=st.floats(0, 2))
def test_a_number_outside_its_limits_is_told_and_no_other(
    value: float, low: float, high: float
) -> None:
    measure = Measure("x", "X", "A number.", fails=Limits(low=low), warns=Limits(high=high))
    verdict, reasons = judged([measure], {"x": value})
    assert verdict == (FAIL if value < low else WARN if value > high else PASS)
    assert len(reasons) == (verdict != PASS)
    assert measure.status(value) == verdict


def test_reasons_that_fail_stand_first_and_doubts_before_warnings() -> None:
    warns = Measure("a", "A", "?", warns=Limits(high=1))
    fails = Measure("b", "B", "?", fails=Limits(low=0), reason="B is {value:.1f} below {limit}.")
    flag = Measure("c", "C", "?", kind="flag", raised=WARN)
    block = {"a": 2.0, "b": -1.0, "c": True}
    verdict, reasons = judged([warns, fails, flag], block, ["doubted"], ["impossible"])
    assert verdict == FAIL
    assert reasons == (
        "B is -1.0 below 0.",
        "impossible",
        "doubted",
        "A: 2.00 (expected at most 1.00).",
        "C: yes (expected no).",
    )
    assert judged([warns, fails, flag], {}) == (PASS, ())  # what is not measured is not judged


@pytest.mark.parametrize(
    ("measure", "value", "shown", "expected", "status"),
    [
        (Measure("v", "V", "?", unit="ml", digits=0, fails=Limits(9, 21)), 10, "10 ml",
         "9 to 21 ml", PASS),
        (Measure("v", "V", "?", unit="%", digits=1, warns=Limits(high=0.1)), 0.25, "25.0%",
         "at most 10.0%", WARN),
        (Measure("v", "V", "?", kind="numbers", fails=Limits(0, 1)), [0.5, 2], "0.50 · 2.00",
         "0.00 to 1.00 each", FAIL),
        (Measure("v", "V", "?", kind="names", raised=FAIL), ["left", "top"], "left, top", "none",
         FAIL),
        (Measure("v", "V", "?", zero="none"), 0.0, "none", "no limit", INFO),
        (Measure("v", "V", "?", fails=Limits(high=2), warns=Limits(high=1)), 1.5, "1.50",
         "at most 1.00; above 2.00 fails", WARN),
    ],
)  # fmt: skip
def test_values_and_limits_are_written_with_digits_and_unit(
    measure: Measure, value: Any, shown: str, expected: str, status: str
) -> None:
    assert measure.shown(value) == shown
    assert measure.expectation() == expected
    assert measure.status(value) == status


def test_a_job_goes_through_json_to_a_node_and_back(tmp_path: Path) -> None:
    modality = modality_named("t1w")
    file = SourceFile(tmp_path / "a.nii", "sub-01/anat/a.nii", {"subject": "01"}, "the only T1w")
    names = OutputNames(tmp_path, {"subject": "01"}, LABELS, modality.products_for({}))
    provenance = Provenance({"bids:raw:a": "ab"}, "the only T1w", {"seed": 0}, "https://x.org")
    job = Job("t1w", Scan("01", None, {"t1w": (file,), "mask": ()}), "R", names, provenance)
    assert job_of(json.loads(json.dumps(job.plain()))) == job


def test_one_source_and_several_have_keys_of_their_own() -> None:
    one = Provenance({"a": "11"}, "", {"seed": 0, "resolution": 2})
    assert one.key == Provenance({"renamed": "11"}, "chosen", {"resolution": 2, "seed": 0}).key
    assert one.key != Provenance({"a": "11", "b": "22"}, "", dict(one.settings)).key
    assert one.key_without(["resolution"]) == Provenance({"a": "11"}, "", {"seed": 0}).key


def test_parts_of_a_scan_have_names_and_pages_of_their_own(tmp_path: Path) -> None:
    product = Product("cut", "space-{space}_desc-{part}cut_T2w.nii.gz", lambda made: {}, main=True)
    entities = {"subject": "01"}
    made = [
        OutputNames(tmp_path, entities, {"space": "region", "part": part}, (product,))
        for part in ("C6L", "C7R", "")
    ]
    assert len({names["cut"] for names in made}) == len({names.report for names in made}) == 3
    for names in made:
        match = product.pattern().fullmatch(names["cut"])
        assert match is not None
        assert match["part"] == names.part
