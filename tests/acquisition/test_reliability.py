"""The halves' tops against plain sorting, whatever the shards."""

import numpy as np
import pyarrow as pa
import pytest

from activelora.acquisition.reliability import HALVES, Halves, words
from activelora.scoring.table import score_table
from activelora.uncertainty.measures import bald
from tests.acquisition.conftest import drawn_log_probs

IDS = [f"item{number:02d}" for number in range(40)]


def found(log_probs_NKC, shards, num=10, ids=IDS):
    halves = Halves()
    for rows in np.array_split(np.arange(len(IDS)), shards):
        halves.add(score_table([IDS[row] for row in rows], log_probs_NKC[rows], halved="bald"))
    return halves.metrics(ids, num, log_probs_NKC.shape[1], seed=3)


@pytest.mark.parametrize("num_samples", [4, 7, 8])
def test_what_two_halves_share_is_that_of_plain_sorting_for_any_number_of_shards(num_samples):
    log_probs = drawn_log_probs(2, num_samples=num_samples)
    even = num_samples // 2 * 2
    tops = [set(np.argsort(-bald(log_probs[:, half:even:2]))[:10].tolist()) for half in (0, 1)]
    expected = {
        "halves_shared": len(tops[0] & tops[1]),
        "halves_compared": 10,
        "halves_samples": num_samples // 2,
    }
    assert 0 < expected["halves_shared"] < 10
    for shards in (1, 3, 5):
        assert found(log_probs, shards) == expected
    assert found(log_probs, 2, ids=IDS[:12])["halves_shared"] >= 8, "labelled items do not count"


def test_samples_that_agree_share_all_and_few_samples_have_no_halves():
    same = np.repeat(drawn_log_probs(2, num_samples=1), 8, axis=1) + 0.0
    table = score_table(IDS, same, halved="predictive_entropy")
    halves = Halves()
    halves.add(table)
    assert halves.metrics(IDS, 10, 8, seed=3)["halves_shared"] == 10
    assert not set(HALVES) & set(score_table(IDS, same[:, :3], halved="bald").column_names)
    assert found(drawn_log_probs(0, num_samples=3), 1) == {}
    empty = Halves()
    empty.add(pa.table({"item_id": IDS}))
    assert empty.metrics(IDS, 10, 8, seed=3) == {}


def test_the_words_have_the_remedy_where_little_is_shared():
    metrics = {"halves_shared": 9.0, "halves_compared": 25.0, "halves_samples": 8.0}
    assert words(metrics) == "two draws of 8 samples share 9 of 25 picks: ask for more (scoring.num_samples)"
    assert words({**metrics, "halves_shared": 22.0}) == "two draws of 8 samples share 22 of 25 picks"
    assert words({}) == ""
