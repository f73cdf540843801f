"""Malformed campaign files: each gets one clear message."""

import re

import pytest

from activelora.errors import ProblemsError
from activelora.rules.file import checked_config, load_config
from tests.privileges import without_root

GOOD = """\
name: mail
task:
  prompt: "Mail: {text}"
  labels: [billing, support]
data:
  pool: {path: pool.jsonl}
"""


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "campaign.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def problems(path, overrides=None):
    with pytest.raises(ProblemsError) as caught:
        load_config(path, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_a_good_file(write, tmp_path):
    config = load_config(write(GOOD))
    assert config.name == "mail"
    assert config.task.labels == ("billing", "support")
    assert config.data.folder == str(tmp_path.resolve())


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n"), GOOD + "# ü 🦥\n"])
def test_encodings_that_editors_write(write, content):
    assert load_config(write(content)).name == "mail"


MALFORMED = {
    "empty": ("", "{path}: is empty or not a mapping of settings. `activelora init"),
    "comments only": ("# name: mail\n", "{path}: is empty or not a mapping of settings. `activelora init"),
    "a list": ("- name: mail\n", "{path}: is empty or not a mapping of settings. `activelora init"),
    "a word": ("mail", "{path}: is empty or not a mapping of settings. `activelora init"),
    "open bracket": (GOOD.replace("support]", "support"), "{path}:5:5: is not a valid campaign file: expected ',' or"),
    "tab": (GOOD.replace("  labels", "\tlabels"), "{path}:4:1: is not a valid campaign file: found character '\\t'"),
    "colon in text": (GOOD.replace('"Mail: {text}"', "Mail: a: b"), "{path}:3:15: is not a valid campaign file: mapp"),
    "NUL byte": (GOOD + "seed: \x00", "{path}: is not a valid campaign file: special characters are not allowed"),
    "Latin-1": (GOOD.encode() + b"# caf\xe9", "{path}: is not UTF-8 text (byte "),
    "a Python object": (
        GOOD + "seed: !!python/object/apply:os.getcwd []",
        "{path}:7:7: is not a valid campaign file: c",
    ),
    "two documents": (GOOD + "---\n" + GOOD, "{path}:7:1: is not a valid campaign file: but found another document"),
    "key twice": (GOOD + "name: other\n", "{path}:7:1: is not a valid campaign file: `name` is written twice"),
    "nested key twice": (
        GOOD.replace("  labels", "  prompt: x\n  labels"),
        "{path}:4:3: is not a valid campaign file: `p",
    ),
    "endlessly nested": ("a: " + "[" * 20000, "{path}: is nested too deeply"),
    "deeply nested": ("a: " + "[" * 100 + "]" * 100, "{path}: is not a valid campaign file: it is nested more than 60"),
    "nested by aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200)),
        "{path}: is not a valid campaign file: it is nested more than 60 levels deep",
    ),
    "no day": (
        "seed: 2026-13-45",
        "{path}:1:7: is not a valid campaign file: `2026-13-45` is no value that can be read",
    ),
    "no value of its tag": (
        "a: !!bool x",
        "{path}:1:4: is not a valid campaign file: `x` is no value that can be read",
    ),
    "list that is called a set": ("a: !!set [x]", "{path}: is not a valid campaign file: it holds a value that is not"),
    "no time": ("a: !!timestamp x", "{path}:1:4: is not a valid campaign file: `x` is no value that can be read"),
    "number of 5,000 digits": ("a: " + "9" * 5000, "{path}:1:4: is not a valid campaign file: `999"),
    "hexadecimal number of 5,000 digits": (
        "seed: 0xf" + "f" * 5000,
        "{path}:1:7: is not a valid campaign file: `0xfff" + "f" * 35 + "` is a number of too many digits",
    ),
    "missing name": (GOOD.replace("name: mail\n", ""), "{path}: `name` is missing. `activelora init"),
    "missing section": (GOOD.partition("data:")[0], "{path}: `data` is missing. `activelora init"),
    "missing setting": (GOOD.replace("{path: pool.jsonl}", "{}"), "{path}: `data.pool.path` is missing."),
    "unknown key": (GOOD + "seeed: 1\n", "{path}: `seeed` is not a setting. Did you mean `seed`?"),
    "unknown nested key": (
        GOOD + "training: {learn_rate: 1}\n",
        "{path}: `training.learn_rate` is not a setting. Did you mean `learning_rate`?",
    ),
    "unknown key in an optional section": (
        GOOD + "  holdout: {path: x, limits: 1}\n",
        "{path}: `data.holdout.limits` is not a setting. Did you mean `limit`?",
    ),
    "unknown key in a list": (
        GOOD + "resources: {train: {tolerations: [{key: a, efect: NoExecute}]}}\n",
        "{path}: `resources.train.tolerations.0.efect` is not a setting. Did you mean `effect`?",
    ),
    "nothing like it": (
        GOOD + "stopping: {zzz: 1}\n",
        "{path}: `stopping.zzz` is not a setting. Known here: label_budget, max_rounds, plateau_gain,",
    ),
    "a number for a key": (GOOD + "1: 2\n", "{path}: `1` cannot be: Keys should be strings"),
    "section without settings": (
        GOOD + "scoring:\n",
        "{path}: `scoring` must be a section of settings (given: nothing)",
    ),
    "text for a section": (GOOD + "scoring: fast\n", "{path}: `scoring` must be a section of settings (given: 'fast')"),
    "list for a section": (GOOD + "scoring: [a]\n", "{path}: `scoring` must be a section of settings. It holds: num_s"),
    "text for a number": (GOOD + "seed: many\n", "{path}: `seed` must be a valid integer (given: 'many')"),
    "half a label": (GOOD + "stopping: {max_rounds: 2.5}\n", "{path}: `stopping.max_rounds` must be a valid integer"),
    "too small": (
        GOOD + "stopping: {max_rounds: 0}\n",
        "{path}: `stopping.max_rounds` must be greater than or equal to 1",
    ),
    "above one": (
        GOOD + "acquisition: {exploration: 2}\n",
        "{path}: `acquisition.exploration` must be less than or eq",
    ),
    "not a number": (GOOD + "training: {epochs: .nan}\n", "{path}: `training.epochs` must be a finite number"),
    "infinite": (
        GOOD + "training: {learning_rate: .inf}\n",
        "{path}: `training.learning_rate` must be a finite number",
    ),
    "no such choice": (
        GOOD + "scoring: {mask: weights}\n",
        "{path}: `scoring.mask` must be 'weight' or 'token' (given: 'weights'). Did you mean `weight`?",
    ),
    "true for a label": (
        GOOD.replace("support]", "yes]"),
        "{path}: `task.labels.1` must be text (given: True). Put it in quotes: YAML reads yes, no, on and off",
    ),
    "number for a label": (
        GOOD.replace("support]", "7]"),
        "{path}: `task.labels.1` must be text (given: 7). Put it in",
    ),
    "text for a list": (
        GOOD.replace("[billing, support]", "billing"),
        "{path}: `task.labels` must be a list (given: 'bi",
    ),
    "text for targets": (
        GOOD + "adapter: {targets: q_proj}\n",
        "{path}: `adapter.targets` must be a list (given: 'q_p",
    ),
    "number in targets": (GOOD + "adapter: {targets: [1]}\n", "{path}: `adapter.targets.0` must be text (given: 1)"),
    "upper-case name": (GOOD.replace("mail\n", "My_Mail\n"), "{path}: `name` must be lower-case letters, digits and"),
    "secret key": (GOOD + "tracking: {uri: 'https://me:hunter2@host'}\n", "{path}: `tracking.uri` looks like a secret"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_files(write, case):
    content, said = MALFORMED[case]
    path = write(content)
    found = problems(path)
    assert len(found) == 1, found
    assert found[0].startswith(said.replace("{path}", str(path))), found[0]
    assert "\n" not in found[0]


def test_all_problems_at_once(write):
    found = problems(write(GOOD + "seed: x\nseeed: 1\ntraining: {epochs: 0}\nmlflow: {password: hunter2}\n"))
    assert len(found) == 5
    assert not any("hunter2" in problem for problem in found)


def test_no_file(tmp_path):
    assert "the campaign file does not exist. `activelora init" in problems(tmp_path / "missing.yaml")[0]
    assert "is a folder. Name the campaign file in it." in problems(tmp_path)[0]


def test_a_file_that_may_not_be_read(write):
    path = write(GOOD)
    path.chmod(0)
    with without_root():
        assert "cannot be read: Permission denied" in problems(path)[0]


SECRETS = [
    "tracking: {password: hunter2}",
    "tracking: {mlflow_tracking_password: hunter2}",
    "aws: {AWS_SECRET_ACCESS_KEY: hunter2}",
    "aws_access_key_id: hunter2",
    "model: {hf_token: hunter2}",
    "labeling: {api-key: hunter2}",
    "labeling: {apikey: hunter2}",
    "model: {token: 12345678}",
    "credentials: hunter2",
    "resources: {secret_env: {HF_TOKEN: hunter2}}",
    "resources: {secret_env: {HF_TOKEN: {name: hub, token: hunter2}}}",
    "data: {pool: {path: 's3://key:hunter2@bucket/x'}}",
    "tracking: {uri: 'https://hunter2@host/x'}",
    "tracking: {uri: 'https://host/x?token=hunter2'}",
    "data: {pool: {path: 'https://b.s3.amazonaws.com/x?X-Amz-Signature=hunter2'}}",
]


@pytest.mark.parametrize("line", SECRETS)
def test_secrets_are_refused_and_not_repeated(write, line):
    content = GOOD.partition("data:")[0] + line if line.startswith("data:") else GOOD + line
    found = problems(write(content + "\n"))
    assert any(
        "looks like a secret, which a campaign file must not hold. Set it in the environment" in p for p in found
    )
    assert not any("hunter2" in problem or "12345678" in problem for problem in found)


@pytest.mark.parametrize(
    "line",
    [
        "scoring: {batch_tokens: '4096'}",
        "resources: {secrets: [aws-credentials], train: {node_selector: {token: ring}}}",
        "tracking: {uri: 'http://mlflow:5000'}",
        "model: {base: 'owner/model', revision: 'abc'}",
    ],
)
def test_settings_that_only_sound_like_secrets(write, line):
    assert load_config(write(GOOD + line + "\n"))
    assert (
        load_config(write(GOOD.replace("labels:", "max_prompt_tokens: '64'\n  labels:"))).task.max_prompt_tokens == 64
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("HF_TOKEN: {name: hub, key: hub token}", "HF_TOKEN.key` is not a name that Kubernetes allows. Name"),
        ("HF_TOKEN: {name: Hub_1}", "HF_TOKEN.name` is not a name that Kubernetes allows. Name"),
        ("HF_TOKEN: {name: hub, steps: [train]}", "HF_TOKEN.steps"),
        ("MY_API_KEY: {name: own}", "nobody said which pods need MY_API_KEY"),
        ("DATABASE: {name: own, steps: [plan]}", "DATABASE would be shown in logs"),
        ("my_token: {name: own, steps: [plan]}", "my_token would be shown in logs"),
        ("ACTIVELORA_WEBHOOK_URL: {name: own, steps: [plan]}", "given by resources.notify"),
        ("MY_TOKEN: {name: own, steps: [tell_the_end]}", "is not for tell_the_end"),
    ],
)
def test_secrets_of_pods_that_cannot_be_given(write, line, words):
    (found,) = problems(write(f"{GOOD}resources: {{secret_env: {{{line}}}}}\n"))
    assert words in found


def test_the_keys_of_s3_are_given_once(write):
    keys = "AWS_ACCESS_KEY_ID: {name: a, steps: [plan]}"
    (found,) = problems(write(f"{GOOD}resources: {{secrets: [b], secret_env: {{{keys}}}}}\n"))
    assert "AWS_ACCESS_KEY_ID is given by resources.secrets too" in found


def test_prompts_may_speak_of_secrets():
    task = {"prompt": "Is the password secret? See http://host/a@b: {text}", "labels": ["token", "password"]}
    parsed = checked_config({"name": "a", "task": task, "data": {"pool": {"path": "x"}}}, where="x")
    assert parsed.task.labels == ("token", "password")


def test_overrides_win(write):
    config = load_config(
        write(GOOD + "stopping: {max_rounds: 9}\nseed: 1\n"),
        {"stopping.max_rounds": "3", "task.labels": "[a, b, c]", "tracking.enabled": "false", "labeling.inbox": "null"},
    )
    assert (config.stopping.max_rounds, config.seed) == (3, 1)
    assert config.task.labels == ("a", "b", "c")
    assert config.tracking.enabled is False
    assert config.labeling.inbox is None


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("stopping.max_rounds", "many", "`stopping.max_rounds` must be a valid integer (given: 'many')"),
        ("stoping.max_rounds", "3", "`stoping` is not a setting. Did you mean `stopping`?"),
        ("name.first", "x", "--set name.first=...: `name` is no section, it has a value"),
        ("task.labels", "[a", "--set task.labels=...: the value is not valid YAML. Put text with"),
        ("stopping.", "3", "--set stopping.=...: is not a dotted key. Write for example --set stopping.max_rounds=3."),
        ("", "3", "--set =...: is not a dotted key."),
        ("tracking.password", "hunter2", "`tracking.password` looks like a secret"),
    ],
)
def test_overrides_that_cannot_be(write, key, value, said):
    found = problems(write(GOOD), {key: value})
    assert said in found[0]
    assert not any("hunter2" in problem for problem in found)


