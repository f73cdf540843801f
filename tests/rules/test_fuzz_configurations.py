"""Campaign files that nobody would write on purpose: every one gives settings or problems in words, never a traceback.

Valid files are taken and changed in a few places each: values of other kinds, keys that are gone, unknown or written
twice, and bytes that are no YAML. What is accepted is fit to be frozen: it is read back as the same.
"""

import datetime
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from activelora.config.file import config_digest, parse_config
from activelora.errors import ActiveLoRAError, ProblemsError
from activelora.kinds.registry import make_task
from activelora.pool.inspect import inspect_data
from activelora.rules.file import checked_config, examine_with_settings

ROOT = Path(__file__).parents[2] / "pipelines"
FILES = {path: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("campaign*/*.yaml"))}
FILES |= {path: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(ROOT.glob("templates/*/*.yaml"))}
EXTRA = {
    "labeling": {
        "source": "llm",
        "llm": {"url": "http://x/v1", "model": "m", "price_in": 1, "price_out": 1, "max_cost": 1},
    },
    "acquisition": {"strategy": "hybrid", "batch_size": 4, "hybrid": {"then": "badge"}, "per_class_floor": 1},
    "adapter": {"method": "c_lora", "c_lora": {"preset": "none"}},
    "resources": {
        "train": {"num_nodes": 2},
        "secret_env": {"A": {"name": "b"}},
        "model_cache": {"uri": "s3://bucket/a"},
    },
    "stopping": {"label_budget": 8, "plateau_rounds": 1, "target_accuracy": 0.9},
    "evaluation": {"gates": {"min_accuracy": 0.5}},
    "tracking": {"uri": "http://x", "registered_model": "m"},
}
"""Sections that the files leave out, so that there is more to change."""
ODD = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")]),
    st.sampled_from(
        ["", " ", "none", "null", "~", "{text}", "{", "}{", "{{}}", "{0}", "{text!r}", "\x07", "a\x00b", "x" * 5000]
    ),
    st.sampled_from(
        ["s3://", "s3://b//c", "hf://", "hf://a?b", "../..", "/", "://", "builtin:", "[", "(", "*", "é\u200b", "\ud800"]
    ),
    st.sampled_from(
        [[], {}, [[]], [None], [1, 2], ["a", "A"], {"a": {}}, {1: 2}, {None: None}, {"": ""}, [{}], [["a"] * 9]]
    ),
    st.just(datetime.date(2026, 1, 1)),
    st.text(max_size=6),
    st.integers(),
    st.floats(),
    st.sampled_from(
        ["lora", "star", "random", "oracle", "files", "llm", "regression", "generation", "multi_label", "yes_no"]
    ),
)


NAMES = ["classification", "multi_label", "yes_no", "generation", "regression", "multiple_choice", "words", "text"]
NAMES += ["letters", "star", "hybrid", "random", "badge", "cal", "batch_bald", "entropy", "lora", "blob", "laplace"]
NAMES += ["c_lora", "tfb", "oracle", "files", "terminal", "ensemble", "zero_based", "always", "never", "majority"]
NAMES += ["fsdp"]


def near(value):
    """Another value that the schema may well take, so that rules between settings are reached."""
    if isinstance(value, bool):
        return st.just(not value)
    if isinstance(value, int):
        return st.integers(0, 9) | st.sampled_from([value + 1, value * 100, 10**6])
    if isinstance(value, float):
        return st.sampled_from([0.0, 0.5, 1.0, value * 10, value / 10, 1e-300])
    if isinstance(value, str):
        return st.sampled_from([*NAMES, value.upper(), f"{value} ", f"{value}{{text}}", "pool.csv", "a"])
    if isinstance(value, list):
        return st.sampled_from(
            [value[:1], value * 2, value[::-1], [*value, "a;b"], ["1", "0"], [" x", "y"], ["skip", "none"]]
        )
    return ODD


