from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from activelora.pool.split import draw, largest_remainder, stratified

COUNTS = st.dictionaries(st.integers(0, 9), st.integers(1, 60), min_size=1)


@st.composite
def counts_and_size(draw):
    counts = draw(COUNTS)
    return counts, draw(st.integers(0, sum(counts.values())))


@given(counts_and_size())
def test_every_label_gets_its_share_to_within_one(given_):
    counts, size = given_
    quotas = largest_remainder(counts, size)
    assert sum(quotas.values()) == size
    for label, count in counts.items():
        assert abs(quotas[label] - Fraction(size * count, sum(counts.values()))) < 1
        assert quotas[label] <= count


def test_largest_remainder_by_hand():
    # Exact shares of 10: 5.5, 3.0, 1.5. One place is left; the remainders tie, the smaller label has it.
    assert largest_remainder({0: 11, 1: 6, 2: 3}, 10) == {0: 6, 1: 3, 2: 1}
    assert largest_remainder({}, 0) == {}


@given(counts_and_size(), st.integers(0, 99), st.randoms())
def test_a_draw_does_not_depend_on_the_order(given_, seed, random):
    counts, size = given_
    labels = {f"{label}-{n}": label for label, count in counts.items() for n in range(count)}
    shuffled = list(labels.items())
    random.shuffle(shuffled)
    drawn = stratified(labels, size, seed)
    assert drawn == stratified(dict(shuffled), size, seed)
    assert Counter(labels[item_id] for item_id in drawn) == +Counter(largest_remainder(counts, size))
    assert draw(labels, size, seed) == draw(dict(shuffled), size, seed)


def test_draws_are_uniform_nested_and_differ_by_seed():
    ids = [str(n) for n in range(1000)]
    assert draw(ids, 10, 0) == draw(ids, 100, 0)[:10]
    assert draw(ids, 2000, 0) != ids
    assert sorted(draw(ids, 2000, 0)) == sorted(ids)
    hits = Counter(item_id for seed in range(60) for item_id in draw(ids[:20], 10, seed))
    assert all(15 <= hits[item_id] <= 45 for item_id in ids[:20])
