"""Confident learning, against the paper's definition in plain loops, cleanlab, and labels flipped on purpose."""

import numpy as np
import pytest

from activelora.errors import DataError
from activelora.intervals import wilson_interval
from activelora.uncertainty.label_quality import (
    assess_labels,
    confident_joint,
    earned_doubts,
    noise_joint,
    prune_by_noise_rate,
)


def simulate(seed=0, num_items=400, num_classes=4, noise=0.15, skill=2.0):
    """Return given labels, true labels and the probabilities of a model that knows something."""
    random = np.random.default_rng(seed)
    true_N = random.integers(num_classes, size=num_items)
    logits_NC = random.normal(size=(num_items, num_classes)) + skill * np.eye(num_classes)[true_N]
    probs_NC = np.exp(logits_NC) / np.exp(logits_NC).sum(axis=1, keepdims=True)
    flipped_N = random.random(num_items) < noise
    given_N = np.where(flipped_N, (true_N + 1 + random.integers(num_classes - 1, size=num_items)) % num_classes, true_N)
    return given_N, true_N, probs_NC


def slow_joint(labels, probs):
    """Equations 1 and 2 word by word."""
    num_classes = len(probs[0])
    thresholds = []
    for j in range(num_classes):
        own = [p[j] for label, p in zip(labels, probs, strict=True) if label == j]
        thresholds.append(sum(own) / len(own) if own else None)
    counts = [[0] * num_classes for _ in range(num_classes)]
    for label, p in zip(labels, probs, strict=True):
        confident = [j for j in range(num_classes) if thresholds[j] is not None and p[j] >= thresholds[j]]
        if confident:
            counts[label][max(confident, key=lambda j: p[j])] += 1
    joint = [[0.0] * num_classes for _ in range(num_classes)]
    for i in range(num_classes):
        for j in range(num_classes):
            row = sum(counts[i]) or 1
            joint[i][j] = counts[i][j] / row * list(labels).count(i) / len(labels)
    return counts, joint


@pytest.mark.parametrize("seed", range(5))
def test_the_joint_is_what_the_paper_says(seed):
    given_N, _, probs_NC = simulate(seed)
    counts, joint = slow_joint(given_N.tolist(), probs_NC.tolist())
    counts_CC = confident_joint(given_N, probs_NC)
    assert counts_CC.tolist() == counts
    np.testing.assert_allclose(noise_joint(given_N, counts_CC), joint, rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_labels_are_suspect_as_in_cleanlab(seed):
    from cleanlab.count import compute_confident_joint, estimate_joint
    from cleanlab.filter import find_label_issues

    given_N, _, probs_NC = simulate(seed)
    quality = assess_labels(given_N, probs_NC)
    theirs = compute_confident_joint(given_N, probs_NC, calibrate=False)
    np.testing.assert_array_equal(confident_joint(given_N, probs_NC), theirs)
    in_whole_items = 1 / len(given_N)
    np.testing.assert_allclose(quality.joint_CC, estimate_joint(given_N, probs_NC), atol=in_whole_items)
    suspects_N = find_label_issues(given_N, probs_NC, filter_by="prune_by_noise_rate", n_jobs=1)
    # cleanlab rounds the numbers to prune in another way: one item a pair of labels, at most.
    assert (quality.suspect_N != suspects_N).sum() <= 3
    assert (quality.suspect_N & suspects_N).sum() >= 0.9 * suspects_N.sum()


@pytest.mark.parametrize("seed", range(3))
def test_flipped_labels_are_found_far_above_chance(seed):
    given_N, true_N, probs_NC = simulate(seed, num_items=1000)
    wrong_N = given_N != true_N
    quality = assess_labels(given_N, probs_NC)
    hits = (quality.suspect_N & wrong_N).sum()
    precision, recall = hits / quality.suspect_N.sum(), hits / wrong_N.sum()
    assert precision > 3 * wrong_N.mean()
    assert recall > 3 * quality.suspect_N.mean()
    assert quality.error_rate == pytest.approx(wrong_N.mean(), abs=0.1)
    top = quality.ranking[:30]
    assert wrong_N[top].mean() >= precision
    assert (np.diff(quality.self_confidence_N[quality.ranking]) >= 0).all()


def test_the_noise_that_was_put_in_comes_out():
    random = np.random.default_rng(0)
    confusion_CC = np.array([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.1, 0.0, 0.9]])
    true_N = random.integers(3, size=3000)
    given_N = np.array([random.choice(3, p=confusion_CC[label]) for label in true_N])
    probs_NC = 0.94 * np.eye(3)[true_N] + 0.02
    np.testing.assert_allclose(assess_labels(given_N, probs_NC).confusion, confusion_CC, atol=0.03)


