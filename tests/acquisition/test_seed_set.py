"""Round 0's batch: which strategy draws it, and when the pool is scored for it."""

from __future__ import annotations

import pytest

from activelora.acquisition.compatibility import misfits
from activelora.acquisition.registry import STRATEGIES, strategies_of
from activelora.acquisition.seed_set import SEED_STRATEGIES, acquisition_in, is_scored
from activelora.config import AcquisitionConfig
from activelora.config.file import parse_config
from activelora.kinds.registry import get_kind


def test_only_round_zero_has_another_strategy():
    config = AcquisitionConfig(strategy="badge", initial="typiclust")
    assert [acquisition_in(config, round_).strategy for round_ in range(3)] == ["typiclust", "badge", "badge"]
    own = AcquisitionConfig(strategy="badge", initial="strategy")
    assert acquisition_in(own, 0) == own


@pytest.mark.parametrize("initial", sorted(SEED_STRATEGIES))
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_the_seed_set_does_not_depend_on_the_strategy(initial, strategy):
    config = acquisition_in(AcquisitionConfig(strategy=strategy, initial=initial), 0)
    assert config == acquisition_in(AcquisitionConfig(strategy="random", initial=initial), 0)
    assert [one.name for one in strategies_of(config)] == [SEED_STRATEGIES[initial]]


def test_a_random_seed_set_needs_no_scores_but_for_strategies_that_read_the_base_model_later():
    scored = {name: is_scored(AcquisitionConfig(strategy=name), 0) for name in STRATEGIES}
    assert {name for name, is_ in scored.items() if is_} == {"star"}
    assert {name for name in STRATEGIES if not is_scored(AcquisitionConfig(strategy=name), 1)} == {"random"}
    assert is_scored(AcquisitionConfig(strategy="random", initial="zero_shot"), 0)


@pytest.mark.parametrize(
    ("initial", "measure", "keys"),
    [
        ("zero_shot", "predictive_entropy", ["acquisition.measure"]),
        ("zero_shot", "token_entropy", []),
        ("random", "predictive_entropy", []),
        ("typiclust", "predictive_entropy", []),
    ],
)
def test_a_zero_shot_seed_set_needs_a_measure_of_the_task(initial, measure, keys):
    acquisition = {"strategy": "core_set", "initial": initial, "measure": measure}
    document = {"name": "test", "task": {"kind": "generation", "prompt": "{text}"}, "data": {"pool": {"path": "-"}}}
    config = parse_config({**document, "acquisition": acquisition}, where="test", is_frozen=True)
    assert [one.key for one in misfits(config, get_kind("generation"))] == keys


def test_a_random_seed_set_has_no_floor_for_classes_that_nobody_predicts():
    config = AcquisitionConfig(strategy="entropy", per_class_floor=2)
    assert acquisition_in(config, 0).per_class_floor == 0
    assert acquisition_in(config.model_copy(update={"initial": "zero_shot"}), 0).per_class_floor == 2
