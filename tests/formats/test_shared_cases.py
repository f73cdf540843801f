"""The files that once failed, as their tools write them: each is read, or refused in words."""

from pathlib import Path

import pytest

from activelora.formats.row import Wanted
from tests.formats.tables import read

CASES = Path(__file__).parents[3] / "shared" / "cases" / "pool"
TEXTS = {
    "doccano": "text",
    "doccano_csv": "data",
    "excel_sep": "text",
    "gz_folder": "text",
    "int_label": "text",
    "json_array": "text",
    "ls_csv": "text",
    "ls_csv_multi": "text",
    "ls_json": "data.text",
    "ls_jsonmin": "text",
    "ls_jsonmin_pretty": "text",
    "mixed": "text",
    "neg1_label": "text",
    "nested": "fields.text",
    "pandas_float": "text",
    "pq_binary": "text",
    "pq_classlabel": "text",
    "pq_list": "text",
    "prodigy": "text",
    "prodigy_bin": "text",
    "ragged": "text",
    "semi": "text",
    "semi_comma_header": "text",
    "trailing_commas2": "text",
    "tsv": "text",
}


def rows_of(case, *required):
    if not CASES.is_dir():
        pytest.skip(f"the cases are not there: {CASES}")
    found, problems = [], []
    for path in sorted((CASES / case).iterdir()):
        rows, said = read(path.read_bytes(), path.name, Wanted(required, ("label",)))
        found += rows
        problems += said.problems
    return found, problems


@pytest.mark.parametrize("case", TEXTS)
def test_every_row_is_read(case):
    found, problems = rows_of(case, TEXTS[case])
    assert problems == []
    assert len(found) >= 16
    assert all(isinstance(row.values[TEXTS[case]], str) and row.values[TEXTS[case]] for row in found)


def test_two_columns_of_one_name_are_refused():
    found, problems = rows_of("pq_dupcol", "text")
    assert found == []
    assert "the file names a column twice: label" in problems[0]


def test_label_numbers_have_the_names_that_the_file_gives_them():
    found, _ = rows_of("pq_classlabel", "text")
    assert {(row.values["label"], "invoice" in row.values["text"]) for row in found} == {
        ("billing", True),
        ("technical", False),
    }
