"""Two rounds on the same items: against coins counted one by one, and against scipy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from activelora.evaluation.paired import compare, mcnemar

OPTIONS = {"level": 0.95, "num_resamples": 500, "seed": 3}


def answers(rights: list[bool], **columns: list) -> pa.Table:
    labels = [index % 3 for index in range(len(rights))]
    predicted = [label if is_right else (label + 1) % 3 for label, is_right in zip(labels, rights, strict=True)]
    ids = [f"i{index}" for index in range(len(rights))]
    return pa.table({"item_id": ids, "label": labels, "predicted": predicted, **columns})


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (3, 0), (5, 2), (2, 5), (6, 6), (0, 9)])
def test_the_p_value_is_that_of_all_coins(won: int, lost: int) -> None:
    total = won + lost
    heads = [sum(coins) for coins in product((0, 1), repeat=total)]
    extreme = sum(abs(count - total / 2) >= abs(won - total / 2) for count in heads)
    assert mcnemar(won, lost) == pytest.approx(extreme / len(heads))
    if total:
        assert mcnemar(won, lost) == pytest.approx(stats.binomtest(won, total).pvalue)


def test_many_items_are_no_overflow() -> None:
    assert mcnemar(4000, 4000) == 1.0
    assert mcnemar(5000, 3000) < 1e-50


def test_intervals_that_overlap_can_hide_a_gain_that_is_sure() -> None:
    before = [True] * 60 + [False] * 40
    after = [True] * 70 + [False] * 30
    found = compare(answers(before), answers(after), **OPTIONS)
    assert found is not None
    assert (found.num_won, found.num_lost, found.num_items) == (10, 0, 100)
    assert found.gain == pytest.approx(0.1)
    assert found.low <= 0.1 <= found.high
    assert found.is_sure
    few = compare(answers([True] * 60 + [False] * 4), answers([True] * 63 + [False]), **OPTIONS)
    assert few is not None
    assert (few.num_won, few.is_sure) == (3, False)


def test_the_same_gain_is_unsure_where_as_many_items_went_wrong() -> None:
    before = [True] * 50 + [False] * 50
    after = [False] * 20 + [True] * 55 + [False] * 25
    found = compare(answers(before), answers(after), **OPTIONS)
    assert found is not None
    assert (found.num_won, found.num_lost) == (25, 20)
    assert not found.is_sure


def test_items_are_matched_by_their_ids_and_correct_is_taken_where_it_is_said() -> None:
    before, after = answers([True, False, True]), answers([False, True, True]).take([2, 0, 1])
    found = compare(before, after, **OPTIONS)
    assert found is not None
    assert (found.num_won, found.num_lost) == (1, 1)
    said = compare(
        answers([False, False], correct=[True, True]), answers([False, False], correct=[True, False]), **OPTIONS
    )
    assert said is not None
    assert (said.num_won, said.num_lost) == (0, 1)
    assert compare(before, after.slice(0, 0), **OPTIONS) is None


def test_numbers_are_compared_by_rmse() -> None:
    random = np.random.default_rng(0)
    label_N = random.normal(size=200)
    ids = [f"i{index}" for index in range(200)]

    def numbers(spread: float) -> pa.Table:
        return pa.table({"item_id": ids, "label": label_N, "predicted": label_N + spread * random.normal(size=200)})

    before, after = numbers(1.0), numbers(0.5)
    found = compare(before, after, **OPTIONS)
    assert found is not None
    rmse = [np.sqrt(np.mean((np.array(one["predicted"]) - label_N) ** 2)) for one in (before, after)]
    assert found.gain == pytest.approx(rmse[0] - rmse[1])
    assert found.low < found.gain < found.high
    assert found.is_sure
    assert found.p_value is None
    same = compare(before, numbers(1.0), **OPTIONS)
    assert same is not None
    assert not same.is_sure
