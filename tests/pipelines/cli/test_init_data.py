"""`init --data`: a campaign for one's own table, which passes its check."""

import csv
import gzip
import json
import random
from pathlib import Path

import pytest
import yaml

from activelora.rules.file import load_config
from pipelines.cli.main import main

CLASSES = ("billing", "technical", "account", "shipping")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder without a model, so that checks look at settings and data alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path / "no-model"))
    return tmp_path


def text(number):
    rng = random.Random(number)
    return f"message {number} says " + " ".join(rng.choice(("parcel", "invoice", "login", "fee")) for _ in range(8))


def write(path, rows, delimiter=",", encoding="utf-8"):
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, rows[0].keys(), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def messages(num, num_labelled, label=lambda number: CLASSES[number % 4], **more):
    return [
        {"id": n, "text": text(n), "team": label(n) if n < num_labelled else "", **{k: f(n) for k, f in more.items()}}
        for n in range(num)
    ]


def made(name="mine", *options):
    """Run `init --data`, check the file that it wrote, and return the settings."""
    assert main(["init", name, "--data", *map(str, options)]) == 0
    assert main(["check", f"{name}/campaign.yaml"]) == 0
    return load_config(Path(name) / "campaign.yaml")


def refused(capfd, *options):
    assert main(["init", "mine", "--data", *map(str, options)]) == 1
    return " ".join(capfd.readouterr().err.split())


def test_a_spreadsheet_of_which_a_tenth_is_labelled(place, capfd):
    write(place / "in.csv", messages(1560, 150), ";", "cp1252")
    config = made("mine", "in.csv")
    out = capfd.readouterr().out
    assert "in.csv: text by semicolons; 1,560 rows, 1,560 different items" in out
    assert "150 of them have a label in `team`" in out
    assert (config.task.kind, set(config.task.labels)) == ("classification", set(CLASSES))
    assert config.labeling.source == "files"
    assert config.data.columns.id == "id"
    data = config.data
    assert (data.holdout_size, data.calibration_size) == (60, 45)
    assert config.label_budget == 100
    written = (place / "mine/campaign.yaml").read_text()
    assert "1/α − 1 = 9" in written
    assert "45 known ones are learned first" in " ".join(written.replace("#", "").split())
    assert max(map(len, written.splitlines())) <= 112


def test_a_table_that_is_labelled_is_a_simulation(place, capfd):
    write(place / "in.csv", messages(300, 300))
    config = made("mine", "in.csv")
    assert config.labeling.source == "oracle"
    assert "which is a simulation: nobody is asked" in capfd.readouterr().out
    assert config.data.holdout_size == 60


KINDS = {
    "yes_no": (lambda n: ("yes", "no")[n % 2], "yes_no"),
    "truth": (lambda n: ("TRUE", "FALSE")[n % 2], "yes_no"),
    "stars": (lambda n: n % 5 + 1, "classification"),
    "fractions": (lambda n: n % 7 / 2, "regression"),
    "many numbers": (lambda n: n * 37 % 1000, "regression"),
    "sets": (lambda n: " | ".join(CLASSES[: n % 3 + 1]), "multi_label"),
    "lists": (lambda n: json.dumps(list(CLASSES[: n % 4])), "multi_label"),
    "lists of one": (lambda n: json.dumps([CLASSES[n % 4]]), "multi_label"),
    "texts": (lambda n: f"Dear customer {n}, we are sorry to hear that and have sent it again", "generation"),
    "spellings": (lambda n: ("Spam", "spam ", "ham", "HAM")[n % 4], "classification"),
    "numbers of classes": (lambda n: n % 3, "classification"),
    "with a gap": (lambda n: f"{n % 3}.0", "classification"),
}


@pytest.mark.parametrize("case", KINDS)
@pytest.mark.parametrize("num_labelled", [60, 160])
def test_the_kind_follows_from_the_labels(place, case, num_labelled):
    label, kind = KINDS[case]
    write(place / "in.csv", messages(160, num_labelled, label))
    assert made("mine", "in.csv").task.kind == kind


def test_numbers_called_like_a_scale_are_one(place):
    rows = [{"review": text(n), "stars": n % 5 + 1} for n in range(60)]
    write(place / "in.csv", rows)
    task = made("mine", "in.csv").task
    assert (task.kind, task.minimum, task.maximum, task.step) == ("regression", 1, 5, 1)
    assert made("classes", "in.csv", "--kind", "classification").task.kind == "classification"
    said = [(place / name / "campaign.yaml").read_text() for name in ("mine", "classes")]
    assert ["an accuracy to about" in one for one in said] == [False, True]