def test_folders_are_relative_to_the_file(write, tmp_path, monkeypatch):
    def folder(value):
        return load_config(write(GOOD), {"data.folder": value}).data.folder

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert folder("rows") == str((tmp_path / "rows").resolve())
    assert folder("/abs") == "/abs"
    assert folder("~/rows") == str((tmp_path / "home" / "rows").resolve())
    assert folder("s3://bucket/rows") == "s3://bucket/rows"


def test_documents_that_are_no_mapping():
    for document in (None, [], "x", 3):
        with pytest.raises(ProblemsError, match="is not a mapping of settings"):
            checked_config(document, where="x")


@pytest.mark.parametrize(("value", "words"), [("many", "a valid integer"), ("3", "greater than or equal to 64")])
def test_a_setting_that_is_a_number_or_auto_is_named_as_in_the_file(write, value, words):
    (found,) = problems(write(f"{GOOD}scoring: {{batch_tokens: {value}}}\n"))
    assert f"`scoring.batch_tokens` must be {words}" in found
    assert load_config(write(f"{GOOD}scoring: {{batch_tokens: auto}}\n")).scoring.batch_tokens == "auto"


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("adapter: {method: ensemble}", "runs all its members"),
        ("task: {kind: generation, prompt: 'Q: {text}'}", "one stage only"),
    ],
)
def test_two_stages_where_they_save_nothing_are_refused(write, section, words):
    name = section.partition(":")[0]
    document = GOOD if name not in GOOD else re.sub(rf"(?ms)^{name}:.*?(?=^\w|\Z)", "", GOOD)
    found = problems(write(f"{document}{section}\nscoring: {{two_stage: 0.3}}\n"))
    assert any("`scoring.two_stage`" in one and words in one for one in found)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("training: {packing: true, group_by_length: true}", "orders batches"),
        ("training: {packing: true}\nadapter: {method: c_lora}", "noise belongs to a text"),
    ],
)
def test_packing_is_refused_where_it_does_not_fit(write, section, words):
    found = problems(write(f"{GOOD}{section}\n"))
    assert any("`training.packing`" in one and words in one for one in found)
