"""Everything a person can get wrong, through the command line: one clear error each, and nothing half-written."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.cli.main import main
from tests.pipelines.tiny import LABELS, WORDS

SECRET = "hunter2secret"
ROWS = [{"text": f"{WORDS[n % 10]} and {WORDS[n // 10]} {n}", "label": LABELS[n % 3]} for n in range(30)]
CHOICE_ROWS = [{"q": f"{WORDS[n % 10]} {n}?", "choices": ["moon", "river"], "label": n % 2} for n in range(30)]
CHOICE_TASK = {"kind": "multiple_choice", "prompt": "{q}", "answer": "text", "chat_template": "never"}


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


GOOD = jsonl(ROWS)
CSV = b"text,label\n" + b"".join(f"{row['text']},{row['label']}\n".encode() for row in ROWS)


def line(number: int, content: bytes) -> bytes:
    """The good pool with one line replaced."""
    lines = GOOD.splitlines(keepends=True)
    return b"".join([*lines[: number - 1], content + b"\n", *lines[number:]])


@dataclass(frozen=True)
class Wrong:
    """One malformed input.

    Attributes:
        words: What the error must say.
        set: Dotted settings that replace those of a good campaign file; None removes.
        files: Files beside the campaign file; the good pool is there too.
        yaml: Replaces the campaign file; None is written from the settings.
        options: More arguments.
        environment: Environment variables.
        problems: How many problems are told.
    """

    words: tuple[str, ...]
    set: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    yaml: bytes | None = None
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    problems: int = 1


def pool(content: bytes, *words: str, name: str = "pool.jsonl", **settings: Any) -> Wrong:
    return Wrong(
        words, {"data.pool.path": name, **{key.replace("__", "."): settings[key] for key in settings}}, {name: content}
    )


def setting(key: str, value: Any, *words: str, **more: Any) -> Wrong:
    return Wrong(words, {key: value}, **more)


def holdout(content: bytes, *words: str, **settings: Any) -> Wrong:
    changes = {key.replace("__", "."): value for key, value in settings.items()}
    return Wrong(words, {"data.holdout": {"path": "h.jsonl"}, **changes}, {"h.jsonl": content})


def in_s3(*words: str, uri: str = "s3://some-bucket/here", **environment: str) -> Wrong:
    return Wrong(words, options=("--campaign", uri), environment=environment)


NOWHERE = "http://127.0.0.1:9"  # the discard port: refuses
KEYS = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": SECRET}

IN_DATA = {
    "wrong column": pool(b'{"txt": "a", "label": "fire"}\n', "pool.jsonl:1", "`text`", "Did you mean `txt`?"),
    "empty file": pool(b"", "pool.jsonl", "empty"),
    "broken JSON on line 7": pool(line(7, b'{"text": "a", "lab'), "pool.jsonl:7", "JSON"),
    "unknown label": pool(line(4, b'{"text": "x", "label": "fir"}'), "pool.jsonl:4", "'fir'", "fire"),
    "duplicates with different labels": pool(
        line(9, json.dumps({**ROWS[0], "label": "red"}).encode()), "pool.jsonl:9", "pool.jsonl:1", "`red`", "`water`"
    ),
    "same id, two items": pool(
        jsonl([{**row, "key": f"k{n % 29}"} for n, row in enumerate(ROWS)]),
        "pool.jsonl:30",
        "'k0'",
        data__columns__id="key",
    ),
    "choices missing": pool(
        jsonl([*CHOICE_ROWS[:-1], {"q": "x", "label": 0}]), "pool.jsonl:30", "`choices`", task=CHOICE_TASK
    ),
    "NUL byte": pool(line(5, b'{"text": "a\x00b"}'), "pool.jsonl:5", "NUL"),
    "huge line": pool(line(5, b'{"text": "' + b"a" * (17 << 20) + b'"}'), "pool.jsonl:5", "16 MiB"),
    "not UTF-8": pool(line(5, b'{"text": "\xe9"}'), "pool.jsonl:5", "UTF-8", "0xe9"),
    "UTF-16 cut short": pool(GOOD.decode().encode("utf-16")[:-1], "pool.jsonl", "UTF-16"),
    "UTF-16 in CSV cut short": pool(CSV.decode().encode("utf-16")[:-1], "p.csv", "UTF-16", name="p.csv"),
    "CSV wrong column after BOM and CRLF": pool(
        b"\xef\xbb\xbf" + CSV.replace(b"text,", b"Text,").replace(b"\n", b"\r\n"),
        "p.csv:1",
        "`text`",
        "`Text`",
        name="p.csv",
    ),
    "Parquet that is none": pool(GOOD, "p.parquet", "Parquet", name="p.parquet"),
    "pool not there": setting("data.pool.path", "no.jsonl", "no.jsonl", "no such file"),
    "folder without data": setting("data.pool.path", "sub", "no .jsonl, .csv or .parquet", files={"sub/README": b"x"}),
    "one pool file of two is broken": setting(
        "data.pool.path", "sub", "sub/b.jsonl:2", "JSON", files={"sub/a.jsonl": GOOD, "sub/b.jsonl": b"\n{\n"}
    ),
    "CSV that begins with a NUL byte": pool(b"\x00" + CSV, "p.csv:1", "NUL", name="p.csv"),
    "pool smaller than the holdout": setting("data.holdout_size", 30, "data.holdout_size", "30"),
    "budget larger than the pool": setting("stopping.max_rounds", 9, "budget of 36", "pool of 20 items"),
    "holdout empty": holdout(b"", "h.jsonl", "empty"),
    "holdout with labels that the task lacks": holdout(b'{"text": "x", "label": "blue"}\n', "h.jsonl:1", "'blue'"),
    "holdout that is the pool": holdout(GOOD, "pool.jsonl", "nothing is left"),
    "pool in a bucket of a dead server": Wrong(
        ("s3://some-bucket/x.jsonl", NOWHERE),
        {"data.pool.path": "s3://some-bucket/x.jsonl"},
        environment={**KEYS, "AWS_ENDPOINT_URL_S3": NOWHERE, "AWS_MAX_ATTEMPTS": "1"},
    ),
    "pool on the web": setting(
        "data.pool.path", "https://x.org/pool.jsonl", "https://x.org/pool.jsonl", "not supported"
    ),
}
IN_FILE = {
    "broken YAML": Wrong(("tiny.yaml:3:1", "not a valid campaign file"), yaml=b"name: tiny\ntask: {prompt: [\n"),
    "YAML with tabs": Wrong(("tiny.yaml:3:1",), yaml=b"name: tiny\ntask:\n\tprompt: x\n"),
    "YAML key twice": Wrong(("tiny.yaml:2:1", "`name` is written twice"), yaml=b"name: tiny\nname: tiny2\n"),
    "YAML list": Wrong(("tiny.yaml", "mapping"), yaml=b"- name: tiny\n"),
    "YAML empty": Wrong(("tiny.yaml", "empty"), yaml=b""),
    "YAML not UTF-8": Wrong(("tiny.yaml", "UTF-8"), yaml=b"name: \xe9\n"),
    "YAML with NUL": Wrong(("tiny.yaml", "not a valid campaign file"), yaml=b"name: a\x00b\n"),
    "YAML that contains itself": Wrong(("tiny.yaml", "alias"), yaml=b"name: t\ntask: &t\n  labels: *t\n"),
    "YAML that unfolds to billions of values": Wrong(
        ("tiny.yaml", "aliases unfold"),
        yaml=b"a0: &a0 [x]\n"
        + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 11)),
    ),
    "YAML runs code": Wrong(("tiny.yaml",), yaml=b"name: !!python/object/apply:os.system ['true']\n"),
    "unknown key": setting("acquisition.batchsize", 5, "batchsize", "Did you mean `batch_size`?"),
    "wrong type": setting("acquisition.batch_size", "many", "acquisition.batch_size", "'many'"),
    "number out of range": setting("adapter.dropout", 1.5, "adapter.dropout", "1.5"),
    "secret key": setting("tracking.password", SECRET, "tracking.password", "secret", problems=2),
    "secret in a URI": setting("tracking.uri", f"http://me:{SECRET}@mlflow:5000", "tracking.uri", "environment"),
    "name invalid": setting("name", "Ticket Router!", "name", "lower-case letters", "'Ticket Router!'"),
    "prompt with a missing column": setting("task.prompt", "{text} {body} is", "pool.jsonl:1", "`body`", problems=4),
    "prompt with a single brace": setting("task.prompt", "{text} { is", "task.prompt", "{{"),
    "prompt that would run code": setting(
        "task.prompt", "{text.__class__} is", "pool.jsonl:1", "`text.__class__`", problems=4
    ),
    "prompt without a column": setting("task.prompt", "What is it?", "task.prompt", "column"),
    "prompt with the labels only": setting("task.prompt", "{labels} ?", "task.prompt", "no column"),
    "labels twice": setting("task.labels", ["water", "Water"], "task", "different"),
    "unknown adapter": setting("adapter.method", "bolb", "adapter.method", "`bolb`", "`blob`"),
    "unknown strategy": setting("acquisition.strategy", "starr", "acquisition.strategy", "`starr`", "`star`"),
    "unknown measure": setting("acquisition.measure", "entrpy", "acquisition.measure", "`entrpy`"),
    "unknown label source": setting("labeling.source", "file", "labeling.source", "`file`", "`files`"),
    "the file is a folder": Wrong(("is a folder",), options=("--data", "."), yaml=b""),
    "--set without a value": Wrong(
        ("--set acquisition.batch_size", "key=value"), options=("--set", "acquisition.batch_size")
    ),
    "--set of no setting": Wrong(("nonsense",), options=("--set", "nonsense=3")),
    "--data that is not there": Wrong(("--data nowhere", "no such folder"), options=("--data", "nowhere")),
    "inbox that is a file": Wrong(
        ("labeling.inbox", "a file"), {"labeling.source": "files", "labeling.inbox": "pool.jsonl"}
    ),
    "inbox in a bucket of a dead server": Wrong(
        ("s3://some-bucket/inbox", NOWHERE),
        {"labeling.source": "files", "labeling.inbox": "s3://some-bucket/inbox"},
        environment={**KEYS, "AWS_ENDPOINT_URL_S3": NOWHERE, "AWS_MAX_ATTEMPTS": "1"},
    ),
}
IN_MODEL = {
    "labels that share a first token": setting(
        "task.labels", ["water", "water bottle", "fire", "red"], "begin with the token"
    ),
    "model folder missing": setting("model.base", "./no-model", "model.base: ./no-model", "no such model folder"),
    "model folder empty": setting("model.base", "{place}/empty", "config.json", files={"empty/x": b""}),
    "model config broken": setting("model.base", "{place}/broken", "model.base", files={"broken/config.json": b"{"}),
    "model without weights": setting("model.base", "{place}/no-weights", "model.safetensors", "missing"),
    "model weights damaged": setting("model.base", "{place}/cut-weights", "model.safetensors", "not a whole"),
    "last_layers too large": setting("adapter.last_layers", 5, "adapter.last_layers: 5", "only 4 layers"),
    "targets unknown": setting("adapter.targets", ["query"], "adapter.targets", "query", "q_proj"),
    "chat template missing": setting("task.chat_template", "always", "task.chat_template", "no chat template"),
    "prompt longer than its limit": setting(
        "task",
        {"prompt": "{text} " + "moon " * 40, "labels": LABELS, "max_prompt_tokens": 16},
        "task.prompt",
        "max_prompt_tokens",
    ),
    "model of another architecture": setting(
        "model.base", "{place}/gpt2-config", "148 are missing", "config.json is of another model than the weights"
    ),
    "model that is no language model": setting("model.base", "{place}/vit-config", "`vit`", "cannot be adapted"),
    "model without tokenizer": setting("model.base", "{place}/no-tokenizer", "model.base"),
    "model with a missing shard": setting("model.base", "{place}/no-shard-weights", "two.safetensors", "missing"),
    "quantised without a GPU": setting("model.quantization", "4bit", "model.quantization: 4bit"),
    "hub id without a network": setting(
        "model.base", "nobody/nothing", "model.base: nobody/nothing", "cannot be loaded"
    ),
    "hub id that cannot be": setting("model.base", "a b/c", "model.base"),
}
IN_STORE = {
    "S3 without credentials": in_s3("s3://some-bucket/here", "AWS_ACCESS_KEY_ID", AWS_ENDPOINT_URL_S3=NOWHERE),
    "S3 endpoint dead": in_s3("s3://some-bucket/here", NOWHERE, AWS_ENDPOINT_URL_S3=NOWHERE, **KEYS),
    "S3 URI malformed": in_s3("s3://B", "s3://bucket/prefix", uri="s3://B"),
    "S3 URI with a password": in_s3("s3://", "credentials", uri=f"s3://me:{SECRET}@bucket/x"),
    "other scheme": in_s3("gs:", "s3://bucket/prefix", uri="gs://bucket/x"),
    "place is a file": Wrong(
        ("pool.jsonl", "a file is where a folder should be"), options=("--campaign", "pool.jsonl")
    ),
    "place empty": Wrong(("place is empty",), options=("--campaign", "")),
    "place below a device": Wrong(("/dev/null/x",), options=("--campaign", "/dev/null/x")),
}
ONLY_WHERE_IT_RUNS = ("quantised without a GPU", "hub id without a network")
CASES = {**IN_DATA, **IN_FILE, **IN_MODEL, **IN_STORE}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return tmp_path


def document(model_path: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """A good campaign file, and what is changed in it."""
    made: dict[str, Any] = {
        "name": "tiny",
        "task": {"prompt": "{text} is", "labels": LABELS, "chat_template": "never"},
        "data": {"pool": {"path": "pool.jsonl"}, "holdout_size": 10},
        "model": {"base": str(model_path)},
        "adapter": {"rank": 2},
        "training": {"min_steps": 0, "warmup_fraction": 0.0, "epochs": 1},
        "scoring": {"num_samples": 2},
        "acquisition": {"batch_size": 4},
        "stopping": {"max_rounds": 2},
        "evaluation": {"bootstrap_samples": 100},
        "tracking": {"enabled": False},
    }
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = made
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = value
    return made


def model_variant(place: Path, model_path: Path, name: str) -> None:
    """Write a copy of the model with something wrong."""
    target = place / name
    if name.endswith(("-weights", "-config", "-tokenizer")):
        shutil.copytree(model_path, target)
    if name.endswith("-weights"):
        weights = target / "model.safetensors"
        cut = weights.read_bytes()[:1000]
        weights.unlink()
        if name == "cut-weights":
            weights.write_bytes(cut)
        if name == "no-shard-weights":
            index = {"metadata": {}, "weight_map": {"model.norm.weight": "two.safetensors"}}
            (target / "model.safetensors.index.json").write_text(json.dumps(index))
    if name.endswith("-config"):
        (target / "config.json").write_text(json.dumps({"model_type": name.removesuffix("-config")}))
    if name == "no-tokenizer":
        for file in target.glob("tokenizer*"):
            file.unlink()


def write(place: Path, model_path: Path, wrong: Wrong) -> Path:
    """Write the campaign file and its data, and return the file."""
    for name, content in {"pool.jsonl": GOOD, **wrong.files}.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(content)
    changes = {k: v.format(place=place) if k == "model.base" else v for k, v in wrong.set.items()}
    model_variant(place, model_path, Path(str(changes.get("model.base", ""))).name)
    path = place / "tiny.yaml"
    if "is a folder" in wrong.words:
        path.mkdir()
    else:
        text = wrong.yaml if wrong.yaml is not None else yaml.safe_dump(document(model_path, changes)).encode()
        path.write_bytes(text)
    return path


def complaint(capfd, *arguments: str) -> str:
    """Run a command that must fail, and return what it says; look at what no message may have."""
    code = main(list(arguments))
    out, err = capfd.readouterr()
    assert code == 1, out + err
    assert "Traceback" not in err
    assert SECRET not in out + err
    assert err.count("error:") == 1, err
    assert "Warning" not in err, err
    assert not re.search(r"0x[0-9a-f]{8,}|<class |pydantic|botocore\.|errno", err), err
    return err


SLOW = {"hub id without a network": pytest.mark.slow}


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, ())) for name in CASES])
def test_one_clear_error_and_nothing_half_written(name, place, tiny_model_path, capfd, monkeypatch):
    wrong = CASES[name]
    for variable, value in wrong.environment.items():
        monkeypatch.setenv(variable, value)
    file = write(place, tiny_model_path, wrong)
    before = sorted(place.rglob("*"))
    commands = ["run"] if name in IN_STORE or name in ONLY_WHERE_IT_RUNS else ["check", "run"]
    for command in commands:
        err = complaint(capfd, command, str(file), *wrong.options)
        assert [word for word in wrong.words if word not in err] == [], err
        shown = err.count("\n  - ")
        assert shown in (0, wrong.problems), err
        assert sorted(place.rglob("*")) == before
