"""Prompts that are none, and prompts that give the answer away: told with the file or option that they came from."""

import pytest

from activelora.errors import ProblemsError
from activelora.rules.file import load_config, load_with_settings

GOOD = """\
name: mail
task: {prompt: "Mail: {text}", labels: [billing, support]}
data: {pool: {path: pool.jsonl}}
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "campaign.yaml"
    path.write_text(GOOD)
    return path


def problems(file, *settings):
    with pytest.raises(ProblemsError) as caught:
        load_with_settings(file, list(settings))
    return [str(one) for one in caught.value.problems]


WRONG = [
    ("'{text} {'", "the prompt has a single `{` at character 8"),
    ("no column", "the prompt names no column"),
    ("'{labels}'", "the prompt names no column of the data"),
]


@pytest.mark.parametrize(("prompt", "words"), WRONG)
def test_a_prompt_that_is_none_is_told_with_its_place(file, prompt, words):
    (found,) = problems(file, f"task.prompt={prompt}")
    assert found.startswith(f"--set task.prompt=...: `task.prompt`: {words}")
    file.write_text(GOOD.replace('"Mail: {text}"', prompt if prompt.startswith("'") else f'"{prompt}"'))
    (found,) = problems(file)
    assert found.startswith(f"{file}: `task.prompt`: {words}")


KINDS = {
    "classification": [],
    "yes_no": ["task.kind=yes_no", "task.labels=[]"],
    "multi_label": ["task.kind=multi_label"],
    "regression": ["task.kind=regression", "task.labels=[]", "task.minimum=0", "task.maximum=2"],
    "generation": ["task.kind=generation", "task.labels=[]", "acquisition.strategy=random"],
    "multiple_choice": ["task.kind=multiple_choice", "task.labels=[]", "task.answer=text"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_that_names_the_gold_column_is_refused_unless_allowed(file, kind):
    prompt = "task.prompt='{text} {topic} {label}'" if kind == "multi_label" else "task.prompt='{text} {topic}'"
    settings = [*KINDS[kind], prompt]
    load_with_settings(file, settings)
    gold = "data.columns.label=topic"
    (found,) = problems(file, *settings, gold)
    assert "names {topic}, which holds the gold label (data.columns.label `topic`)" in found
    assert "task.allow_label_in_prompt" in found
    load_with_settings(file, [*settings, gold, "task.allow_label_in_prompt=true"])


def test_the_column_s_default_name_counts_and_the_prompt_s_own_words_do_not(file):
    (found,) = problems(file, "task.prompt='{text} {label}'")
    assert "names {label}" in found
    load_with_settings(file, ["task.kind=multi_label", "task.prompt='{text}: {label}?'"])
    load_with_settings(file, ["task.prompt='{text} {labels}'", "data.columns.label=labels"])


def test_a_column_that_holds_the_gold_label_among_others_counts(file):
    (found,) = problems(file, "task.prompt='{text} {meta}'", "data.columns.label=meta.topic")
    assert "names {meta}" in found
    load_with_settings(file, ["task.prompt='{text} {metal}'", "data.columns.label=meta.topic"])


def test_the_day_of_dated_templates_is_a_date(file):
    assert load_config(file, {"task.chat_date": "2025-01-02"}).task.chat_date.year == 2025
    for value in ("2025-13-01", "yesterday", "[]"):
        (found,) = problems(file, f"task.chat_date={value}")
        assert "task.chat_date" in found
