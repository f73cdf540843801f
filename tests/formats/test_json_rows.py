"""JSON of any layout, whatever the file is called."""

import json

import pytest

from tests.formats.tables import jsonl, read, values

ROWS = [{"text": f"message {n} é", "meta": {"x": [n, None]}} for n in range(4)]
LAYOUTS = {
    "lines": jsonl(ROWS),
    "a list on a line": json.dumps(ROWS).encode(),
    "a pretty list": json.dumps(ROWS, indent=2).encode(),
    "a list with an object a line": b"[\n" + b",\n".join(jsonl([row]).strip() for row in ROWS) + b"\n]\n",
    "pretty objects": b"\n".join(json.dumps(row, indent=1).encode() for row in ROWS),
    "pretty objects and commas": b",\n".join(json.dumps(row, indent=1).encode() for row in ROWS),
    "two lists": json.dumps(ROWS[:2]).encode() + b"\n" + json.dumps(ROWS[2:], indent=1).encode(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson"])
def test_every_layout_under_every_name(layout, name):
    assert values(LAYOUTS[layout], name) == ROWS
    assert values(b"\xef\xbb\xbf" + LAYOUTS[layout].replace(b"\n", b"\r\n"), name) == ROWS
    assert values(LAYOUTS[layout].decode().encode("utf-16"), name) == ROWS


def test_places_are_lines():
    content = b'\n[\n\n {"a": 1},\n {"a":\n 2}, 3,\n {"a": 4}]'
    rows, said = read(content, "a.json")
    assert [(row.line, row.values["a"]) for row in rows] == [(4, 1), (5, 2), (7, 4)]
    assert said.problems[0].startswith("a.json:6: holds a single value, not an object: '3'")


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b'[\n {"a": 1},\n {"a": 2\n {"a": 3}]', 4, "Expecting ',' delimiter"),
        (b'[\n {"a": 1}\n', 3, "the list has no end"),
        (b'[\n {"a": 1},\n', 3, "the list has no end"),
        (b'[\n {"a": 1},\n {"a": "2', 3, "Unterminated string"),
        (b'[\n {"a": 1}\n {"a": 2}]', 3, "expected a comma or the end of the list"),
        (b'{\n "a": 1\n}\n{\n "a": \n', 6, "Expecting value"),
    ],
)
def test_a_document_that_breaks_is_one_message(content, line, words):
    rows, said = read(content, "a.jsonl")
    assert [row.values for row in rows] == [{"a": 1}]
    assert [error.line for error in said.errors] == [line]
    assert words in said.problems[0]
    assert "what comes after it is not read" in said.problems[0]


def test_an_element_that_cannot_be_used_costs_that_element():
    content = b'[{"a": 1}, {"b": 1, "b": 2}, {"n": ' + b"9" * 5000 + b'}, {"a": 2}]'
    rows, said = read(content, "a.json")
    assert [row.values for row in rows] == [{"a": 1}, {"a": 2}]
    assert "it names a column twice: b" in said.problems[0]
    assert "digits" in said.problems[1]


@pytest.mark.parametrize("deep", [b"[" * 200_000, b"[" + b'{"a":' * 200_000])
def test_what_is_nested_deeply_is_a_message(deep):
    rows, said = read(deep, "a.json")
    assert rows == []
    assert "nested too deeply" in said.problems[0]


def test_text_that_is_not_utf8_is_told_with_its_line():
    _, said = read(b'[\n{"a": 1},\n{"a": "\xe9"}]', "a.json")
    assert "a.json:3: is not UTF-8 text: byte 0xe9" in said.problems[0]


def test_large_documents_are_read_a_part_at_a_time():
    rows = [{"text": f"{n} " + "é" * 3000} for n in range(2000)]
    assert values(json.dumps(rows, ensure_ascii=False, indent=1).encode(), "a.json") == rows


def test_an_object_up_to_the_limit():
    assert len(values(b'[{"a": "' + b"a" * (9 << 20) + b'"}]', "a.json")[0]["a"]) == 9 << 20
    _, said = read(b'[{"a": "' + b"a" * (40 << 20) + b'"}]', "a.json")
    assert "a value is longer than 16 MiB" in said.problems[0]


def test_the_first_line_broken_is_not_taken_for_a_document():
    rows, said = read(b'{"a": 1, "b"\n{"a": 2}\n{"a": 3}\n', "a.jsonl")
    assert [row.line for row in rows] == [2, 3]
    assert [error.line for error in said.errors] == [1]


@pytest.mark.parametrize(
    "content", [b'{"a": 1}\n\x1a', b'{"a": 1}\x1a', b'[{"a": 1}]\n\x1a', b'[\n{"a": 1}]\r\n\x1a\r\n']
)
def test_a_sign_of_the_end_of_the_file_is_no_value(content):
    assert values(content, "a.json") == [{"a": 1}]


def test_a_number_of_thousands_of_digits_is_refused_in_our_words():
    for content in (b'{"a": %s}\n{"a": 1}\n', b'[{"a": %s},\n{"a": 1}]'):
        rows, said = read(content % (b"9" * 5000), "a.json")
        assert [row.values for row in rows] == [{"a": 1}]
        assert said.problems == ["a.json:1: cannot be read as JSON: it holds a number of more than 4,300 digits"]


@pytest.mark.parametrize("content", [b'["a", "x"]\n["b", "y"]\n["c", "z"]\n', b'[["a", "x"],\n["b", "y"], ["c", "z"]]'])
def test_arrays_are_one_message(content):
    rows, said = read(content, "a.jsonl")
    assert rows == []
    [problem] = said.problems
    assert 'a.jsonl:1: holds arrays, not objects with column names: \'["a", "x"]\'' in problem


def test_single_values_are_one_message_and_one_among_objects_costs_itself():
    assert "holds single values" in read(b'["a", "b",\n"c"]', "a.json")[1].problems[0]
    rows, said = read(b'[1, {"a": 1}, 2, 3]', "a.json")
    assert [row.values for row in rows] == [{"a": 1}]
    assert len(said.problems) == 3
    assert len(read(b"[1]", "a.json")[1].problems) == 1


@pytest.mark.parametrize("whole", [False, True])
def test_pairs_that_spacy_trains_on_are_rows(whole):
    pairs = [[f"text {n}", {"cats": {"a": n % 2, "b": 1 - n % 2}}] for n in range(3)]
    content = json.dumps(pairs, indent=1).encode() if whole else jsonl(pairs)
    assert values(content, "a.jsonl") == [{"text": text, **said} for text, said in pairs]
