"""The smallest detectable difference: against scipy's noncentral t, and by experiments."""

import math

import numpy as np
import pytest
from scipy import stats

from activelora.comparison.power import MeanError, found_with, planned_error, smallest_detectable
from activelora.comparison.statistics import paired_test
from tests.comparison.test_statistics import simulated


@pytest.mark.parametrize("freedom", [2.0, 4.5, 7.0, 60.0])
@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0, 6.0])
def test_the_share_found_is_that_of_the_noncentral_t(freedom, shift):
    critical = stats.t.isf(0.025, freedom)
    expected = stats.nct.sf(critical, freedom, shift) + stats.nct.cdf(-critical, freedom, shift)
    assert found_with(shift, critical, freedom) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(("num_seeds", "num_items"), [(3, 200), (8, 500)])
def test_a_difference_of_that_size_is_found_as_often_as_it_says(num_seeds, num_items):
    """1000 experiments; the test counts the residual twice, so that a little more or less power is no error."""
    error = planned_error(num_seeds, num_items, 0.04, 0.25)
    shift = smallest_detectable(error)
    rng = np.random.default_rng(num_seeds)
    drawn = [
        simulated(rng, num_seeds, num_items, seed_sd=0.04, item_sd=0.25, rest_sd=0.02, shift=shift) for _ in range(1000)
    ]
    found = np.mean([paired_test(differences).p_value < 0.05 for differences in drawn])
    assert found == pytest.approx(0.8, abs=0.07)


def test_the_planned_error_is_that_of_the_model():
    error = planned_error(4, 100, 0.04, 0.2)
    assert error.deviation == pytest.approx(math.sqrt(0.04**2 / 4 + 0.2**2 / 100))
    means = [
        simulated(np.random.default_rng(seed), 4, 100, seed_sd=0.04, item_sd=0.2, rest_sd=0).mean()
        for seed in range(2000)
    ]
    assert error.deviation == pytest.approx(np.std(means), rel=0.05)


def test_more_seeds_find_less_and_more_methods_need_more():
    sizes = [smallest_detectable(planned_error(seeds, 500, 0.04, 0.25)) for seeds in (2, 3, 5, 8, 20)]
    assert sizes == sorted(sizes, reverse=True)
    error = planned_error(8, 500, 0.04, 0.25)
    assert smallest_detectable(error, 5) > smallest_detectable(error, 1)
    assert math.isinf(smallest_detectable(planned_error(1, 500, 0.04, 0.25)))
    assert smallest_detectable(MeanError(0.0, 3.0)) == 0.0
