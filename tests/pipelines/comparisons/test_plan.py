"""What `compare` says before it starts."""

import math
import re

import pytest

from activelora.campaign.records import Item
from activelora.comparison.measured import Method
from activelora.comparison.power import ITEM_DEVIATION, SEED_DEVIATION, MeanError, planned_error, smallest_detectable
from activelora.pool.inspect import DataSummary
from pipelines.comparisons.grid import Cell
from pipelines.comparisons.plan import plan
from tests.pipelines.conftest import make_config


def planned(tmp_path, num_seeds, num_pool=1000, num_holdout=500, strategies=("random", "star"), **settings):
    cells = [
        Cell(Method(strategy, "lora"), seed, make_config(seed=seed, **settings), tmp_path)
        for seed in range(num_seeds)
        for strategy in strategies
    ]
    data = DataSummary(num_pool, num_holdout, 0, 0, 0, 0, {}, 10, Item("a", {"text": "a"}), ())
    return cells[0].config.label_budget, plan(cells, data)


def test_the_smallest_detectable_difference_is_that_of_the_test(tmp_path):
    _, lines = planned(tmp_path, 8, strategies=("random", "star", "bald"))
    expected = smallest_detectable(planned_error(8, 500, SEED_DEVIATION, ITEM_DEVIATION), 2)
    assert float(re.search(r"about ([\d.]+) points", lines[1])[1]) == pytest.approx(100 * expected, abs=0.06)
    assert lines[0].startswith("3 methods × 8 seeds: 24 campaigns of ")
    assert not [line for line in lines if line.startswith("warning")]


def test_hopeless_plans_are_warned_about_with_the_seeds_that_would_do(tmp_path):
    _, lines = planned(tmp_path, 3)
    warning = next(line for line in lines if line.startswith("warning"))
    enough = int(re.search(r"(\d+) seeds would find", warning)[1])
    errors = [planned_error(seeds, 500, SEED_DEVIATION, ITEM_DEVIATION) for seeds in (enough - 1, enough)]
    assert smallest_detectable(errors[1]) <= 0.08 < smallest_detectable(errors[0])
    assert "one seed cannot tell" in planned(tmp_path, 1)[1][1]
    assert "a larger holdout is needed" in planned(tmp_path, 8, num_holdout=20)[1][2]
    assert "more than there can be" in planned(tmp_path, 2, strategies=("random", "star", "bald", "margin"))[1][1]


def test_of_a_metric_that_is_no_share_the_difference_is_told_in_standard_deviations_by_seed(tmp_path):
    _, lines = planned(tmp_path, 8, evaluation={"primary": "macro_f1"})
    expected = smallest_detectable(MeanError(1 / math.sqrt(8), 7))
    assert float(re.search(r"macro-F1: about ([\d.]+) times the standard", lines[1])[1]) == round(expected, 1)
    assert not [line for line in lines if line.startswith("warning")]
    _, lines = planned(tmp_path, 3, evaluation={"primary": "nll"})
    enough = int(re.search(r"(\d+) seeds would find 2 standard deviations", lines[2])[1])
    sizes = [smallest_detectable(MeanError(1 / math.sqrt(seeds), seeds - 1)) for seeds in (enough - 1, enough)]
    assert sizes[1] <= 2 < sizes[0]
    assert "one seed cannot tell" in planned(tmp_path, 1, evaluation={"primary": "nll"})[1][1]


def test_self_training_that_would_never_begin_is_warned_about(tmp_path):
    def warned(max_rounds):
        config = make_config(stopping={"max_rounds": max_rounds}, labeling={"source": "oracle"})
        cells = [Cell(Method(name, "lora"), 0, config, tmp_path) for name in ("random", "random+self_training")]
        return [line for line in plan(cells, None) if line.startswith("warning")]

    assert warned(2) == []
    (line,) = warned(1)
    assert "random+self_training: the pseudo-labels of `self_training` begin in round 2" in line
    assert "round 1 is the last" in line


def test_a_budget_that_takes_most_of_the_pool_is_warned_about(tmp_path):
    budget, lines = planned(tmp_path, 8)
    assert not [line for line in lines if "of the pool" in line]
    _, lines = planned(tmp_path, 8, num_pool=2 * budget)
    assert f"the budget of {budget} labels is 50% of the pool of {2 * budget} items" in lines[-1]
