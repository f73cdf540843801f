import pytest

from benchmarks.batch_bald import before_filling


@pytest.mark.parametrize(
    ("ranking", "picks"),
    [
        ([5, 9, 0, 0, 0], [5, 9]),
        ([0, 9, 5], [0, 9, 5]),
        ([5, 0, 9, 0, 0], [5, 0, 9]),
        ([5, 9, 0], [5, 9, 0]),
        ([0, 0, 0], []),
    ],
)
def test_zeros_that_fill_a_ranking_up_are_no_picks(ranking, picks):
    assert before_filling(ranking) == picks
