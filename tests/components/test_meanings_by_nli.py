"""Semantic entropy by an NLI model, of a whole campaign: against answers drawn again and compared one by one."""

import math
from collections import Counter

import pytest
import torch

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.kinds.registry import make_task
from activelora.pool.access import shard_items
from activelora.scoring.predict import Predictor
from activelora.tasks.written import plain_text
from pipelines.engines.inline import run_campaign
from tests.pipelines.tiny import tiny_config
from tests.tiny_nli import write_tiny_nli

TASK = {"kind": "generation", "prompt": "Question: {text}\nAnswer:", "max_answer_tokens": 4, "chat_template": "never"}
NUM_SAMPLES = 5


@pytest.fixture(scope="module")
def nli_path(tmp_path_factory):
    return write_tiny_nli(tmp_path_factory.mktemp("nli"), max_tokens=200)


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory, tiny_model_path, nli_path):
    found = {}
    for name, nli in (("own", None), ("nli", {"model": str(nli_path)})):
        folder = tmp_path_factory.mktemp(name)
        config = tiny_config(
            folder,
            tiny_model_path,
            task=TASK,
            acquisition={"batch_size": 4, "strategy": "uncertainty", "measure": "semantic_entropy"},
            scoring={"num_samples": NUM_SAMPLES, "nli": nli},
            stopping={"max_rounds": 2},
            labeling={"source": "oracle"},
        )
        found[name] = Campaign.create(str(folder / "campaign"), config)
        assert run_campaign(found[name]).status == "finished"
    return found


def slow_entropy(prompt, texts, entails):
    """Return the entropy over clusters of Kuhn et al. 2023, algorithm 1, counting answers."""
    clusters = []
    for text in texts:
        for cluster in clusters:
            first = cluster[0]
            if any(plain_text(one) == plain_text(text) for one in cluster) or (
                entails(f"{prompt} {first}", f"{prompt} {text}") and entails(f"{prompt} {text}", f"{prompt} {first}")
            ):
                cluster.append(text)
                break
        else:
            clusters.append([text])
    return -sum(len(one) / len(texts) * math.log(len(one) / len(texts)) for one in clusters)


def test_scores_are_those_of_answers_compared_one_by_one(campaigns, nli_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(nli_path).eval()
    tokenizer = AutoTokenizer.from_pretrained(nli_path)

    def entails(premise, hypothesis):
        with torch.no_grad():
            return int(model(**tokenizer(premise, hypothesis, return_tensors="pt")).logits.argmax()) == 1

    campaign = campaigns["nli"]
    task = make_task(campaign.config.task)
    items = {one.item_id: one for one in shard_items(campaign, 0)}
    scores = campaign.read_table(campaign.require(Unit("score_pool", 1, 0)), "scores.parquet").to_pydict()
    some = [items[item_id] for item_id in scores["item_id"]]
    with Predictor.load(campaign, 1) as predictor:
        drawn = predictor.draw_answers(some, NUM_SAMPLES, campaign.seed("draw_answers", 1))
        texts = [[predictor.decode_text(one.ids).strip() for one in answers] for answers in drawn]
    expected = [
        slow_entropy(task.queries(item)[0].prompt.rstrip(), own, entails) for item, own in zip(some, texts, strict=True)
    ]
    assert scores["semantic_entropy"] == pytest.approx(expected, abs=1e-12)
    assert len(Counter(round(one, 6) for one in expected)) > 2
    own = campaigns["own"]
    others = own.read_table(own.require(Unit("score_pool", 1, 0)), "scores.parquet").to_pydict()
    assert others["item_id"] == scores["item_id"]
    assert others["semantic_entropy"] != scores["semantic_entropy"]
    assert others["answer_nll"] == scores["answer_nll"]
    assert min(scores["likelihood_semantic_entropy"]) >= 0


def test_the_model_is_looked_for_where_the_pool_is_scored_by_meaning_only(campaigns, tmp_path, monkeypatch, caplog):
    """A random seed set is drawn without scores: round 0 loads no model that compares."""
    config = campaigns["nli"].config
    with caplog.at_level("INFO"):
        campaign = Campaign.create(str(tmp_path / "campaign"), config)
        run_campaign(campaign)
    lines = [one.getMessage() for one in caplog.records if "answers are compared by" in one.getMessage()]
    assert len(lines) == 2  # one a shard of round 1
    for unit in (Unit("score_pool", 1, 0), Unit("select_batch", 1)):  # the same campaign gives the same numbers
        assert campaign.require(unit).digest == campaigns["nli"].require(unit).digest
