"""The oracle: gold labels, with a share of mistakes that is the same at every look."""

from collections import Counter

import pytest

from activelora.campaign.labels import shown_time
from activelora.errors import DataError
from activelora.labeling.oracle import answer, confused_answer
from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request
from tests.labeling.conftest import make_campaign, select


def collect(campaign, round_=0):
    return get_source("oracle").collect(make_request(campaign, round_))


def gold(campaign):
    """The label that is in the item's text in these tests: question pool 7? has label 7 % 3."""
    items = make_request(campaign, 0).items
    return {item_id: int(item.fields["text"].rstrip("?").split()[-1]) % 3 for item_id, item in items.items()}


def test_without_errors_it_gives_the_gold_labels_in_the_selections_order(tmp_path):
    campaign = make_campaign(tmp_path, labeling={"source": "oracle"})
    selected = select(campaign)
    collected = collect(campaign)
    assert [record["item_id"] for record in collected.records] == selected
    assert {record["item_id"]: record["label"] for record in collected.records} == gold(campaign)
    assert dict(collected.states) == dict.fromkeys(selected, "labeled")
    assert collected.rejected == []


def test_two_looks_are_equal(tmp_path):
    campaign = make_campaign(tmp_path, labeling={"source": "oracle", "oracle_error_rate": 0.5})
    select(campaign)
    assert collect(campaign) == collect(campaign)


def test_all_wrong_at_a_rate_of_one(tmp_path):
    campaign = make_campaign(tmp_path, batch=20, labeling={"source": "oracle", "oracle_error_rate": 1.0})
    select(campaign)
    right = gold(campaign)
    assert all(record["label"] != right[record["item_id"]] for record in collect(campaign).records)


def test_error_rate_and_wrong_labels_are_as_asked():
    answers = [answer(2, 4, f"item {index}", 0.3, seed=5) for index in range(20_000)]
    counts = Counter(answers)
    assert counts[2] / 20_000 == pytest.approx(0.7, abs=0.012)
    for wrong in (0, 1, 3):
        assert counts[wrong] / 20_000 == pytest.approx(0.1, abs=0.008)


def test_the_answer_depends_on_seed_and_item_alone():
    assert [answer(0, 3, "a", 0.5, seed) for seed in range(50)] != [answer(0, 3, "b", 0.5, seed) for seed in range(50)]
    assert answer(1, 1, "a", 1.0, 0) == 1  # with one answer there is no wrong one


def test_errors_of_multiple_choice_stay_among_the_items_choices(tmp_path):
    rows = [
        {"text": f"which {index}?", "choices": ["a", "b", "c", "d"][: 2 + index % 3], "label": index % 2}
        for index in range(30)
    ]
    task = {"kind": "multiple_choice", "prompt": "{text} {choices}", "answer": "letters"}
    labeling = {"source": "oracle", "oracle_error_rate": 1.0}
    holdout = tmp_path / "pool.jsonl"
    campaign = make_campaign(
        tmp_path,
        rows=rows,
        batch=20,
        task=task,
        labeling=labeling,
        data={"folder": str(tmp_path), "pool": {"path": str(holdout)}, "holdout_size": 5},
    )
    select(campaign)
    items = make_request(campaign, 0).items
    for record in collect(campaign).records:
        item = items[record["item_id"]]
        right = int(item.fields["text"].rstrip("?").split()[-1]) % 2
        assert 0 <= record["label"] < len(item.choices)
        assert record["label"] != right


def test_a_pool_without_gold_is_refused(tmp_path):
    campaign = make_campaign(tmp_path, labeling={"source": "files"})
    select(campaign)
    with pytest.raises(DataError, match="without gold labels"):
        collect(campaign)


MATRIX = [[0.8, 0.15, 0.05], [0.0, 1.0, 0.0], [0.3, 0.3, 0.4]]
NAMED = {
    "Entity": {"entity": 0.8, "human": 0.15, "number": 0.05},
    "number": {"entity": 0.3, "human": 0.3, "number": 0.4},
}


@pytest.mark.parametrize("gold_label", [0, 1, 2])
def test_answers_follow_the_confusion_matrix(gold_label):
    num = 5_000
    row = MATRIX[gold_label]
    counts = Counter(confused_answer(row, f"item {index}", seed=5) for index in range(num))
    for label, probability in enumerate(row):
        bound = 4 * (probability * (1 - probability) / num) ** 0.5  # four standard deviations of a binomial share
        assert abs(counts[label] / num - probability) <= bound


def test_a_confused_answer_depends_on_seed_and_item_alone():
    def answers(seed, names):
        return {name: confused_answer(MATRIX[2], name, seed) for name in names}

    names = [f"item {index}" for index in range(200)]
    assert answers(1, names) == answers(1, names[::-1])
    assert answers(1, names) != answers(2, names)


def test_a_row_whose_sum_was_rounded_down_still_answers():
    thirds = [1 / 3, 1 / 3, 1 / 3, 0.0]
    assert {confused_answer(thirds, f"item {index}", 0) for index in range(300)} == {0, 1, 2}
    assert confused_answer([0.0, 1e-300], "a", 0) == 1


@pytest.mark.parametrize("confusion", [MATRIX, NAMED])
def test_a_confusion_matrix_in_the_campaign_file(tmp_path, confusion):
    labeling = {"source": "oracle", "oracle_confusion": confusion}
    campaign = make_campaign(tmp_path, num_items=300, batch=300, labeling=labeling)
    select(campaign)
    right, collected = gold(campaign), collect(campaign)
    seed = campaign.seed("oracle")
    given = {record["item_id"]: record["label"] for record in collected.records}
    assert given == {item_id: confused_answer(MATRIX[label], item_id, seed) for item_id, label in right.items()}
    assert all(given[item_id] == 1 for item_id, label in right.items() if label == 1)
    assert 0 < sum(given[item_id] != label for item_id, label in right.items()) < 150


def test_an_item_gets_the_same_answer_in_any_batch(tmp_path):
    given = []
    for name, batch in (("small", 5), ("large", 20)):
        labeling = {"source": "oracle", "oracle_confusion": MATRIX}
        campaign = make_campaign(tmp_path / name, labeling=labeling, batch=batch)
        select(campaign)
        given.append({record["item_id"]: record["label"] for record in collect(campaign).records})
    assert given[0].items() <= given[1].items()
    assert list(given[0]) != sorted(given[0])


def test_simulated_labels_have_no_time_where_they_are_shown(tmp_path):
    """None that changes from run to run, and none of 1970."""
    campaign = make_campaign(tmp_path, labeling={"source": "oracle"})
    select(campaign)
    times = {record["labeled_at"] for record in collect(campaign).records}
    assert len(times) == 1
    assert {shown_time({"labeled_at": time}) for time in times} == {""}
    assert shown_time({"labeled_at": "2024-05-01T00:00:00+00:00"}) == "2024-05-01T00:00:00+00:00"
