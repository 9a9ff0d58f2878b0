"""The filter that is offered where images are several, and the files that .bidsignore lists."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.dataset.ambiguity import common_filter
from bidsapp.dataset.bidsignore import read_bidsignore
from bidsapp.dataset.filters import read_bids_filters
from bidsapp.dataset.scans import image_files, imaged_scans
from bidsapp.errors import InvalidDataset, NothingSelected, UsageError
from tests.unit.dataset_trees import chosen, filtered, make, select

MIXED = (
    "sub-01_T1w.nii.gz",
    "sub-02_run-1_T1w.nii.gz",
    "sub-02_run-2_T1w.nii.gz",
    "sub-03_T1w.nii.gz",
    "sub-03_ce-gadolinium_T1w.nii.gz",
)


def offered(reason: str) -> dict[str, dict[str, object]]:
    """The filter file that a refusal tells to write."""
    found, _ = json.JSONDecoder().raw_decode(reason[reason.index("{") :])
    return found


def test_one_filter_serves_people_who_differ(tmp_path: Path) -> None:
    root = make(tmp_path / "study", *MIXED)
    selection = select(root)
    assert chosen(selection) == ["sub-01_T1w.nii.gz"]
    assert [refusal.participant for refusal in selection.refusals] == ["02", "03"]
    filters = [offered(refusal.reason) for refusal in selection.refusals]
    assert filters == [{"t1w": {"run": [None, 1], "ceagent": None}}] * 2
    # as a person would: the text goes into a file
    path = tmp_path / "filter.json"
    path.write_text(json.dumps(filters[0]))
    everybody = select(root, bids_filters=read_bids_filters(path))
    assert not everybody.refusals
    assert chosen(everybody) == [MIXED[0], MIXED[1], MIXED[3]]


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (("acq-a_T1w", "acq-b_T1w"), "acq-b_T1w"),  # what the other people have
        (("acq-b_rec-x_T1w", "acq-b_T1w"), "acq-b_T1w"),
        (("T1w", "acq-b_T1w"), "acq-b_T1w"),
        (("T1w", "acq-z_T1w"), "T1w"),
        (("rec-a_T1w", "rec-b_T1w"), "rec-a_T1w"),
        (("run-2_acq-b_T1w", "run-11_acq-b_T1w"), "run-2_acq-b_T1w"),
        (("echo-1_T1w", "echo-2_T1w"), "echo-1_T1w"),
        (("part-mag_T1w", "T1w"), "T1w"),
        (("ce-gad_acq-b_T1w", "acq-q_T1w"), "acq-q_T1w"),
        (("rec-a_acq-b_run-1_T1w", "acq-b_run-1_T1w", "acq-b_run-2_T1w"), "acq-b_run-1_T1w"),
    ],
)
def test_the_plain_image_is_proposed(names: tuple[str, ...], taken: str, tmp_path: Path) -> None:
    files = [f"sub-03_{name}.nii.gz" for name in names]
    root = make(tmp_path / "study", "sub-01_acq-b_T1w.nii.gz", "sub-02_acq-b_T1w.nii.gz", *files)
    (refusal,) = select(root).refusals
    assert f"to take sub-03_{taken}.nii.gz and one image of everybody else" in refusal.reason
    everybody = select(root, bids_filters=offered(refusal.reason))
    assert not everybody.refusals
    assert chosen(everybody)[2] == f"sub-03_{taken}.nii.gz"


def test_who_cannot_be_served_by_the_same_filter_is_named(tmp_path: Path) -> None:
    pairs = [f"sub-0{who}_run-{run}_T1w.nii.gz" for who in (1, 2, 3) for run in (1, 2)]
    root = make(tmp_path / "study", *pairs, "sub-04_run-2_T1w.nii.gz")
    refusals = select(root).refusals
    assert [refusal.participant for refusal in refusals] == ["01", "02", "03"]
    for refusal in refusals:
        assert offered(refusal.reason) == {"t1w": {"run": 1}}
        assert refusal.reason.endswith("(it does not leave one image of sub-04)")
    assert len(select(root, bids_filters=offered(refusals[0].reason)).choices) == 3


def test_who_needs_a_filter_of_their_own_is_told_how(tmp_path: Path) -> None:
    root = make(
        tmp_path / "study",
        "sub-01_T1w.nii.gz",
        *(f"sub-0{who}_run-{run}_T1w.nii.gz" for who in (2, 3, 4) for run in (1, 2)),
        "sub-05_ses-a_run-2_T1w.nii.gz",
        "sub-05_ses-a_run-3_T1w.nii.gz",
    )
    last = select(root).refusals[-1]
    assert (last.participant, last.session) == ("05", "a")
    assert "no filter serves everybody; to take sub-05_ses-a_run-2_T1w.nii.gz" in last.reason
    assert "run --participant-label 05 --session-label a by itself" in last.reason
    again = select(
        root, participant_label=("05",), session_label=("a",), bids_filters=offered(last.reason)
    )
    assert chosen(again) == ["sub-05_ses-a_run-2_T1w.nii.gz"]


def test_names_that_pybids_cannot_tell_apart(tmp_path: Path) -> None:
    root = make(tmp_path / "study", "sub-01_foo-1_T1w.nii.gz", "sub-01_foo-2_T1w.nii.gz")
    with pytest.raises(UsageError, match=r"no entity tells them apart: .* list it in \.bidsignore"):
        select(root)


@pytest.mark.parametrize(
    "first",
    [
        {"acquisition": ["a", "b"]},
        {"acquisition": "^[ab]$", "regex_search": True},
        {"suffix": "UNIT1"},
        {"run": "*"},
    ],
)
def test_what_is_proposed_keeps_the_filter_that_is_there(
    first: dict[str, object], tmp_path: Path
) -> None:
    entities = [f"acq-{a}_run-{run}" for a in "abc" for run in ("01", "02", "11")]
    names = [f"sub-0{who}_{one}" for who in (1, 2) for one in entities]
    root = make(
        tmp_path / "study",
        *(f"{name}_{suffix}.nii.gz" for name in names for suffix in ("T1w", "UNIT1")),
    )
    with pytest.raises(UsageError) as caught:
        select(root, bids_filters=filtered(**first))
    filters = offered(str(caught.value).partition("a file with ")[2])
    assert filters["t1w"].keys() >= first.keys()
    suffix = first.get("suffix", "T1w")
    expected = [f"sub-0{who}_acq-a_run-01_{suffix}.nii.gz" for who in (1, 2)]
    assert chosen(select(root, bids_filters=filters)) == expected


CANDIDATES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "acquisition": st.sampled_from("abc"),
            "run": st.sampled_from(["1", "2", "3", "11"]),
            "reconstruction": st.sampled_from("xy"),
            "ceagent": st.just("gad"),
        },
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda entities: tuple(sorted(entities.items())),
)


def passes(entities: dict[str, str], filters: dict[str, object]) -> bool:
    return all(
        entities.get(key) in [None if one is None else str(one) for one in values]
        for key, value in filters.items()
        for values in [value if isinstance(value, list) else [value]]
    )


@given(st.lists(CANDIDATES, min_size=1, max_size=5))
@settings(max_examples=200)
def test_a_proposal_does_what_it_says(groups: list[list[dict[str, str]]]) -> None:
    proposal = common_filter(groups)
    for group, index in zip(groups, proposal.taken, strict=True):
        left = [i for i, entities in enumerate(group) if passes(entities, proposal.filter)]
        assert (left == [index]) if index is not None else len(left) != 1
    # of one person there is always one to take, without a mark where there is one
    (index,) = common_filter(groups[:1]).taken
    assert index is not None
    marked = [bool({"ceagent", "reconstruction"} & set(entities)) for entities in groups[0]]
    assert not marked[index] or all(marked)
    # who is alike in names is served alike, however many they are
    assert None not in common_filter([groups[0]] * 3).taken


@given(CANDIDATES, st.randoms())
@settings(max_examples=100)
def test_the_order_of_files_does_not_matter(candidates: list[dict[str, str]], random) -> None:  # type: ignore[no-untyped-def]
    mixed = random.sample(candidates, len(candidates))
    one, two = common_filter([candidates]), common_filter([mixed])
    assert candidates[one.taken[0]] == mixed[two.taken[0]]  # type: ignore[index]
    assert one.filter == two.filter


def test_what_bidsignore_lists_is_no_candidate_and_is_named(tmp_path: Path) -> None:
    root = make(
        tmp_path / "study",
        "sub-01_T1w.nii.gz",
        "sub-01_rec-motion_T1w.nii.gz",
        "sub-02_rec-motion_T1w.nii.gz",
        "sub-03_run-1_T1w.nii.gz",
        "sub-03_run-2_T1w.nii.gz",
        "sub-03_rec-motion_T1w.nii.gz",
        "sub-04_acq-x_T1w.nii.gz",
        "sub-04_rec-motion_T1w.nii.gz",
    )
    (root / ".bidsignore").write_text("# spoilt\n*_rec-motion_T1w.nii.gz\n")
    selection = select(root)
    assert chosen(selection) == ["sub-01_T1w.nii.gz", "sub-04_acq-x_T1w.nii.gz"]
    reason = "the only T1w; .bidsignore lists sub-01_rec-motion_T1w.nii.gz"
    assert selection.choices[0].reason == reason
    two, three = selection.refusals
    assert two.error is NothingSelected
    assert ".bidsignore lists every T1w of sub-02: sub-02_rec-motion_T1w.nii.gz" in two.reason
    assert "2 T1w images where one is needed" in three.reason
    assert ".bidsignore lists sub-03_rec-motion_T1w.nii.gz" in three.reason
    assert offered(three.reason) == {"t1w": {"run": [None, 1]}}
    assert len(selection.ignored) == 4
    # no filter brings an ignored file back, and who has no other is named
    with pytest.raises(NothingSelected, match=r"\.bidsignore lists"):
        select(root, bids_filters=filtered(reconstruction="motion"))
    # a database knows all files; the list holds all the same
    again = select(root, bids_database_dir=tmp_path / "base")
    assert chosen(again) == chosen(selection)
    # whoever counts people with an image goes by the same list
    assert ("sub-02", "") not in imaged_scans(root, "anat", "T1w")
    assert not list(image_files(root, "02", "anat", ("T1w",)))


PATHS = (
    "sub-01/anat/sub-01_T1w.nii.gz",
    "sub-01/anat/sub-01_rec-motion_T1w.nii.gz",
    "sub-02/ses-1/anat/sub-02_ses-1_run-1_T1w.nii.gz",
    "sub-02/ses-1/anat/sub-02_ses-1_acq-[x]_T1w.nii.gz",
    "sub-10/anat/sub-10_ce-gad_T1w.nii.gz",
)


@pytest.mark.parametrize(
    "lines",
    [
        ["*_rec-motion_T1w.nii.gz"],
        ["sub-01/"],
        ["/sub-01/anat"],
        ["anat/sub-01_T1w.nii.gz"],  # a slash inside: from the root, so nothing
        ["**/anat/*ce*", "!sub-10*"],
        ["sub-02/**"],
        ["sub-02/**/*run*", "# none", ""],
        ["SUB-0[12]/", "!sub-01/"],
        ["sub-*", "!sub-01/anat/sub-01_T1w.nii.gz"],  # a folder that is out stays out
        ["*acq-\\[x]*"],
        ["*acq-[[]x]*", "sub-?0"],
        ["sub-0[!1]/"],
    ],
)
def test_patterns_mean_what_they_mean_in_git(lines: list[str], tmp_path: Path) -> None:
    for path in PATHS:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    for name in (".bidsignore", ".gitignore"):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    command = ["git", "-C", str(tmp_path), "-c", "core.ignorecase=true", "check-ignore"]
    done = subprocess.run(
        [*command, "--no-index", *PATHS], capture_output=True, text=True, check=False
    )
    expected = {line.strip('"') for line in done.stdout.splitlines()}
    ignore = read_bidsignore(tmp_path)
    assert {path for path in PATHS if ignore.ignores(path)} == expected


def test_a_bidsignore_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".bidsignore").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidDataset, match=re.escape(".bidsignore cannot be read")):
        read_bidsignore(tmp_path)
