"""The forecast of whole campaigns, as people read it."""

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.evaluation.forecast import forecast
from activelora.evaluation.headline import ACCURACY
from activelora.kinds.registry import headline_of
from activelora.tracking.report import render_report
from tests.pipelines.conftest import finish_step, make_config


@pytest.fixture
def campaign_of(tmp_path):
    """Return a campaign whose rounds have given accuracies, round 0 first."""

    def build(accuracies, num_holdout=2000.0, **sections):
        sections = {"stopping": {"max_rounds": 20}, **sections}
        campaign = Campaign.create(str(tmp_path / str(len(accuracies))), make_config(**sections))
        finish_step(campaign, "ingest_pool")
        for round_, accuracy in enumerate(accuracies):
            metrics = {"accuracy": accuracy, "ece": 0.1, "nll": 1.0, "num_holdout": num_holdout}
            campaign.attempt(Unit("evaluate_adapter", round_)).commit(metrics)
            for step in ("score_pool", "select_batch", "await_labels"):
                finish_step(campaign, step, round_)
        return campaign

    return build


def law(num_rounds, ceiling=0.95, exponent=0.8):
    return [0.3, *(ceiling - 0.5 * round_**-exponent for round_ in range(1, num_rounds + 1))]


def test_a_target_within_reach(campaign_of):
    found = forecast(campaign_of(law(10), num_holdout=1e7), ACCURACY, 0.9)
    assert found.status == "within_reach"
    needed = 4 * (0.5 / 0.05) ** (1 / 0.8) - 40
    assert found.more_labels == pytest.approx(needed, abs=3)
    assert found.low <= needed <= found.high
    words = (
        f"about {found.more_labels} more labels to reach 90.0 % accuracy (95% interval: {found.low} to {found.high})"
    )
    assert found.sentence == words


def test_a_small_holdout_gives_no_upper_end_and_says_so(campaign_of):
    found = forecast(campaign_of(law(5), num_holdout=100.0), ACCURACY, 0.93)
    assert found.high is None
    assert "no upper end" in found.sentence or "if at all" in found.sentence


def test_a_target_out_of_reach(campaign_of):
    found = forecast(campaign_of(law(10, ceiling=0.8), num_holdout=1e7), ACCURACY, 0.9)
    assert (found.status, found.more_labels, found.high) == ("out_of_reach", None, None)
    assert found.sentence.startswith("the curve does not reach 90.0 % accuracy: with 10 times the 40 labels it comes")


def test_a_target_that_is_reached(campaign_of):
    found = forecast(campaign_of([0.3, 0.92]), ACCURACY, 0.9)
    assert (found.status, found.more_labels) == ("reached", 0)
    assert found.sentence == "90.0 % accuracy is reached: 92.0 % with 4 labels"


@pytest.mark.parametrize("accuracies", [[], [0.3]])
def test_before_any_training_there_is_nothing_to_forecast(campaign_of, accuracies):
    found = forecast(campaign_of(accuracies), ACCURACY, 0.99)
    assert found.status == "too_few_rounds"
    assert found.sentence == "nothing to forecast yet: no round is trained, and a curve needs 4"


@pytest.mark.parametrize("num_rounds", [1, 2, 3])
@pytest.mark.parametrize("exponent", [0.1, 0.5, 1.0])
def test_few_rounds_give_a_range_that_holds_what_comes(campaign_of, num_rounds, exponent):
    curve = [0.3, *(1 - 0.5 * round_**-exponent for round_ in range(1, 7))]
    found = forecast(campaign_of(curve[: num_rounds + 1]), ACCURACY)
    assert found.status == "range"
    assert found.low <= curve[2 * num_rounds] <= found.high
    rounds = "1 trained round makes" if num_rounds == 1 else f"{num_rounds} trained rounds make"
    assert f"{rounds} no curve, which needs 4" in found.sentence
    assert found.value is None, "a range is no estimate"


def test_few_rounds_say_how_many_labels_a_target_takes_at_least(campaign_of):
    found = forecast(campaign_of([0.3, 0.5], num_holdout=1e7), ACCURACY, 0.9)
    assert (found.status, found.more_labels, found.high) == ("range", None, None)
    assert found.low == pytest.approx(4 * 5 - 4, abs=1)  # a fifth of the error takes five times the labels
    assert f"at least {found.low} more labels, if any number, reach 90.0 % accuracy" in found.sentence
    never = forecast(campaign_of([0.3, 0.5]), ACCURACY, 1.0)
    assert "no number of labels is sure to reach 100.0 % accuracy" in never.sentence


def test_the_target_is_the_campaign_file_s(campaign_of):
    campaign = campaign_of(law(6), stopping={"max_rounds": 20, "target_accuracy": 0.91})
    assert forecast(campaign, ACCURACY).target == 0.91
    assert forecast(campaign, ACCURACY, 0.94).target == 0.94


def test_without_a_target_it_says_what_twice_the_labels_bring(campaign_of):
    found = forecast(campaign_of(law(10), num_holdout=1e7), ACCURACY)
    assert found.status == "value"
    assert found.value == pytest.approx(0.95 - 0.5 * 20**-0.8, abs=2e-3)
    assert found.low <= found.value <= found.high
    assert found.sentence.startswith("40 more labels, twice as many, would bring accuracy to about 90.")


def test_the_report_shows_it(campaign_of):
    campaign = campaign_of([])
    assert "Forecast" not in render_report(campaign, {})


def test_a_label_that_was_never_found_is_not_infinitely_sure_not_to_be(tmp_path):
    """F1 is 0 there on every resample: such a round must not outweigh all that come after it."""
    evaluation = {"primary": "f_beta", "positive_label": "dog"}
    config = make_config(evaluation=evaluation, stopping={"max_rounds": 20})
    campaign, headline = Campaign.create(str(tmp_path), config), headline_of(config)
    finish_step(campaign, "ingest_pool")
    for round_, value in enumerate([0.0, 0.0, 0.0, 0.3, 0.45, 0.52, 0.56]):
        metrics = {"accuracy": 0.98, "f_beta": value, "f_beta_low": value * 0.8, "f_beta_high": min(1.0, value * 1.2)}
        metrics |= {"num_holdout": 1000.0, "num_positive": 50.0, "ece": 0.1, "nll": 1.0}
        campaign.attempt(Unit("evaluate_adapter", round_)).commit(metrics)
        for step in ("score_pool", "select_batch", "await_labels"):
            finish_step(campaign, step, round_)
        if round_ == 2:
            early = forecast(campaign, headline)
            assert early.status == "range"
            assert early.low == 0.0
            assert early.high > 0.3, "a label found nowhere on 50 items may be found twice as often with luck"
    found = forecast(campaign, headline)
    assert (found.status, found.metric) == ("value", "f_beta")
    assert found.low < found.value < found.high
    assert found.value > 0.4
    assert "F1 of dog" in found.sentence
    assert forecast(campaign, headline, 0.5).status == "reached"
