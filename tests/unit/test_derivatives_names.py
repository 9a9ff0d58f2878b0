"""Names, sidecars and descriptions of the output, as BIDS tools expect them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.prepared import Made, Provenance
from bidsapp.contracts.product import OutputNames, sidecar_name
from bidsapp.derivatives import prepare_output
from bidsapp.derivatives.finished import finished_images
from bidsapp.derivatives.sidecars import (
    as_finished,
    file_sha256,
    finished_key,
    is_finished,
    read_quality,
    report_mark,
    write_sidecars,
)
from bidsapp.errors import CannotCreateOutput, UsageError
from tests.integration.running import validation_errors
from tests.unit.finished_trees import names_of

SOURCE = "bids:raw:sub-01/anat/sub-01_T1w.nii.gz"
FACTS = {
    "notes": [],
    "seconds": {"total": 1.0},
    "software": {"nocicast": "0"},
    "device": "cpu",
    "precision": "float32",
    "threads": 1,
    "intensity_maximum": 100.0,
    "inverse_unsettled": 0.0003,
}


def names(root: Path = Path("/out"), **entities: str) -> OutputNames:
    return names_of(root, **entities)


def provenance(**changes: Any) -> Provenance:
    given: dict[str, Any] = {
        "sources": {SOURCE: "ab"},
        "selection": "the only T1w",
        "settings": {"seed": 0, "intensity": "minmax", "resolution": 2},
        "reference": "https://example.org",
    }
    return Provenance(**(given | changes))


def test_links_lead_to_every_dataset_that_addresses_name(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    prepare_output(out, source, links={"prep": tmp_path / "fmri prep"})
    prepare_output(out, source)  # a later run that needs no other dataset
    links = json.loads((out / "dataset_description.json").read_text())["DatasetLinks"]
    assert links == {"prep": "file:///%3Cprep%3E", "raw": "file:///%3Cbids_dir%3E"}


def test_a_link_is_relative_where_one_dataset_lies_in_the_other(tmp_path: Path) -> None:
    """As BIDS has it; nothing outside of the two is told."""
    source = tmp_path / "study"
    out = source / "derivatives" / "my nocicast"
    source.mkdir()
    prepare_output(out, source, links={"prep": out / "source data" / "prep"})
    found = json.loads((out / "dataset_description.json").read_text())
    assert found["DatasetLinks"] == {"prep": "source%20data/prep", "raw": "../.."}
    assert found["SourceDatasets"] == [{"URL": "../.."}]
    assert validation_errors(out)[1] == []


def test_entities_stand_in_the_order_of_bids_whatever_order_they_came_in() -> None:
    found = names(run="2", acquisition="mprage", session="b", reconstruction="norm", echo="1")
    assert found.stem == "sub-01_ses-b_acq-mprage_rec-norm_run-2_echo-1"
    assert found.folder == Path("/out/sub-01/ses-b/anat")
    assert found.report == Path("/out/sub-01_ses-b.html")
    assert (
        found["preproc"] == f"{found.stem}_space-MNI152NLin2009aSym_res-2_desc-preproc_T1w.nii.gz"
    )
    assert found["native_mask"] == f"{found.stem}_desc-brain_mask.nii.gz"
    assert found["to_template"] == f"{found.stem}_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.h5"
    assert found.uri == "bids::sub-01/ses-b/anat/"


def test_every_data_file_has_a_sidecar_and_no_two_share_one() -> None:
    files = names().data_files
    assert len({sidecar_name(name) for name in files}) == len(files) == 6
    with pytest.raises(ValueError, match=r"no sidecar is known for x\.png"):
        sidecar_name("x.png")


def finished(root: Path, made: OutputNames | None = None) -> OutputNames:
    """A finished result with files that hold next to nothing."""
    made = made or names(root)
    made.folder.mkdir(parents=True, exist_ok=True)
    for name in made.data_files:
        (made.folder / name).write_text("data")
    made.report.write_text(f"<html></html>\n{report_mark(made, provenance())}")
    write_sidecars(made.folder, Made(made, provenance(), FACTS), {"verdict": "pass"})
    return made


def test_another_image_of_the_visit_makes_no_finished_one_be_made_again(tmp_path: Path) -> None:
    alone, among = names(tmp_path, run="1"), replace(names(tmp_path, run="1"), apart=True)
    assert as_finished(among, provenance()) == among  # nothing lies there yet
    finished(tmp_path, alone)
    assert as_finished(among, provenance()) == alone
    assert as_finished(alone, provenance()) == alone
    of_others = replace(provenance(), settings={"seed": 1})
    assert as_finished(among, of_others) == among
    second = replace(names(tmp_path, run="2"), apart=True)
    assert as_finished(second, provenance()) == second


def test_a_result_is_known_by_its_source_and_settings(tmp_path: Path) -> None:
    made = finished(tmp_path)
    assert finished_key(made) == provenance().key
    assert read_quality(made) == {"verdict": "pass"}
    for changes in (
        {"sources": {SOURCE: "cd"}},
        {"settings": {"seed": 1, "intensity": "minmax", "resolution": 2}},
    ):
        assert finished_key(made) != provenance(**changes).key
    # why it was chosen, or where it lay, does not shape the voxels
    assert provenance(selection="chosen by a filter").key == provenance().key


def test_each_image_of_a_visit_has_a_page_where_each_can_be_picked(tmp_path: Path) -> None:
    """On one page the last would stand alone, and those before it would be made again."""
    both = [replace(names(tmp_path, acquisition=one), apart=True) for one in ("a", "b")]
    for one in both:
        finished(tmp_path, one)
    assert [one.report.name for one in both] == ["sub-01_acq-a.html", "sub-01_acq-b.html"]
    assert all(is_finished(one, provenance()) for one in both)
    found = {one.names.entities["acquisition"]: one.names for one in finished_images(tmp_path)}
    assert [found[one].report for one in ("a", "b")] == [one.report for one in both]
    # what was made alone, or before pages had such names, keeps its own
    path = both[0].folder / sidecar_name(both[0][both[0].main.key])
    told = json.loads(path.read_text())
    for changed in (told | {"Page": "sub-01.html"}, told | {"Page": "../x.html"}, {**told}):
        if changed == told:
            del changed["Page"]
        path.write_text(json.dumps(changed))
        first, _ = finished_images(tmp_path)
        assert first.names.report.name == "sub-01.html"
    labels = both[0].labels | {"part": "L"}
    series = replace(both[0], entities={"subject": "1", "task": "rest"}, labels=labels)
    assert replace(series, datatype="func").report.name == "sub-1_task-rest_L_func.html"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"RegistrationToT1w": [1], "VolumesKept": [0, 1]}, {"VolumesKept": [0, 1]}),
        (
            {"Runs": [{"RegistrationToT1w": [1], "Source": "run 1"}, 5, {"VolumesKept": "all"}]},
            {"Runs": [{"Source": "run 1"}, 5, {}]},  # each run keeps its place
        ),
        ({"Notes": "none", "Box": 3}, {"Box": 3}),  # it is of another modality
    ],
)
def test_what_a_sidecar_says_is_read_where_it_is_of_its_modality_s_kind(
    written: dict[str, Any], read: dict[str, Any], tmp_path: Path
) -> None:
    modality = modality_named("bold")
    series = OutputNames(
        tmp_path,
        {"subject": "01", "task": "rest"},
        {"space": "MNI152NLin2009aSym", "res": "2"},
        modality.products_for({}),
        "func",
    )
    series.folder.mkdir(parents=True)
    path = series.folder / sidecar_name(series[series.main.key])
    path.write_text(json.dumps({"Quality": {"verdict": "pass"}} | written))
    (found,) = finished_images(tmp_path)
    assert found.modality == "bold"
    assert {key: v for key, v in found.sidecar.items() if key != "Quality"} == read


def test_files_that_another_run_replaced_are_made_again(tmp_path: Path) -> None:
    made = finished(tmp_path)
    assert is_finished(made, provenance())
    faster = provenance(settings={"seed": 1, "intensity": "minmax", "resolution": 2})
    for name in (made["to_template"], made["from_template"]):
        (tmp_path / name).touch()
    write_sidecars(tmp_path, Made(made, faster, FACTS), {"verdict": "pass"})
    for name in (made["to_template"], made["from_template"], made["native_mask"]):
        own = (made.folder / sidecar_name(name)).read_text()
        (made.folder / sidecar_name(name)).write_text((tmp_path / sidecar_name(name)).read_text())
        assert not is_finished(made, provenance()), name
        (made.folder / sidecar_name(name)).write_text(own)
    made.report.write_text(f"<html></html>\n{report_mark(made, faster)}")
    assert not is_finished(made, provenance())
    made.report.write_text(f"<html></html>\n{report_mark(made, provenance())}")
    assert is_finished(made, provenance())


def test_a_result_with_an_empty_file_is_not_finished(tmp_path: Path) -> None:
    made = finished(tmp_path)
    (made.folder / made["preproc"]).write_bytes(b"")
    assert finished_key(made) is None


@pytest.mark.parametrize("number", range(13))
def test_a_result_that_lacks_a_file_is_not_finished(number: int, tmp_path: Path) -> None:
    made = finished(tmp_path)
    everything = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(everything) == 13
    sorted(everything)[number].unlink()
    assert finished_key(made) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"RunKey": 3}', "\xff"])
def test_a_marker_that_is_damaged_is_no_marker(text: str, tmp_path: Path) -> None:
    made = finished(tmp_path)
    (made.folder / sidecar_name(made["preproc"])).write_text(text, encoding="latin-1")
    assert finished_key(made) is None
    assert read_quality(made) == {}


def test_sidecars_name_their_sources_as_bids_uris(tmp_path: Path) -> None:
    made = finished(tmp_path)
    found = {
        name: json.loads((made.folder / sidecar_name(name)).read_text()) for name in made.data_files
    }
    assert found[made["preproc"]]["SkullStripped"] is True
    assert found[made["native_mask"]]["Type"] == "Brain"
    for content in found.values():
        for uri in content["Sources"]:
            kind, dataset, path = uri.split(":", 2)
            assert kind == "bids"
            assert dataset in ("", "raw")
            if not dataset:
                assert (tmp_path / path).is_file()


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    import hashlib

    (tmp_path / "x").write_bytes(b"nociception")
    assert file_sha256(tmp_path / "x") == hashlib.sha256(b"nociception").hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "study, l'été"
    folder.mkdir()
    described = {"Name": "Pain", "BIDSVersion": "1.10.0", "License": "CC0"}
    (folder / "dataset_description.json").write_text(json.dumps(described))
    return folder


def test_the_output_is_a_derivative_dataset_that_knows_its_source(
    source: Path, tmp_path: Path
) -> None:
    prepare_output(tmp_path / "out", source)
    found = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert found["DatasetType"] == "derivative"
    assert found["Name"] == "NociCast: Pain"
    assert found["License"] == "CC0"
    assert found["GeneratedBy"][0]["Name"] == "NociCast"
    assert found["DatasetLinks"]["raw"] == "file:///%3Cbids_dir%3E"
    assert tmp_path.name not in json.dumps(found)
    ignored = (tmp_path / "out" / ".bidsignore").read_text().split()
    assert {"*.html", "*_xfm.*", "*_statmap.*", "group", "work"} <= set(ignored)
    assert not [line for line in ignored if line.endswith("/")]


def test_the_container_is_named_where_there_is_one(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOCICAST_CONTAINER", "nocicast:0.1")
    prepare_output(tmp_path / "out", source)
    found = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert found["GeneratedBy"][0]["Container"] == {"Type": "docker", "Tag": "nocicast:0.1"}


@pytest.mark.parametrize("below", [".", "sub-01", "out", "sub-01/derivatives"])
def test_the_input_is_never_written_to(below: str, source: Path) -> None:
    before = sorted(source.rglob("*"))
    with pytest.raises(UsageError, match=r"input dataset.*never"):
        prepare_output(source / below, source)
    assert sorted(source.rglob("*")) == before


def test_a_link_to_the_input_is_the_input(source: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(UsageError, match="the input dataset itself"):
        prepare_output(tmp_path / "link", source)


def test_derivatives_may_lie_where_bids_puts_them(source: Path) -> None:
    prepare_output(source / "derivatives" / "nocicast", source)
    assert (source / "derivatives" / "nocicast" / "dataset_description.json").is_file()


def test_another_dataset_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    (tmp_path / "dataset_description.json").write_text('{"Name": "All", "DatasetType": "raw"}')
    with pytest.raises(UsageError, match="holds another dataset"):
        prepare_output(tmp_path, source)


def test_an_output_that_cannot_be_made(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotCreateOutput, match="cannot be made"):
        prepare_output(tmp_path / "file" / "out", source)
