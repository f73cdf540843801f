"""Equal items go by the round's seeded draw, whatever the strategy and the pool's order; others as ever."""

import numpy as np

from activelora.acquisition.ties import chooser, ranking
from activelora.seeding import item_draw

IDS = [f"item{number:03d}" for number in range(40)]


def test_the_ranking_is_that_of_a_sort_by_score_and_draw():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, 40).astype(float)
    slow = sorted(range(40), key=lambda row: (-scores[row], item_draw(5, IDS[row])))
    assert ranking(scores, IDS, 5).tolist() == slow
    assert ranking(scores, IDS, 6).tolist() != slow
    by_id = sorted(range(40), key=lambda row: (-scores[row], IDS[row]))
    assert ranking(scores, IDS, None).tolist() == by_id
    assert ranking(np.array([]), [], 5).tolist() == []


def test_the_pool_s_order_does_not_matter_and_without_ties_the_seed_does_not():
    rng = np.random.default_rng(1)
    shuffled = rng.permutation(40)
    for scores in (rng.integers(0, 4, 40).astype(float), rng.random(40)):
        plain = [IDS[row] for row in ranking(scores, IDS, 3)]
        ids = [IDS[row] for row in shuffled]
        assert [ids[row] for row in ranking(scores[shuffled], ids, 3)] == plain
    assert ranking(scores, IDS, 3).tolist() == ranking(scores, IDS, 4).tolist() == np.argsort(-scores).tolist()


def test_the_chooser_takes_the_least_draw():
    rows = np.array([4, 9, 30])
    assert chooser(IDS, 5)(rows) == min(rows.tolist(), key=lambda row: item_draw(5, IDS[row]))
    assert chooser(IDS, 5)(rows[:1]) == 4
    assert len({chooser(IDS, seed)(rows) for seed in range(20)}) == 3
