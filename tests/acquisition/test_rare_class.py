"""The search for a rare label against its definition, item by item."""

import math
from dataclasses import replace

import numpy as np
import pytest

from activelora.acquisition import exploration, rare_class
from activelora.acquisition.registry import STRATEGIES
from activelora.errors import ConfigError
from activelora.rules.checks import conflicts
from tests.acquisition.conftest import LABELS, context_of, drawn_embeddings, drawn_log_probs, pool_of
from tests.config.test_campaign import config, problems


def cosine(one_D, other_D):
    dot, norms = float(one_D @ other_D), math.sqrt(float(one_D @ one_D) * float(other_D @ other_D))
    return dot / norms if norms else 0.0


def slowly(pool, label, num):
    """The batch by the definition: the mean of two ranks, equal scores by item id."""
    answer, size = LABELS.index(label), len(pool.item_ids)
    middle_D = 0 if pool.middle_D is None else pool.middle_D
    found = [
        vector_D.astype(np.float64) - middle_D
        for vector_D, known in zip(pool.labeled_embeddings_LD, pool.labeled_answers_L, strict=True)
        if known == answer
    ]
    others = [
        vector_D.astype(np.float64) - middle_D
        for vector_D, known in zip(pool.labeled_embeddings_LD, pool.labeled_answers_L, strict=True)
        if known not in (answer, -1)
    ]
    near = []
    for vector_D in pool.embeddings_ND.astype(np.float64) - middle_D:
        near.append(max(cosine(vector_D, one) for one in found) - max(cosine(vector_D, one) for one in others))
    likely = [float(probs_C[answer]) for probs_C in pool.mean_probs_NC]

    def rank(values, index):
        return 1 - (sum(value >= values[index] for value in values) - 1) / size

    scores = [(rank(near, index) + rank(likely, index)) / 2 for index in range(size)]
    order = sorted(range(size), key=lambda index: (-scores[index], pool.item_ids[index]))[:num]
    return order, [scores[index] for index in order]


@pytest.mark.parametrize("offset", [0.0, 30.0])
@pytest.mark.parametrize("label", ["human", "place"])
def test_the_batch_is_that_of_the_definition(label, offset):
    points_ND, labeled_LD = drawn_embeddings(1) + np.float32(offset), drawn_embeddings(2, 9) + np.float32(offset)
    pool = pool_of(drawn_log_probs(3), embeddings_ND=points_ND, labeled_LD=labeled_LD)
    pool = replace(pool, middle_D=np.concatenate([points_ND, labeled_LD]).astype(np.float64).mean(axis=0))
    picks = rare_class.select(pool, 15, context_of("rare_class", label=label))
    order, scores = slowly(pool, label, 15)
    assert [pick.index for pick in picks] == order
    assert [pick.score for pick in picks] == pytest.approx(scores)


def test_found_positives_lead_to_what_is_like_them_though_the_model_does_not_believe_it():
    """One cluster is of the rare label, and the model gives it to all items alike."""
    points_ND = np.zeros((12, 2), dtype=np.float32)
    points_ND[:4, 0], points_ND[4:, 1] = 5.0, 5.0
    log_probs_NKC = np.log(np.tile([[0.9, 0.02, 0.05, 0.03]], (12, 1, 1)))
    labeled_LD = np.array([[5, 0.1], [0.1, 5]], dtype=np.float32)
    known = pool_of(log_probs_NKC, embeddings_ND=points_ND, labeled_LD=labeled_LD, labeled_L=np.array([1, 0]))
    context = context_of("rare_class", label="human")
    assert {pick.index for pick in rare_class.select(known, 4, context)} == {0, 1, 2, 3}
    other = replace(known, labeled_answers_L=np.array([0, 1]))
    assert {pick.index for pick in rare_class.select(other, 4, context)} <= set(range(4, 12))


def test_before_a_positive_is_found_the_model_s_probability_leads(pool):
    picks = rare_class.select(pool, 40, context_of("rare_class", label="number", round_=0))
    likely_N = pool.mean_probs_NC[:, LABELS.index("number")]
    assert [pick.index for pick in picks] == sorted(range(40), key=lambda index: -likely_N[index])
    assert "no item with number is known yet" in picks[0].reason
    labeled = pool_of(drawn_log_probs(0), labeled_LD=drawn_embeddings(5, 3), labeled_L=np.array([0, 1, -1]))
    picks = rare_class.select(labeled, 3, context_of("rare_class", label="number"))
    assert all("no item with number is known yet" in pick.reason for pick in picks)


def test_without_a_name_it_is_the_label_of_the_lowest_mean_probability(labeled_pool):
    rarest = LABELS[int(np.argmin([np.mean(column_N) for column_N in labeled_pool.mean_probs_NC.T]))]
    unnamed, named = (
        rare_class.select(labeled_pool, 6, context_of("rare_class", **own)) for own in ({}, {"label": rarest})
    )
    assert unnamed == named


def test_a_label_that_there_is_not_is_refused(labeled_pool):
    with pytest.raises(ConfigError, match=r"rare_class.label: there is no label `plaze`.*entity, human, number, place"):
        rare_class.select(labeled_pool, 3, context_of("rare_class", label="plaze"))
    (said,) = problems(acquisition={"strategy": "rare_class", "rare_class": {"label": "plaze"}})
    assert "`acquisition.rare_class.label`: the task has no label `plaze`. Write one of: billing, support" in said
    assert conflicts(config(acquisition={"strategy": "rare_class", "rare_class": {"label": "support"}})) == []


def test_a_task_whose_items_share_no_label_is_refused():
    task = {"kind": "multiple_choice", "prompt": "{question}\n{choices}", "answer": "letters"}
    (said,) = problems(task=task, acquisition={"strategy": "rare_class"})
    assert "has none that its items share" in said


def test_labels_are_needed_where_items_are_labelled(labeled_pool):
    with pytest.raises(ConfigError, match="without the labelled items' labels"):
        rare_class.select(replace(labeled_pool, labeled_answers_L=None), 3, context_of("rare_class"))


def test_with_a_floor_and_random_draws_it_still_knows_what_was_found(labeled_pool):
    context = context_of("rare_class", label="place", per_class_floor=2, exploration=0.25)
    picks = exploration.select(STRATEGIES["rare_class"], labeled_pool, 12, context)
    assert sum(pick.reason == exploration.REASON for pick in picks) == 3
    predicted = labeled_pool.mean_probs_NC.argmax(axis=1)
    counts = np.bincount([predicted[pick.index] for pick in picks], minlength=4)
    assert (counts >= np.minimum(2, np.bincount(predicted, minlength=4))).all()
