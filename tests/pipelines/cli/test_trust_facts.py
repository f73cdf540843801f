"""What `check` says of posterior and calibration split."""

import pytest

from pipelines.cli.trust_facts import calibration_fact, posterior_facts, scoring_facts, steps_warnings
from tests.config.test_campaign import config


@pytest.mark.parametrize(
    ("adapter", "evaluation", "said"),
    [
        ({}, {}, ["`lora` is evaluated as it is, without dropout's samples (evaluation.num_samples is 0)"]),
        ({}, {"num_samples": 4}, ["evaluated by the mean of 4 samples of `lora` (evaluation.num_samples)"]),
        ({"method": "ensemble", "ensemble": {"members": 3}}, {}, ["evaluated by the mean of 3 members"]),
        (
            {"method": "ensemble", "ensemble": {"members": 3}},
            {"num_samples": 2},
            ["evaluated by the mean of 2 members"],
        ),
        (
            {"method": "laplace", "constraint": {"form": "none"}},
            {},
            ["evaluated by the mean of 32 samples of `laplace` (evaluation.num_samples)"],
        ),
        (
            {"method": "blob", "constraint": {"form": "none"}},
            {"num_samples": 0},
            ["evaluated without samples of `blob`'s posterior (evaluation.num_samples is 0)"],
        ),
        (
            {"c_lora": {"preset": "paper_code"}},
            {},
            ["evaluated by the mean of 10 samples of `c_lora` (evaluation.num_samples)"],
        ),
    ],
)
def test_the_posterior_that_is_evaluated_is_said(adapter, evaluation, said):
    assert [text for _, text in posterior_facts(config(adapter=adapter, evaluation=evaluation))] == said


@pytest.mark.parametrize(
    ("acquisition", "scoring", "said"),
    [
        ({"strategy": "random"}, {}, []),
        ({"strategy": "entropy"}, {}, ["8 samples an item (scoring.num_samples)"]),
        (
            {"strategy": "batch_bald"},
            {},
            ["32 samples an item (scoring.num_samples): `batch_bald` goes by how far they disagree"],
        ),
        (
            {"measure": "bald"},
            {"num_samples": 8},
            [
                "8 samples an item (scoring.num_samples): `star` goes by how far they disagree; 32 or more rank with "
                "less noise"
            ],
        ),
    ],
)
def test_how_many_samples_score_the_pool_is_said(acquisition, scoring, said):
    assert [text for _, text in scoring_facts(config(acquisition=acquisition, scoring=scoring))] == said


@pytest.mark.parametrize(
    ("adapter", "training", "begins"),
    [
        ({"method": "lora"}, {"min_steps": 2}, []),
        ({"method": "blob"}, {}, []),
        ({"method": "blob"}, {"min_steps": 119}, ["training.min_steps: the first round trains 119 steps"]),
        ({"method": "blob"}, {"min_steps": 2, "max_steps": 200}, []),  # the loss decides
        ({"method": "blob"}, {"min_steps": 0, "epochs": 200.0}, []),
        ({"method": "c_lora"}, {}, ["adapter.method: with 60, 120, 240 and 480 steps"]),
        ({"c_lora": {"preset": "paper_code"}}, {}, []),
    ],
)
def test_steps_at_which_plain_lora_is_worth_more_are_said(adapter, training, begins):
    found = list(steps_warnings(config(adapter=adapter, training=training)))
    assert [text[: len(start)] for text, start in zip(found, begins, strict=True)] == begins


ALONE = "answers given alone with at most 5 % mistakes"


@pytest.mark.parametrize(
    ("num", "evaluation", "said"),
    [
        (0, {}, "0 items: no temperature, no prediction sets, nothing is answered alone"),
        (16, {}, f"16 items for the temperature; 90 % prediction sets need 18 items; {ALONE} need 90 items"),
        (31, {}, f"31 items: 15 for the temperature, 16 for 90 % prediction sets; {ALONE} need 90 items"),
        (100, {}, f"100 items: 50 for the temperature, 50 for 90 % prediction sets and {ALONE}"),
        (
            100,
            {"conformal": {"method": "none"}, "abstention": {"max_risk": None}},
            "100 items for the temperature",
        ),
        (
            100,
            {"conformal": {"alpha": 0.01}},
            f"100 items: 50 for the temperature, 50 for {ALONE}; 99 % prediction sets need 198 items",
        ),
    ],
)
def test_what_the_calibration_split_is_for_is_said(num, evaluation, said):
    assert calibration_fact(config(evaluation=evaluation), num) == ("calibration", said)
