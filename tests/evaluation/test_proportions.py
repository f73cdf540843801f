"""Score intervals of shares against scipy and published numbers."""

import pytest
from scipy.stats import binomtest

from activelora.evaluation.proportions import difference_interval
from activelora.intervals import wilson_interval


@pytest.mark.parametrize(("successes", "total"), [(0, 1), (1, 1), (0, 12), (3, 12), (12, 12), (81, 263), (15, 148)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_wilsons_interval_is_scipys(successes, total, level):
    expected = binomtest(successes, total).proportion_ci(level, method="wilson")
    low, high = wilson_interval(successes, total, level)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= low <= successes / total <= high <= 1


@pytest.mark.parametrize(("successes", "total"), [(1, 0), (-1, 3), (4, 3)])
def test_counts_that_cannot_be_are_refused(successes, total):
    with pytest.raises(ValueError, match=f"{successes} of {total} is no share"):
        wilson_interval(successes, total, 0.95)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
    ],
)
def test_the_differences_interval_is_newcombes(one, other, expected):
    """Table II of Newcombe 1998, method 10."""
    assert difference_interval(one, other, 0.95) == pytest.approx(expected, abs=6e-5)


def test_the_difference_is_antisymmetric():
    low, high = difference_interval((7, 20), (11, 25), 0.9)
    assert difference_interval((11, 25), (7, 20), 0.9) == pytest.approx((-high, -low))
