"""`check` on the model that compares written answers; and how it comes to containers and pods."""

import pytest

from activelora.errors import ModelError, ProblemsError
from activelora.modeling.published import publish
from activelora.tracking.report_provenance import _nli_model
from pipelines.cli.checks import check_campaign
from pipelines.deploy.packages import check_pods_reach
from pipelines.engines.containers import folders_read
from tests.pipelines.tiny import tiny_config
from tests.tiny_nli import write_tiny_nli

TASK = {"kind": "generation", "prompt": "Question: {text}\nAnswer:", "chat_template": "never"}
BY_MEANING = {"strategy": "uncertainty", "measure": "semantic_entropy", "batch_size": 4}


@pytest.fixture
def make(tmp_path, tiny_model_path):
    def config(nli, acquisition=BY_MEANING, task=TASK, **sections):
        own = {"task": task} if task else {}
        scoring = {"num_samples": 4, "nli": nli}
        return tiny_config(tmp_path, tiny_model_path, scoring=scoring, acquisition=acquisition, **own, **sections)

    return config


@pytest.mark.parametrize(
    ("acquisition", "task", "words"),
    [
        (
            {"strategy": "uncertainty", "measure": "answer_nll"},
            TASK,
            "for the measures `semantic_entropy`, `likelihood_semantic_entropy`, and this campaign reads none",
        ),
        ({"strategy": "random"}, TASK, "and this campaign reads none of them"),
        ({"strategy": "entropy"}, None, "compares answers that the model writes, and classification has no measure"),
    ],
)
def test_where_no_measure_compares_answers_it_is_refused(make, acquisition, task, words):
    with pytest.raises(ProblemsError) as caught:
        make({"model": "owner/name"}, acquisition, task)
    (problem,) = [one for one in caught.value.problems if "scoring.nli" in str(one)]
    assert words in problem.problem
    assert problem.remedy.startswith("Leave it out")


@pytest.mark.parametrize(
    "acquisition",
    [
        BY_MEANING,
        {"strategy": "star", "measure": "likelihood_semantic_entropy"},
        {"strategy": "core_set", "initial": "zero_shot", "measure": "semantic_entropy"},
    ],
)
def test_where_one_does_it_is_not(make, acquisition):
    assert make({"model": "owner/name"}, acquisition).scoring.nli.model == "owner/name"


def test_its_label_is_told_and_what_is_none_is_refused_before_anything_runs(make, tmp_path):
    folder = write_tiny_nli(tmp_path / "good")
    facts = dict(check_campaign(make({"model": str(folder)})).facts)
    said = "label 1 of contradiction, entailment, neutral is entailment; a question twice with two answers, beyond 48"
    assert said in facts["NLI model"]
    wrong = write_tiny_nli(tmp_path / "wrong", ("good", "bad"))
    for model, words in ((str(wrong), "none of its labels is `entailment`: good, bad"), ("./no/such", "no such model")):
        with pytest.raises(ProblemsError) as caught:
            check_campaign(make({"model": model}))
        (problem,) = caught.value.problems
        assert isinstance(problem, ModelError)
        assert problem.where == f"scoring.nli.model: {model}"
        assert words in problem.problem
    assert "NLI model" not in dict(check_campaign(make(None)).facts)


def test_a_hub_id_that_is_not_here_is_said_to_be_unchecked(make):
    (warning,) = [one for one in check_campaign(make({"model": "owner/none"})).warnings if "nli" in one]
    assert warning.startswith("scoring.nli: owner/none is not on this machine, so its labels are not checked")


def test_a_published_model_is_fetched_where_the_campaign_runs(make, tmp_path, s3_uri, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path / "cache"))
    config = make({"model": f"{s3_uri}/nli"})
    with pytest.raises(ProblemsError, match="no model is published here"):
        check_campaign(config)
    publish(write_tiny_nli(tmp_path / "nli"), f"{s3_uri}/nli", "tiny NLI")
    assert "is not on this machine" in " ".join(check_campaign(config).warnings)
    assert "is entailment" in dict(check_campaign(config, runs_here=True).facts)["NLI model"]


def test_containers_see_its_folder_and_pods_do_not(make, tmp_path):
    folder = write_tiny_nli(tmp_path / "nli")
    assert folders_read(make({"model": str(folder)}))[str(folder)] == folder
    assert not [path for path in folders_read(make({"model": "owner/name"})) if "owner" in path]
    with pytest.raises(ProblemsError) as caught:
        check_pods_reach(make({"model": str(folder)}), "s3://bucket/c")
    (problem,) = [one for one in caught.value.problems if one.where == "scoring.nli.model"]
    assert "pods cannot reach it" in problem.problem
    assert "activelora model push" in problem.remedy
    with pytest.raises(ProblemsError) as caught:
        check_pods_reach(make({"model": "owner/name"}), "s3://bucket/c")
    assert "scoring.nli" not in str(caught.value)


def test_the_report_says_which_model_compared(make):
    assert _nli_model(make({"model": "owner/name", "revision": "abc"})) == "owner/name @ abc"
    assert _nli_model(make({"model": "owner/name"})) == "owner/name"
    assert _nli_model(make(None)) == ""
