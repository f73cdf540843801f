"""Agreement of annotators, against published examples, other libraries and pair counting."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from activelora.labeling.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha, measure


def votes_of(table: dict[str, dict[str, int]]) -> list[dict[str, object]]:
    return [
        {"annotator": name, "item_id": item, "label": label}
        for name, given in table.items()
        for item, label in given.items()
    ]


FLEISS_EXAMPLE = [
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
]  # fmt: skip


def test_fleiss_kappa_of_the_textbook_example():
    units = [[label for label, count in enumerate(row) for _ in range(count)] for row in FLEISS_EXAMPLE]
    assert fleiss_kappa(units) == pytest.approx(0.210, abs=5e-4)


def test_krippendorffs_alpha_of_his_own_example():
    # Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", example C.
    rows = ["1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."]
    columns = zip(*(row.split() for row in rows), strict=True)
    units = [[int(value) for value in column if value != "."] for column in columns]
    paired = [unit for unit in units if len(unit) > 1]
    assert krippendorff_alpha(paired) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(paired, "interval") == pytest.approx(0.849, abs=5e-4)


def test_cohens_kappa_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = rng.integers(0, 3, 30).tolist(), rng.integers(0, 3, 30).tolist()
        assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))


def test_alpha_is_one_minus_observed_over_expected_disagreement():
    rng = np.random.default_rng(1)
    units = [rng.integers(0, 4, rng.integers(2, 5)).tolist() for _ in range(40)]
    values = [label for unit in units for label in unit]
    observed = sum(sum(2 * (a != b) for a, b in combinations(unit, 2)) / (len(unit) - 1) for unit in units) / len(
        values
    )
    expected = sum(2 * (a != b) for a, b in combinations(values, 2)) / (len(values) * (len(values) - 1))
    assert krippendorff_alpha(units) == pytest.approx(1 - observed / expected)


def test_perfect_agreement_and_a_single_label():
    assert fleiss_kappa([[0, 0], [1, 1]]) == pytest.approx(1.0)
    assert krippendorff_alpha([[0, 0], [1, 1]]) == pytest.approx(1.0)
    assert fleiss_kappa([[1, 1], [1, 1]]) == krippendorff_alpha([[1, 1], [1, 1]]) == cohen_kappa([1], [1]) == 1.0


def test_without_overlap_there_is_no_agreement_to_speak_of():
    found = measure(votes_of({"ann": {"x": 0}, "bob": {"y": 1}}), {"x": 0, "y": 1})
    assert (found.alpha, found.fleiss_kappa, found.num_overlapping, found.metrics) == (None, None, 0, {})
    assert found.annotators["ann"].agreement is None
    assert measure([], {}).annotators == {}


def test_each_annotator_is_compared_with_the_label_and_with_the_others():
    table = {
        "ann": {"w": 0, "x": 0, "y": 1, "z": 1},
        "bob": {"w": 0, "x": 0, "y": 1, "z": 1},
        "cat": {"w": 1, "x": 0, "y": 0, "z": 1},
    }
    found = measure(votes_of(table), {"w": 0, "x": 0, "y": 1, "z": 1}, skips={"bob": 2}, gold={"cat": (1, 4)})
    assert [found.annotators[name].agreement for name in ("ann", "bob", "cat")] == [1.0, 1.0, 0.5]
    assert found.annotators["ann"].kappa == pytest.approx((1.0 + 0.0) / 2)
    assert found.annotators["cat"].kappa == pytest.approx(0.0)
    assert found.annotators["bob"].num_skipped == 2
    assert found.metrics["gold_accuracy"] == found.annotators["cat"].gold_accuracy == 0.25
    assert found.as_json()["annotators"]["cat"]["num_gold"] == 4


def test_answers_to_items_without_a_label_and_texts():
    found = measure(votes_of({"ann": {"x": "a"}, "bob": {"x": "b"}}), {})
    assert found.annotators["ann"].agreement is None
    assert found.num_overlapping == 1
    assert found.fleiss_kappa == pytest.approx(-1.0)
