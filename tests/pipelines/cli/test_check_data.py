"""What `check` says of wrong columns and labels, and that it loads no more for it than it needs."""

import subprocess
import sys

import pytest
import yaml

from pipelines.cli.main import main
from pipelines.cli.yaml_lines import yaml_list
from tests.pipelines.tiny import LABELS, tiny_config

SLOW = ("torch", "transformers", "peft", "mlflow", "matplotlib", "sklearn", "pandas", "kfp")


@pytest.fixture
def campaign_file(tmp_path, tiny_model_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = tiny_config(tmp_path, tiny_model_path).model_dump(mode="json", exclude_unset=True)
    document["data"]["folder"] = "."
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("data.columns.label=lable", "there is no column `lable`"),
        ("task.prompt='{texte}:'", "there is no column `texte`"),
        ("data.pool.path=pol.jsonl", "there is no such file"),
        ("task.labels=[water, red]", "'fire' is not a label of this task"),
        ("stopping.max_rounds=99", "is larger than the pool"),
        ("task.labels=[]", "at least two `labels`"),
    ],
)
def test_what_is_wrong_with_the_data_is_told_without_torch(campaign_file, setting, words):
    program = (
        "import sys; from pipelines.cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        f"print(code, *(name for name in {SLOW!r} if name in sys.modules))"
    )
    command = [sys.executable, "-c", program, "check", str(campaign_file), "--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert words in " ".join(done.stderr.split())
    assert done.stdout.splitlines()[-1] == "1"


def complaint(capfd, *arguments):
    assert main(list(map(str, arguments))) == 1
    return capfd.readouterr().err


@pytest.mark.parametrize("labels", ["[]", "[water, red]", "[wasser, feuer, rot]"])
def test_the_values_of_the_label_column_can_be_copied(campaign_file, capfd, labels):
    err = complaint(capfd, "check", campaign_file, "--set", f"task.labels={labels}")
    assert "the label column `label` of data.pool holds these 3 values, ready to copy" in err
    copied = yaml.safe_load(err.splitlines()[-1])
    assert set(copied["labels"]) == set(LABELS)
    assert main(["check", str(campaign_file), "--set", f"task.labels={copied['labels']}"]) == 0


def test_values_of_sets_are_single_labels(campaign_file, capfd, tmp_path):
    (tmp_path / "pool.jsonl").write_text("".join(f'{{"text": "t{n}", "label": "a|b c; d"}}\n' for n in range(30)))
    kind = ["--set", "task.kind=multi_label", "--set", "task.prompt='{text} {label}'"]
    err = complaint(capfd, "check", campaign_file, *kind)
    assert set(yaml.safe_load(err.splitlines()[-1])["labels"]) == {"a", "b c", "d"}


def test_an_empty_label_column_is_called_so(campaign_file, capfd, tmp_path):
    (tmp_path / "pool.jsonl").write_text("".join(f'{{"text": "t{n}", "label": ""}}\n' for n in range(30)))
    err = complaint(capfd, "check", campaign_file, "--set", "task.labels=[]")
    assert "the label column `label` of data.pool is empty" in err


def test_a_model_that_is_not_there_is_told_with_the_data(campaign_file, capfd):
    wrong = ["--set", "model.base=nowhere", "--set", "data.columns.label=lable"]
    err = complaint(capfd, "check", campaign_file, *wrong)
    assert "there is no such model folder" in err
    assert "there is no column `lable`" in err


@pytest.mark.parametrize(
    "values",
    [
        ["yes", "No", "on"],
        ["1", "0.5", "-1"],
        ["a, b", "c: d", "# e", "[f]", "{g}", "'h'", '"i"'],
        ["Größe", "名前", "x y"],
    ],
)
def test_yaml_reads_the_list_as_it_was(values):
    assert yaml.safe_load(yaml_list(values)) == values


def test_the_skeleton_of_a_model_is_built_once(campaign_file, monkeypatch):
    from transformers import AutoModelForCausalLM

    built = []
    build = AutoModelForCausalLM.from_config

    def counted(*arguments, **options):
        built.append(arguments)
        return build(*arguments, **options)

    monkeypatch.setattr(AutoModelForCausalLM, "from_config", counted)
    assert main(["check", str(campaign_file)]) == 0
    assert len(built) == 1
