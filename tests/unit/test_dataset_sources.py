"""The files of a scan: which of several kinds belong to it, and what is said where one does not."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.scan import Source
from bidsapp.dataset.sources import ScanSelection, select_scans
from bidsapp.errors import BadData, NoInput, NothingSelected, UsageError
from bidsapp.options import RunOptions
from tests.unit.dataset_trees import DESCRIPTION, make

BOLD = Source("bold", "func", "bold", entities={"task": "rest"})
HEAD = Source("t1w", "anat", "T1w", any_session=True)
TIMES = Source(
    "events", "func", "events", extensions=(".tsv",), required=False, same=("task", "run")
)
CONFOUNDS = Source(
    "confounds", "func", "timeseries", {"desc": "confounds"}, (".tsv",),
    same=("task", "run"), derivatives=True,
)  # fmt: skip
ECHOES = Source("echoes", "func", "bold", many=True)


def pick(root: Path, *sources: Source, filters: Any = None, **changes: Any) -> ScanSelection:
    given = {"bids_dir": root, "output_dir": root.parent / "out", "work_dir": root.parent / "work"}
    options = RunOptions(analysis_level="participant", **(given | changes))
    return select_scans(options, sources, filters)


def func(root: Path, *names: str) -> Path:
    """Files in the func folder of their participant and session."""
    for name in names:
        person, *rest = name.split("_")
        session = [part for part in rest if part.startswith("ses-")]
        folder = root.joinpath(person, *session, "func")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return root


def study(root: Path) -> Path:
    make(root, "sub-01_T1w.nii.gz", "sub-02_T1w.nii.gz")
    return func(root, *(f"sub-0{i}_task-rest_bold.nii.gz" for i in (1, 2)))


def names(selection: ScanSelection, source: str) -> list[list[str]]:
    return [[file.path.name for file in scan.files[source]] for scan in selection.scans]


def test_a_scan_has_the_files_of_every_source(tmp_path: Path) -> None:
    root = func(study(tmp_path / "s"), "sub-01_task-rest_events.tsv", "sub-01_task-nback_bold.nii")
    found = pick(root, BOLD, HEAD, TIMES)
    assert not found.refusals
    assert names(found, "t1w") == [["sub-01_T1w.nii.gz"], ["sub-02_T1w.nii.gz"]]
    assert names(found, "events") == [["sub-01_task-rest_events.tsv"], []]  # is optional
    assert found.scans[0].path("events") is not None
    assert found.scans[1].path("events") is None
    assert found.scans[0].main.entities["task"] == "rest"


def test_what_lacks_a_required_file_is_refused_and_says_which(tmp_path: Path) -> None:
    root = study(tmp_path / "s")
    (root / "sub-02" / "anat" / "sub-02_T1w.nii.gz").unlink()
    found = pick(root, BOLD, HEAD)
    assert [scan.participant for scan in found.scans] == ["01"]
    (refusal,) = found.refusals
    assert (refusal.participant, refusal.exit_code) == ("02", NothingSelected.exit_code)
    assert refusal.reason.startswith("no T1w (t1w) (.nii.gz or .nii) in sub-02/anat")
    (root / "sub-01" / "anat" / "sub-01_T1w.nii.gz").unlink()
    with pytest.raises(NothingSelected, match=r"No bold image is left(.|\n)*no T1w"):
        pick(root, BOLD, HEAD)


def test_several_files_of_a_source_are_refused_with_the_filter_that_chooses(tmp_path: Path) -> None:
    root = study(tmp_path / "s")
    make(root, "sub-01_acq-fast_T1w.nii.gz")
    found = pick(root, BOLD, HEAD)
    (refusal,) = found.refusals
    assert refusal.exit_code == UsageError.exit_code
    assert "2 T1w (t1w) files where one is needed" in refusal.reason
    assert '{"t1w": {"acquisition": null}}' in refusal.reason
    chosen = pick(root, BOLD, HEAD, bids_filters={"t1w": {"acquisition": None}})
    assert names(chosen, "t1w")[0] == ["sub-01_T1w.nii.gz"]
    recipe = pick(root, BOLD, HEAD, filters={"t1w": {"acquisition": "fast"}})
    assert names(recipe, "t1w") == [["sub-01_acq-fast_T1w.nii.gz"]]
    both = {"filters": {"t1w": {"acquisition": "fast"}}}
    person = pick(root, BOLD, HEAD, **both, bids_filters={"t1w": {"acquisition": None}})
    assert not person.refusals  # a person's filters win over the recipe's


def test_a_file_belongs_to_the_run_that_it_is_of(tmp_path: Path) -> None:
    root = make(tmp_path / "s")
    run = "sub-01_task-rest_run-0"
    func(root, f"{run}1_bold.nii.gz", f"{run}2_bold.nii.gz", f"{run}1_events.tsv")
    func(root, "sub-01_task-rest_run-2_events.tsv")
    found = pick(root, BOLD, TIMES, bids_filters={"bold": {"run": 2}})
    assert names(found, "events") == [["sub-01_task-rest_run-2_events.tsv"]]  # 2 is 02


def test_a_head_of_another_session_serves_where_there_is_none_of_its_own(tmp_path: Path) -> None:
    root = make(tmp_path / "s", "sub-01_ses-a_T1w.nii.gz")
    func(root, *(f"sub-01_ses-{one}_task-rest_bold.nii.gz" for one in "ab"))
    assert names(pick(root, BOLD, HEAD), "t1w") == [["sub-01_ses-a_T1w.nii.gz"]] * 2
    strict = Source("t1w", "anat", "T1w")
    found = pick(root, BOLD, strict)
    assert [(r.participant, r.session) for r in found.refusals] == [("01", "b")]


def test_all_echoes_are_one_scan_in_the_order_of_their_names(tmp_path: Path) -> None:
    root = make(tmp_path / "s")
    files = [f"sub-01_task-rest_echo-{n}_bold.nii.gz" for n in (2, 1, 3)]
    func(root, *files)
    found = pick(root, ECHOES)
    assert names(found, "echoes") == [sorted(files)]
    assert found.scans[0].main.reason == "all 3 bold images"


def test_derivatives_are_found_in_the_dataset_or_where_they_are_named(tmp_path: Path) -> None:
    root = study(tmp_path / "s")
    with pytest.raises(NothingSelected, match="no derivative dataset is there; give -d NAME=PATH"):
        pick(root, BOLD, CONFOUNDS)
    for name in ("fmriprep", "other"):
        place = make(root / "derivatives" / name, description=DESCRIPTION)
        tables = (f"sub-0{i}_task-rest_desc-confounds_timeseries.tsv" for i in (1, 2))
        func(place, *tables)
        found = pick(root, BOLD, CONFOUNDS) if name == "fmriprep" else None
        if found:
            assert {scan.files["confounds"][0].dataset for scan in found.scans} == {"fmriprep"}
    with pytest.raises(UsageError, match=r"-d fmriprep=PATH"):
        pick(root, BOLD, CONFOUNDS)
    one = pick(root, BOLD, CONFOUNDS, derivatives={"mine": root / "derivatives" / "other"})
    assert one.scans[0].files["confounds"][0].dataset == "mine"
    with pytest.raises(UsageError, match=r"-d mine: scans are prepared from .* alone"):
        pick(root, BOLD, HEAD, derivatives={"mine": root})


def test_what_bidsignore_lists_or_is_a_pointer_is_no_source(tmp_path: Path) -> None:
    root = study(tmp_path / "s")
    make(root, "sub-01_acq-old_T1w.nii.gz")
    (root / ".bidsignore").write_text("*_acq-old_*\n")
    head = root / "sub-02" / "anat" / "sub-02_T1w.nii.gz"
    head.unlink()
    head.symlink_to("../../.git/annex/objects/XX/MD5E-s1--a.nii.gz/MD5E-s1--a.nii.gz")
    found = pick(root, BOLD, HEAD)
    assert names(found, "t1w") == [["sub-01_T1w.nii.gz"]]
    (refusal,) = found.refusals
    assert "datalad get" in refusal.reason


def test_phase_images_are_taken_only_where_they_are_asked_for(tmp_path: Path) -> None:
    root = study(tmp_path / "s")
    make(root, "sub-01_part-phase_T1w.nii.gz", "sub-02_part-phase_T1w.nii.gz")
    assert names(pick(root, BOLD, HEAD), "t1w")[0] == ["sub-01_T1w.nii.gz"]
    asked = pick(root, BOLD, HEAD, bids_filters={"t1w": {"part": "phase"}})
    assert names(asked, "t1w")[0] == ["sub-01_part-phase_T1w.nii.gz"]


@pytest.mark.parametrize(
    ("text", "message", "error"),
    [
        ("{", r"sub-01/func/sub-01_bold.json: a JSON object was expected \(.*repair the", BadData),
        ("[1]", "sub-01/func/sub-01_bold.json: a JSON object was expected, got a list", BadData),
        ("", "sub-01/func/sub-01_bold.json: a JSON object was expected", BadData),
        (
            None,
            r"sub-01/func/sub-01_bold.json is a link to a file that is not here.*datalad get",
            NoInput,
        ),
    ],
)
def test_metadata_that_are_a_condition_and_cannot_be_read_refuse_their_scan_alone(
    tmp_path: Path, text: str | None, message: str, error: type[Exception]
) -> None:
    make(tmp_path)
    for label in ("01", "02", "03"):
        folder = tmp_path / f"sub-{label}" / "func"
        folder.mkdir(parents=True)
        (folder / f"sub-{label}_bold.nii.gz").write_bytes(b"x")
        (folder / f"sub-{label}_bold.json").write_text('{"RepetitionTime": 2}')
    (tmp_path / "sub-03" / "func" / "sub-03_bold.json").write_text("{}")
    broken = tmp_path / "sub-01" / "func" / "sub-01_bold.json"
    broken.unlink()
    if text is None:
        broken.symlink_to("../../.git/annex/objects/aa/bb/MD5E-s9--0/MD5E-s9--0.json")
    else:
        broken.write_text(text)
    series = Source("bold", "func", "bold", metadata=True)
    picked = pick(tmp_path, series)
    assert [scan.participant for scan in picked.scans] == ["02", "03"]
    (refused,) = picked.refusals
    assert (refused.participant, refused.error) == ("01", error)
    assert re.search(message, refused.reason)
    assert len(pick(tmp_path, replace(series, metadata=False)).scans) == 3
    (tmp_path / "bold.json").write_text("[")
    with pytest.raises(BadData, match=r"bold\.json: a JSON object was expected"):
        pick(tmp_path, series)
    assert modality_named("bold").sources[0].metadata


def test_a_broken_json_of_any_source_that_says_so_refuses_its_scan(tmp_path: Path) -> None:
    """Beside an optional file, above it, and in a derivative dataset; not of what is not read."""
    root, other = study(tmp_path / "s"), tmp_path / "maps"
    make(other, "sub-01_T2map.nii.gz", "sub-02_T2map.nii.gz")
    make(root, "sub-02/fmap/sub-02_fieldmap.nii.gz")
    field = Source("field", "fmap", "fieldmap", many=True, required=False, metadata=True)
    t2 = Source("t2", "anat", "T2map", anywhere=True, metadata=True)

    def refused(*sources: Source) -> list[tuple[str, str]]:
        found = pick(root, BOLD, *sources, derivatives={"maps": other})
        return [(one.participant, one.reason.partition(":")[0]) for one in found.refusals]

    assert refused(field, t2) == []
    (root / "fieldmap.json").write_text("[]")
    assert refused(field, t2) == [("02", "fieldmap.json")]
    assert refused(replace(field, metadata=False), t2) == []
    (other / "sub-01/anat/sub-01_T2map.json").write_text("{'Units': 's'}")
    assert refused(replace(field, metadata=False), t2) == [("01", "sub-01/anat/sub-01_T2map.json")]


def test_every_source_whose_metadata_a_modality_reads_is_declared() -> None:
    """What says so by the settings; files of the field are no condition where nothing is made."""

    def declared(modality: str, **settings: Any) -> set[str]:
        sources = modality_named(modality).sources_for(settings)
        return {source.name for source in sources if source.metadata}

    fields = {"field_map", "reversed", "phase_difference", "first_phase", "second_phase"}
    assert declared("bold") == {"bold"} | fields
    assert declared("bold", runs="join") == {"bold"} | fields
    assert declared("bold", susceptibility="none") == {"bold"}
    assert declared("knee", t2=True, t2_from="map") == {"t2_map"}
    assert declared("knee", t2=True) == {"echoes"}
    assert declared("knee") == set()


def test_what_another_filter_could_pick_of_a_visit_is_known(tmp_path: Path) -> None:
    """Its page is then named apart; phase images and other visits are no others."""
    root = make(tmp_path / "s", "sub-01_acq-a_T1w.nii.gz", "sub-01_acq-b_T1w.nii.gz")
    make(root, "sub-02_T1w.nii.gz", "sub-02_part-phase_T1w.nii.gz", "sub-03_ses-1_T1w.nii.gz")
    func(root, "sub-01_task-rest_bold.nii.gz", "sub-01_task-nback_bold.nii.gz")
    func(root, *(f"sub-02_task-rest_run-{run}_bold.nii.gz" for run in (1, 2)))
    func(root, "sub-03_ses-1_task-rest_bold.nii.gz", "sub-03_ses-2_task-rest_bold.nii.gz")
    acq = {"t1w": {"acquisition": ["a", None]}}

    def picked(*sources: Source, **changes: Any) -> list[list[bool]]:
        found = pick(root, *sources, **changes)
        return [[file[0].picked for file in scan.files.values()] for scan in found.scans]

    joined = replace(BOLD, many=True)
    assert picked(joined, HEAD, bids_filters=acq) == [[True, True], *[[False, False]] * 3]
    one = acq | {"bold": {"run": [1, None]}}
    assert picked(BOLD, HEAD, bids_filters=one) == [[True, True], [True, False], *[[False] * 2] * 2]
    heads = pick(root, replace(HEAD, any_session=False), bids_filters=acq)
    assert [scan.main.picked for scan in heads.scans] == [True, False, False]
