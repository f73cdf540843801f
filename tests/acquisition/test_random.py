"""The random control: uniform, and the same whatever the pool's order."""

from collections import Counter

from activelora.acquisition.random import draw

IDS = tuple("abcdefgh")


def test_every_item_is_drawn_equally_often():
    counts = Counter(IDS[index] for seed in range(4000) for index in draw(IDS, 2, seed))
    expected = 4000 * 2 / 8
    chi_squared = sum((counts[name] - expected) ** 2 / expected for name in IDS)
    assert chi_squared < 24.3  # 0.1 % of a chi-squared with 7 degrees of freedom


def test_every_order_of_a_pair_is_drawn_equally_often():
    counts = Counter(tuple(draw(IDS[:3], 2, seed)) for seed in range(3000))
    assert len(counts) == 6
    assert sum((count - 500) ** 2 / 500 for count in counts.values()) < 20.5  # 5 degrees of freedom


def test_other_seeds_give_other_batches():
    batches = {tuple(draw(IDS, 4, seed)) for seed in range(20)}
    assert len(batches) > 15


def test_an_item_that_leaves_the_pool_does_not_change_the_order_of_the_rest():
    order = [IDS[index] for index in draw(IDS, 8, 5)]
    smaller = tuple(name for name in IDS if name != order[0])
    assert [smaller[index] for index in draw(smaller, 8, 5)] == order[1:]