def test_choices_of_their_own_make_multiple_choice(place):
    rows = [{"question": text(n), "choices": ["one", "two", "three"], "answer": "abc"[n % 3]} for n in range(60)]
    (place / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = made("mine", "in.jsonl")
    assert (config.task.kind, config.data.columns.choices) == ("multiple_choice", "choices")


@pytest.mark.parametrize("name", ["in.tsv", "in.jsonl", "in.csv.gz", "in.xlsx", "folder"])
def test_whatever_the_reader_reads(place, name):
    rows = messages(80, 80)
    if name.endswith(".xlsx"):
        from openpyxl import Workbook

        book = Workbook()
        for row in [list(rows[0]), *(list(row.values()) for row in rows)]:
            book.active.append(row)
        book.save(place / name)
    elif name.endswith(".jsonl"):
        (place / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif name.endswith(".gz"):
        (place / name).write_bytes(gzip.compress(write(place / "plain.csv", rows).read_bytes()))
    elif name == "folder":
        (place / name).mkdir()
        write(place / name / "a.csv", rows[:40])
        write(place / name / "b.tsv", rows[40:], "\t")
    else:
        write(place / name, rows, "\t")
    assert set(made("mine", name).task.labels) == set(CLASSES)


def test_an_export_of_label_studio(place):
    tasks = [
        {
            "id": n,
            "data": {"text": text(n)},
            "annotations": [
                {
                    "result": [
                        {
                            "type": "choices",
                            "from_name": "topic",
                            "to_name": "text",
                            "value": {"choices": [CLASSES[n % 2]]},
                        }
                    ]
                }
            ],
        }
        for n in range(60)
    ]
    (place / "export.json").write_text(json.dumps(tasks))
    assert set(made("mine", "export.json").task.labels) == set(CLASSES[:2])


def test_labels_with_underscores_are_spoken_as_words(place):
    write(place / "in.csv", messages(80, 80, lambda n: ("pin_change", "card_lost", "yes")[n % 3]))
    config = made("mine", "in.csv")
    assert config.task.answer_words == {"pin_change": "pin change", "card_lost": "card lost"}
    assert config.task.answer == "text"


def test_contradictions_and_duplicates_are_counted(place, capfd):
    rows = messages(100, 100)
    write(place / "in.csv", [*rows, {**rows[0], "id": 100}, {**rows[1], "id": 101, "team": "other"}])
    config = made("mine", "in.csv")
    assert config.data.contradictions == "drop"
    assert config.data.columns.id is None
    assert "2 rows repeat the text of another one" in capfd.readouterr().out


def test_long_texts_get_a_longer_prompt(place):
    write(place / "in.csv", [{"text": f"{n} " + "words " * 400, "label": "ab"[n % 2]} for n in range(60)])
    assert made("mine", "in.csv").task.max_prompt_tokens == 896


def test_columns_that_are_not_sure_are_listed(place, capfd):
    rows = messages(60, 60, comment=lambda n: text(n + 1000), topic=lambda n: "xy"[n % 2])
    write(place / "in.csv", rows)
    err = refused(capfd, "in.csv")
    assert "which column is the text, cannot be told for sure" in err
    assert "which column is the label, cannot be told for sure" in err
    assert "team 60 filled, 4 different: billing 15, technical 15" in err
    assert "Say it with --text COLUMN." in err
    assert "If no column holds labels yet, add one and label 10 or more rows" in err
    config = made("mine", "in.csv", "--text", "text", "--text", "comment", "--label", "topic")
    assert config.task.prompt == "Text: {text}\nComment: {comment}\nTopic ({labels}):\n"


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, ["--text", "texte"], "there is no column `texte` in in.csv. Did you mean `text`?"),
        ({}, ["--kind", "sorting"], "'sorting' is no kind that can be told from a table"),
        ({"num_labelled": 0}, ["--label", "team"], "in.csv: the label column `team` is empty. Label some rows"),
        ({"num_labelled": 5}, [], "only 5 of 40 different items have a label"),
        ({"label": lambda n: "same"}, [], "the label column `team` holds one value only: 'same'"),
        ({"Größe": lambda n: text(n)}, ["--text", "Größe"], "the column `Größe` cannot stand in a prompt"),
    ],
)
def test_what_cannot_be_is_one_clear_error(place, capfd, change, options, words):
    write(place / "in.csv", messages(**{"num": 40, "num_labelled": 40, **change}))
    err = refused(capfd, "in.csv", *options)
    assert words in err
    assert not (place / "mine").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--label", "x"], "--label: is about your own data"),
        (["--data", "x.csv", "--template", "yes-no"], "--template: does not go with --data"),
        (["--data", "hf://owner/name"], "is not looked at"),
        (["--data", "nothing.csv"], "there is no such file or folder"),
    ],
)
def test_options_that_do_not_go_together(place, capfd, options, words):
    assert main(["init", "mine", *options]) == 1
    assert words in capfd.readouterr().err
    assert list(place.iterdir()) == []


def test_every_class_of_a_written_list_is_read_as_it_was(place):
    names = ["yes", "1e3", "a: b", "# x", "[y]", "über", "null", "it's"]
    write(place / "in.csv", messages(80, 80, lambda n: names[n % 8]))
    assert main(["init", "mine", "--data", "in.csv"]) == 0
    written = yaml.safe_load((place / "mine/campaign.yaml").read_text())
    assert set(written["task"]["labels"]) == set(names)


def test_lists_of_one_label_each_are_classes(place):
    rows = ({"text": text(n), "label": [CLASSES[n % 4]]} for n in range(60))
    (place / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert made("mine", "in.jsonl").task.kind == "classification"