def test_permuting_the_items_permutes_the_result():
    given_N, _, probs_NC = simulate()
    order = np.random.default_rng(1).permutation(len(given_N))
    quality, permuted = assess_labels(given_N, probs_NC), assess_labels(given_N[order], probs_NC[order])
    assert quality.suspect_N[order].tolist() == permuted.suspect_N.tolist()
    np.testing.assert_allclose(quality.joint_CC, permuted.joint_CC, rtol=1e-12)


def test_a_label_that_the_model_agrees_with_is_no_suspect():
    given_N, _, probs_NC = simulate(noise=0.5)
    quality = assess_labels(given_N, probs_NC)
    assert quality.suspect_N.any()
    assert not (quality.suspect_N & (quality.predicted_N == given_N)).any()


def test_right_labels_are_no_suspects():
    labels_N = np.arange(30) % 3
    quality = assess_labels(labels_N, 0.8 * np.eye(3)[labels_N] + 0.2 / 3)
    assert not quality.suspect_N.any()
    assert quality.error_rate == pytest.approx(0.0, abs=1e-12)
    assert quality.ranking.tolist() == []


@pytest.mark.parametrize(
    ("labels", "probs"),
    [
        ([0, 0, 0], [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]),  # one class was given
        ([1], [[0.9, 0.1]]),
        ([0, 1, 2, 1], [[1 / 3] * 3] * 4),  # the model knows nothing
        ([0, 1, 0, 1], [[1.0], [1.0], [1.0], [1.0]]),
    ],
)
def test_degenerate_inputs(labels, probs):
    if len(probs[0]) == 1:
        with pytest.raises(DataError, match="labels from 0 to 1, and 1 classes"):
            assess_labels(np.array(labels), np.array(probs))
        return
    quality = assess_labels(np.array(labels), np.array(probs))
    assert not quality.suspect_N.any()
    assert quality.joint_CC.sum() == pytest.approx(1.0)


def test_labels_of_which_none_is_confident_are_taken_to_be_right():
    labels_N = np.array([0, 0, 1])
    joint_CC = noise_joint(labels_N, np.array([[2, 0], [0, 0]]))
    np.testing.assert_allclose(joint_CC, [[2 / 3, 0], [0, 1 / 3]])


def test_as_many_are_marked_as_the_noise_rate_says():
    probs_NC = np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.9, 0.1], [0.1, 0.9]])
    labels_N = np.array([0, 0, 0, 0, 1])
    joint_CC = np.array([[0.4, 0.4], [0.0, 0.2]])
    assert prune_by_noise_rate(labels_N, probs_NC, joint_CC).tolist() == [True, True, False, False, False]


def test_what_is_not_a_number_is_refused_by_its_place():
    probs_NC = np.array([[0.5, 0.5], [np.nan, 1.0]])
    with pytest.raises(DataError, match="the probabilities of 1 items are not numbers, first item 1"):
        assess_labels(np.array([0, 1]), probs_NC)
    with pytest.raises(DataError, match="do not fit"):
        assess_labels(np.array([0]), probs_NC)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("accuracy", [0.25, 0.4, 0.6])
def test_a_weak_and_conceited_model_accuses_no_correct_label(accuracy, seed):
    random = np.random.default_rng(seed)
    labels_N = random.integers(4, size=150)  # all of them correct
    other_N = (labels_N + random.integers(1, 4, size=150)) % 4
    predicted_N = np.where(random.random(150) < accuracy, labels_N, other_N)
    sure_N = random.uniform(0.6, 1.0, size=150)
    probs_NC = np.repeat(((1 - sure_N) / 3)[:, None], 4, axis=1)
    probs_NC[np.arange(150), predicted_N] = sure_N
    suspect_N = assess_labels(labels_N, probs_NC).suspect_N
    assert suspect_N.sum() > 10, "confident learning alone accuses"
    assert (suspect_N & earned_doubts(labels_N, probs_NC)).sum() <= 2


@pytest.mark.parametrize("seed", range(5))
def test_a_model_that_knows_something_keeps_its_doubts(seed):
    given_N, true_N, probs_NC = simulate(seed, noise=0.1, skill=4.0)
    suspect_N, wrong_N = assess_labels(given_N, probs_NC).suspect_N, given_N != true_N
    kept_N = suspect_N & earned_doubts(given_N, probs_NC)
    assert kept_N.sum() >= 0.9 * suspect_N.sum()
    assert (kept_N & wrong_N).sum() > 0.8 * wrong_N.sum()


def test_the_share_of_agreement_is_that_of_answers_as_sure_or_surer():
    given_N, _, probs_NC = simulate(3, num_items=120)
    sure_N, agrees_N = probs_NC.max(axis=1), probs_NC.argmax(axis=1) == given_N
    surest = sorted(sure_N, reverse=True)[19]
    as_sure = [agrees_N[sure_N >= min(surest, sure)] for sure in sure_N]
    slow = [wilson_interval(int(some.sum()), len(some), 0.95)[0] >= 0.6 for some in as_sure]
    assert sum(slow) > 0
    assert earned_doubts(given_N, probs_NC).tolist() == slow