def places(node, path=()):
    """Return the paths of all keys and entries below a node."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from places(value, (*path, key))


def at(document, path):
    for key in path:
        document = document[key]
    return document


@st.composite
def documents(draw):
    """A campaign file's settings with one to four changes."""
    document = json.loads(json.dumps(FILES[draw(st.sampled_from(list(FILES)))]))
    for section in draw(st.sets(st.sampled_from(list(EXTRA)), max_size=2)):
        document[section] = json.loads(json.dumps({**document.get(section, {}), **EXTRA[section]}))
    for _ in range(draw(st.integers(1, 4))):
        paths = list(places(document))
        if not paths:
            break
        *path, key = draw(st.sampled_from(paths))
        node = at(document, path)
        change = draw(st.sampled_from(["value", "remove", "unknown", "rename", "nest", "as text", *["near"] * 12]))
        if change == "value":
            node[key] = draw(ODD)
        elif change == "near":
            node[key] = draw(near(node[key]))
        elif change == "remove":
            del node[key]
        elif change == "nest":
            node[key] = draw(st.sampled_from([[node[key]], {"a": node[key]}, {str(key): node[key]}]))
        elif change == "as text":
            node[key] = str(node[key])
        elif isinstance(node, dict) and change == "rename":
            node[draw(st.sampled_from([f"{key}s", str(key).upper(), f" {key}", 7, None, ""]))] = node.pop(key)
        elif isinstance(node, dict):
            node[draw(st.sampled_from(["lables", "x", 1, None, True, "", "a.b", "\n", *EXTRA]))] = draw(ODD)
    return document


OVERRIDES = st.builds(
    lambda key, value: f"{key}={value}",
    st.sampled_from(
        ["data", "data.pool", "data.pool.path", "task.labels", "task", "seed", "x.y", "", ".", "task..x", "a.b.c.d"]
    ),
    st.sampled_from(
        ["", "3", "[", "{a: b}", "null", "*x", "&a [*a]", "!!python/name:os.system", "'", "a: b: c", "\t", "[1, 2]"]
    ),
)


def write(folder, document):
    """Write a document; hypothesis's halves of characters become escapes."""
    file = Path(folder) / "campaign.yaml"
    file.write_bytes(yaml.safe_dump(document, allow_unicode=False, sort_keys=False).encode())
    return file


def examined(file, overrides):
    """Return the settings, or None; all problems are words."""
    problems, config, _ = examine_with_settings(file, overrides)
    assert problems or config is not None
    if problems:
        told = str(ProblemsError(problems))
        assert told.strip()
        assert all(isinstance(one, ActiveLoRAError) and one.problem for one in problems)
        return None
    return config


def try_document(document, overrides):
    with tempfile.TemporaryDirectory() as folder:
        config = examined(write(folder, document), overrides)
        event("refused" if config is None else "accepted")
        if config is None:
            return
        look_at_data(config, folder)
    frozen = config.model_dump(mode="json")
    again = checked_config(json.loads(json.dumps(frozen)), where="again")
    assert (
        config_digest(again)
        == config_digest(config)
        == config_digest(parse_config(frozen, where="frozen", is_frozen=True))
    )


def look_at_data(config, folder):
    """Read the sample data of the templates as what the file says that they are."""
    if config.data.pool.path.startswith("hf://") or (
        config.data.holdout and config.data.holdout.path.startswith("hf://")
    ):
        return
    for source in ROOT.glob("templates/*/*.*"):
        if source.suffix in (".csv", ".jsonl"):
            shutil.copy(source, folder)
    try:
        inspect_data(config, make_task(config.task))
        event("data read")
    except ActiveLoRAError as error:
        event("data refused")
        told = str(error)
    else:
        told = "fine"
    assert told.strip()


SLOW = HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(documents(), st.lists(OVERRIDES, max_size=1))
def test_a_changed_campaign_file_gives_settings_or_words(document, overrides):
    try_document(document, overrides)


@pytest.mark.slow
@settings(max_examples=int(os.environ.get("ACTIVELORA_EXAMPLES", "250")), deadline=None, suppress_health_check=SLOW)
@given(documents(), st.lists(OVERRIDES, max_size=2))
def test_many_changed_campaign_files_give_settings_or_words(document, overrides):
    try_document(document, overrides)


RAW = [b"\x00", b"\xff\xfe", b"\t", b": ", b"- ", b"&a ", b"*a", b"!!set ", b"{", b"]", b"<<: ", b"? ", b"---\n"]
RAW += [b": 2026-13-45\n", b": !!bool x\n", b": !!int ''\n", b": !!float []\n", b": !!timestamp x\n", b": !!null {}\n"]
RAW += [
    b": 0x" + b"f" * 5000 + b"\n",
    b": " + b"9" * 5000 + b"\n",
    b": !!binary x\n",
    b": &a [*a]\n",
    b": !!omap [1]\n",
]


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(st.data())
def test_bytes_that_are_no_campaign_file_are_told_in_words(data):
    content = data.draw(st.sampled_from(list(FILES))).read_bytes()
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(content)))
        end = begin + data.draw(st.integers(0, 30))
        content = content[:begin] + data.draw(st.sampled_from(RAW) | st.binary(max_size=4)) + content[end:]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "campaign.yaml"
        file.write_bytes(content)
        examined(file, [])


def test_the_unchanged_files_are_accepted():
    for path, document in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            assert examined(write(folder, document), []) is not None, path
