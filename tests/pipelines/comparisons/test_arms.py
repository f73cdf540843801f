"""Names of compared methods."""

import pytest

from activelora.acquisition.registry import STRATEGIES
from activelora.acquisition.seed_set import SEED_STRATEGIES
from activelora.errors import ConfigError
from pipelines.comparisons.arms import SEED_SETS, Arm, parse_arm


@pytest.mark.parametrize("strategy", ["random", "entropy", "anybody_s"])
@pytest.mark.parametrize("initial", ["", *SEED_SETS])
@pytest.mark.parametrize("trains_itself", [False, True])
def test_what_is_put_together_is_taken_apart(strategy, initial, trains_itself):
    name = "+".join([*([initial] if initial else []), strategy, *(["self_training"] if trains_itself else [])])
    assert parse_arm(name) == Arm(strategy, initial, trains_itself)


def test_seed_sets_are_those_of_the_settings():
    assert {*SEED_SETS} == {*SEED_STRATEGIES, "strategy"}
    assert "self_training" not in {*SEED_SETS, *STRATEGIES}


def test_settings_are_those_that_the_name_says():
    assert parse_arm("entropy").settings() == ["acquisition.strategy=entropy"]
    assert parse_arm("typiclust+entropy+self_training").settings() == [
        "acquisition.strategy=entropy",
        "acquisition.initial=typiclust",
        "training.self_training={}",
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("self_training", "`self_training` is no strategy: it comes last, once, after one"),
        ("self_training+entropy", "`self_training` is no strategy: it comes last, once, after one"),
        ("entropy+self_training+self_training", "`self_training` is no strategy: it comes last, once, after one"),
        ("+entropy", "names nothing beside a `+`"),
        ("+self_training", "names nothing beside a `+`"),
        ("random++entropy", "names nothing beside a `+`"),
        ("random+", "names nothing beside a `+`"),
        ("entropy+self_trainning", "there is no `self_trainning`; did you mean `self_training`?"),
        ("typiclust+entropy+selftraining", "there is no `selftraining`; did you mean `self_training`?"),
        ("random+entropy+margin", "names `random`, `entropy`, `margin`, where a seed set and a strategy may stand"),
        ("entropy+random", "`entropy` draws no seed set"),
        ("typi_clust+entropy", "`typi_clust` draws no seed set; did you mean `typiclust`?"),
    ],
)
def test_other_forms_are_refused_with_what_may_stand_there(name, words):
    with pytest.raises(ConfigError) as caught:
        parse_arm(name)
    assert caught.value.where == f"--strategies {name}"
    assert caught.value.problem == words
    assert "SEED_SET+STRATEGY+self_training" in caught.value.remedy
    assert "SEED_SET one of random, typiclust, probcover, zero_shot, strategy." in caught.value.remedy
