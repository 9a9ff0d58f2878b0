"""Tables of people as they really are, and columns found across them."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidsapp.dataset.missing import is_missing, looks_missing
from bidsapp.dataset.numbers import number_of
from bidsapp.dataset.reading import describe_values
from bidsapp.dataset.tables import read_frame, read_table, write_table
from bidsapp.dataset.user_columns import Columns
from bidsapp.errors import BadData, CannotCreateOutput, NoInput, UsageError


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_labels_stay_text_and_missing_is_missing(tmp_path: Path, encoding: str, end: str) -> None:
    lines = [
        'Participant_ID\t% Analgesia\t"a ""b"" "\tdose',
        "sub-007\t 5.50 \tn/a\t1",
        "",
        "08\tNA\tdépressif\t",
        "\t\t",
    ]
    table = read_table(write(tmp_path / "participants.tsv", end.join(lines), encoding))
    assert table.columns == {
        "% Analgesia": {("sub-007", ""): "5.50"},
        'a "b"': {("sub-08", ""): "dépressif"},
        "dose": {("sub-007", ""): "1"},
    }
    assert table.rows == {("sub-007", ""), ("sub-08", "")}


def test_the_table_of_a_real_pain_trial(real_data: Path) -> None:
    table = read_table(real_data / "labels" / "ds000208" / "participants.tsv")
    assert len(table.rows) == 76
    assert table.columns["% Analsesia VAS"][("sub-75", "")] == "5.21"
    assert set(table.columns["Drug"].values()) == {"placebo", "duloxetine"}
    assert ("sub-01", "") not in table.columns["Response"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("participant_id\tx\nsub-1\t1\n1\t2\n", ["line 3 repeats line 2", "sub-1"]),
        ("participant_id\tx\nsub-1\n", ["line 2 has 1 fields", "n/a"]),
        ("participant_id\tx\nsub-1\t1\t2\n", ["line 2 has 3 fields"]),
        ("participant_id\tx\tx\n", ["x is there more than once"]),
        ("participant_id,x\nsub-1,1\n", ["looks separated by commas", "separated by tabs"]),
        ("participant_id;x\n1;2\n", ["looks separated by semicolons"]),
        ('"participant_id","x"\n"1","2"\n', ["looks separated by commas"]),
        ("participant_id    x\nsub-1     1\n", ["looks separated by blanks"]),
        ("participant_id x\nsub-1 1\n", ["looks separated by blanks"]),
        ("subject\tx\n", ["no column participant_id", "subject, x", "Rename 'subject' partici"]),
        ("Participant ID\tx\n", ["Rename 'Participant ID' participant_id"]),
        ("p\0a\0r\0t\0", ["is UTF-16 without a mark"]),
        ('participant_id\tx\nsub-1\t"a\nb"\n', ["line 3", "No quoted field may hold a tab"]),
        (
            "participant_id\tsession\tx\nsub-1\t1\t0\nsub-1\t2\t1\n",
            ["line 3 repeats line 2 (sub-1)", "'session' looks like the visit", "COLUMN@SESSION"],
        ),
        ("participant_id\tVisit\nsub-1\t1\nsub-1\t2\n", ["Rename the column session_id"]),
        ("participant_id\tx\nn/a\t1\n", ["line 2 has no participant_id"]),
        ("participant_id\tx\t\nsub-1\t1\t2\n", ["line 2", "column without a name"]),
        ("\n\n", ["is empty"]),
    ],
)
def test_a_broken_table_is_refused_by_line(tmp_path: Path, text: str, words: list[str]) -> None:
    path = write(tmp_path / "participants.tsv", text)
    with pytest.raises(BadData) as caught:
        read_table(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_what_a_spreadsheet_leaves_behind_does_no_harm(tmp_path: Path) -> None:
    text = 'participant_id\t"pain"\t\t\r\n"sub-1"\t"1"\t\t\r\nsub-2\t0\t\t\t\t\r\n\t\t\t\r\n\r\n'
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        table = read_table(write(tmp_path / "participants.tsv", text, encoding))
        assert table.columns == {"pain": {("sub-1", ""): "1", ("sub-2", ""): "0"}}


def test_visits_as_rows_work_once_the_column_has_its_name(tmp_path: Path) -> None:
    rows = "sub-1\t1\t0\tF\nsub-1\t2\t1\tF\nsub-2\t1\t0\tM\nsub-2\t2\t0\tM\n"
    for place in ("participants.tsv", "phenotype/visits.tsv"):
        path = write(tmp_path / place, f"participant_id\tsession_id\tpain\tsex\n{rows}")
        columns = Columns.read(tmp_path)
        assert columns.values("pain@2", [("sub-1", ""), ("sub-2", "")]).texts == ["1", "0"]
        found = columns.values("pain", [("sub-1", ""), ("sub-2", "")])
        # who changes in nothing would be a selection; what changes in nobody is no question
        assert found.texts == [None, None]
        assert "pain@1" in found.ambiguous[0]
        assert columns.values("sex", [("sub-1", ""), ("sub-2", "")]).texts == ["F", "M"]
        path.unlink()


def test_a_session_may_be_named_without_its_zeros(tmp_path: Path) -> None:
    table = "participant_id\tsession_id\tpain\nsub-1\tses-02\t1\nsub-1\tses-M12\t0\n"
    write(tmp_path / "participants.tsv", table)
    columns = Columns.read(tmp_path)
    assert columns.values("pain@2", [("sub-1", "")]).texts == ["1"]
    assert columns.values("pain@m12", [("sub-1", "")]).texts == ["0"]


@pytest.mark.parametrize("name", ["participants.csv", "Participants.xlsx", "participant.tsv"])
def test_a_table_under_another_name_is_pointed_to(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, "participant_id,x\n")
    with pytest.raises(UsageError, match=f"{name} is not read: save it as participants.tsv"):
        Columns.read(tmp_path).find("x")


def test_unreadable_tables(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match=r"nowhere\.tsv"):
        read_table(tmp_path / "nowhere.tsv")
    path = write(tmp_path / "latin.tsv", "participant_id\té\n", "latin-1")
    with pytest.raises(BadData, match="not UTF-8"):
        read_table(path)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write(
        tmp_path / "participants.tsv",
        "participant_id\tsex\tage\tgroup\nsub-01\tF\t30\tpatient\nsub-02\tM\t41\tcontrol\n",
    )
    for label, rows in (
        ("01", "ses-1\t10\tn/a\nses-2\t20\t1\n"),
        ("02", "1\t30\t0\n2\t40\t1\n"),
    ):
        write(
            tmp_path / f"sub-{label}" / f"sub-{label}_sessions.tsv",
            "session_id\tpain\tchronic\n" + rows,
        )
    write(tmp_path / "phenotype" / "hads.tsv", "participant_id\ttotal\tage\n01\t7\t31\n")
    write(tmp_path / "phenotype" / "pcs.tsv", "participant_id\ttotal\nsub-02\t3\n")
    write(tmp_path / "phenotype" / "notes.tsv", "who\twhat\n")
    write(tmp_path / "phenotype" / ".hads.tsv", "participant_id\ttotal\n01\t8\n")  # an editor's
    return tmp_path


def test_columns_of_all_tables(dataset: Path) -> None:
    columns = Columns.read(dataset)
    assert columns.names() == [
        "sex", "age", "group", "pain", "chronic", "hads.total", "hads.age", "pcs.total",
    ]  # fmt: skip
    scans = [("sub-01", "ses-1"), ("sub-02", ""), ("sub-03", "")]
    assert columns.values("age", scans).texts == ["30", "41", None]
    assert columns.values("hads.age", scans).texts == ["31", None, None]
    assert columns.values("pcs.total", scans).texts == [None, "3", None]
    with pytest.raises(UsageError, match=r"several tables; write hads\.total or pcs\.total"):
        columns.find("total")
    with pytest.raises(UsageError) as caught:
        columns.find("Sexe")
    message = str(caught.value)
    assert "Did you mean sex?" in message
    assert "sex: F (1), M (1)" in message
    assert "notes.tsv: no column participant_id" in message


def test_whose_session(dataset: Path) -> None:
    columns = Columns.read(dataset)
    both = [("sub-01", "ses-1"), ("sub-01", "ses-2")]
    assert columns.values("pain", both).texts == ["10", "20"]
    # The value of another visit is not given to one of two scans...
    assert columns.values("chronic", both).texts == [None, "1"]
    # ...but the only value of a person with one scan is.
    assert columns.values("chronic", [both[0]]).texts == ["1"]
    assert columns.values("pain@2", [*both, ("sub-02", "")]).texts == ["20", "20", "40"]
    assert columns.values("pain@ses-2", [both[0]]).texts == ["20"]
    ambiguous = columns.values("pain", [("sub-02", "")])
    assert ambiguous.texts == [None]
    assert "ses-1, ses-2" in ambiguous.ambiguous[0]
    assert "pain@1" in ambiguous.ambiguous[0]
    with pytest.raises(UsageError, match="no rows of ses-9; sessions: ses-1, ses-2"):
        columns.find("pain@9")
    with pytest.raises(UsageError, match="no column 'nothing@2'"):
        columns.find("nothing@2")


def test_a_dataset_without_tables(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no participants\.tsv"):
        Columns.read(tmp_path).find("x")


def test_values_in_few_words() -> None:
    assert describe_values(["10", "9", "10", "x"]) == "9 (1), 10 (2), x (1)"
    assert describe_values([str(n) for n in range(20)]) == "numbers from 0 to 19"
    assert describe_values(list("abcdefgh")) == "a, b, c, d, e, f and 2 more"
    assert describe_values([]) == "no values"


ALWAYS_MISSING = (
    *("#DIV/0!", "#N/A", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!", "#WERT!", "#ZAHL!"),
    *("#####", "Err:502", "1.#QNAN", "N.A.", "n.a.", "NaN", "nan", "<NA>", ".", "?", "NULL"),
)


@pytest.mark.parametrize("text", [*ALWAYS_MISSING, " N/A ", ""])
def test_spreadsheet_errors_and_usual_texts_are_missing_and_kept_to_be_told(
    tmp_path: Path, text: str
) -> None:
    path = write(tmp_path / "participants.tsv", f"participant_id\tx\nsub-1\t{text}\nsub-2\t0\n")
    table = read_table(path)
    assert table.columns["x"] == {("sub-2", ""): "0"}
    told = {} if text.strip() in ("", "N/A") else {"x": {("sub-1", ""): text.strip()}}
    assert table.missing == told
    assert Columns([table]).missing_values("x") == [*told.get("x", {}).values()]


@pytest.mark.parametrize(
    "text", ["none", "unknown", "-", "Null", "0", "no", "#1", "?!x", "-9", "+"]
)
def test_what_may_be_a_value_is_not_missing(text: str) -> None:
    assert not is_missing(text)


def test_words_and_codes_that_may_stand_for_missing_are_doubted() -> None:
    for text in ("Unknown", "lost to  follow-up", "withdrawn", "-9", "999", "8888", "99.0", "-"):
        assert looks_missing(text), text
    for text in ("recovered", "0", "1", "9", "100", "989", "-10", "no"):
        assert not looks_missing(text), text


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1.0), (" 01.50 ", 1.5), ("-.5", -0.5), ("1e3", 1000.0), ("+2.", 2.0), ("1e400", None),
     ("9" * 400, None), ("nan", None), ("inf", None), ("1_000", None), ("3,5", None), ("", None),
     ("٣", None), ("0x1", None)],
)  # fmt: skip
def test_what_is_a_number(text: str, number: float | None) -> None:
    assert number_of(text) == number


cells = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\t\r\n\"\ufeff"),
    min_size=1, max_size=8,
).map(str.strip).filter(lambda text: not is_missing(text))  # fmt: skip


@given(st.lists(st.tuples(st.none() | cells, st.none() | st.integers()), min_size=1, max_size=6))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str | None, int | None]]
) -> None:
    path = tmp_path_factory.mktemp("tables") / "t.tsv"
    frame = pd.DataFrame(rows, columns=pd.Index(["text", "number"]), dtype=object)
    frame.insert(0, "participant_id", [f"sub-{n}" for n in range(len(rows))])
    write_table(path, frame)
    table = read_table(path)
    for column, place in (("text", 0), ("number", 1)):
        assert table.columns[column] == {
            (f"sub-{n}", ""): str(row[place])
            for n, row in enumerate(rows)
            if row[place] is not None
        }


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "t.tsv"
    write_table(path, pd.DataFrame({"a": ["x\ty\nz", None, ""], "b": [1.5, float("nan"), 2]}))
    assert path.read_text() == "a\tb\nx y z\t1.5\nn/a\tn/a\nn/a\t2.0\n"
    assert [p.name for p in path.parent.iterdir()] == ["t.tsv"]
    (tmp_path / "file").touch()
    with pytest.raises(CannotCreateOutput, match="file cannot be made"):
        write_table(tmp_path / "file" / "t.tsv", pd.DataFrame({"a": [1]}))


@pytest.mark.timeout(20)  # squares of the columns take minutes
def test_a_table_of_very_many_columns_is_read(tmp_path):
    names = "\t".join(f"c{i}" for i in range(100_000))
    path = write(tmp_path / "wide.tsv", f"participant_id\t{names}\nsub-1" + "\t1" * 100_000 + "\n")
    assert len(read_table(path).columns) == 100_000


def test_rows_with_more_fields_than_the_header_are_refused(tmp_path: Path) -> None:
    """pandas takes the first fields for an index then, and each column holds its neighbour's."""
    path = tmp_path / "scores.tsv"
    path.write_text("participant_id\tvalue\nbase\tsub-01\t1\nbase\tsub-02\t2\n")
    with pytest.raises(ValueError, match="more fields than the header, which has 2"):
        read_frame(path)
