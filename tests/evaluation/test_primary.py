"""What a campaign is judged by, where that is not accuracy: gates, targets, plateaus and paired rounds go by it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import average_precision_score

from activelora.campaign.stopping import PRIMARY, Judged, plateau_reached, target_reached
from activelora.config import CampaignConfig, GatesConfig
from activelora.config.stopping import StoppingConfig
from activelora.errors import ConfigError, ProblemsError
from activelora.evaluation.gates import gate_failures
from activelora.evaluation.headline import ACCURACY, Headline
from activelora.evaluation.headline_values import noted, shown
from activelora.evaluation.item_scores import item_scores
from activelora.evaluation.paired import compare_metric
from activelora.evaluation.primary import Wanted, statistic_of
from activelora.kinds.registry import headline_of, wanted_of
from activelora.rules.file import checked_config

SPAM = {"prompt": "Text: {text}\nIs it", "labels": ["ham", "spam"]}
RATING = {"kind": "regression", "prompt": "{text}", "minimum": 0, "maximum": 5}


def config_of(task: dict[str, Any] = SPAM, stopping: dict[str, Any] | None = None, **evaluation: Any) -> CampaignConfig:
    document = {"name": "mail", "task": task, "data": {"pool": {"path": "mail.csv"}}, "evaluation": evaluation}
    return checked_config(document | {"stopping": stopping or {}}, where="mail.yaml")


def headline(primary: str, **more: Any) -> Headline:
    return headline_of(config_of(primary=primary, **more))


def test_without_a_primary_metric_and_with_accuracy_nothing_is_as_if_it_were_set() -> None:
    assert headline_of(config_of()) is ACCURACY
    assert headline("accuracy") is ACCURACY
    assert wanted_of(config_of()) == wanted_of(config_of(primary="accuracy")) == Wanted()


def test_the_name_says_label_beta_and_precision() -> None:
    assert headline("f_beta", positive_label="Spam", beta=2).word == "F2 of Spam"
    found = headline("recall_at_precision", positive_label="spam", required_precision=0.95)
    assert found.title == "Recall at 95 % precision of spam"
    assert [name for name, _ in found.columns] == ["recall_at_precision", "accuracy", "ece", "nll"]
    assert shown(found, 0.5) == "50.0 %"
    assert [name for name, _ in headline("nll").columns] == ["nll", "accuracy", "ece"]


@pytest.mark.parametrize(
    ("task", "evaluation", "stopping", "said"),
    [
        (
            SPAM,
            {"primary": "f1"},
            {},
            "evaluation.primary`: a classification task is not measured by `f1`. Use one of `acc",
        ),
        (
            RATING,
            {"primary": "mcc"},
            {},
            "a regression task is not measured by `mcc`. Use one of `rmse`, `mae`, `nll`.",
        ),
        (
            SPAM,
            {"primary": "f_beta"},
            {},
            "`f_beta` is about one label, and none is named. Name the label that counts, one of `ham`, `spam`",
        ),
        (
            SPAM,
            {"primary": "f_beta", "positive_label": "spma"},
            {},
            "positive_label`: 'spma' is none of the labels. Use one of `ham`, `spam`",
        ),
        (RATING, {"positive_label": "spam"}, {}, "a regression task is measured by no metric of one label"),
        (SPAM, {"beta": 2}, {}, "`evaluation.beta`: it is about the label `evaluation.positive_label`, and none is"),
        (SPAM, {"required_precision": 0.5}, {}, "`evaluation.required_precision`: it is about the label"),
        (SPAM, {"primary": "macro_f1"}, {"target_primary": 80}, "macro-F1 lies above 0 and at most at 1, not at 80"),
        (SPAM, {"gates": {"primary": -1}}, {}, "`evaluation.gates.primary`: accuracy lies above 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    task: dict[str, Any], evaluation: dict[str, Any], stopping: dict[str, Any], said: str
) -> None:
    with pytest.raises(ProblemsError) as caught:
        config_of(task, stopping, **evaluation)
    assert len(caught.value.problems) == 1
    assert said in str(caught.value.problems[0])


def test_a_bare_yes_of_yaml_is_the_label() -> None:
    task = {"kind": "yes_no", "prompt": "{text}?"}
    assert wanted_of(config_of(task, primary="average_precision", positive_label=True)).positive == 1
    assert wanted_of(config_of(task, primary="average_precision", positive_label="NO")).positive == 0


def test_a_label_that_was_none_is_refused_where_it_is_read_too() -> None:
    frozen = config_of(primary="f_beta", positive_label="spam")
    other = frozen.model_copy(update={"task": frozen.task.model_copy(update={"labels": ("a", "b")})})
    with pytest.raises(ConfigError, match="none of the labels"):
        wanted_of(other)


def test_gates_go_by_it_and_know_which_way_is_better() -> None:
    nll, found = headline("nll"), {"accuracy": 0.1, "nll": 0.5, "nll_low": 0.4, "nll_high": 0.6}
    assert gate_failures(GatesConfig(primary=0.5), 1, found, None, nll) == []
    assert gate_failures(GatesConfig(primary=0.4), 1, found, None, nll) == ["NLL 0.5 is above the gate's 0.4"]
    label = headline("average_precision", positive_label="spam")
    said = gate_failures(GatesConfig(primary=0.4), 1, {"accuracy": 0.99, "average_precision": 0.3}, None, label)
    assert said == ["average precision of spam 0.300 is below the gate's 0.400"]
    refreshed = {"accuracy": 0.9, "average_precision": 0.5, "refreshed_average_precision": 0.3}
    said = gate_failures(GatesConfig(primary=0.4), 1, refreshed, None, label)
    assert said == ["average precision of spam of the refreshed holdout 0.300 is below the gate's 0.400"]


def judged(primary: str, **more: Any) -> Judged:
    return Judged.noted({PRIMARY: noted(headline(primary, **more))})


@pytest.mark.parametrize(
    ("target", "on", "reached"),
    [(0.8, "interval", True), (0.7, "interval", False), (0.7, "point", True), (0.69, "point", False)],
)
def test_a_lower_metric_reaches_its_target_from_above(target: float, on: str, reached: bool) -> None:
    found = {"accuracy": 0.0, "nll": 0.6, "nll_low": 0.5, "nll_high": 0.75, "refreshed_nll": 0.7, "num_holdout": 100}
    found["refreshed_nll_high"] = 0.78
    stopping = StoppingConfig(target_primary=target, target_on=on)
    assert (target_reached(stopping, found, 0.95, judged("nll")) is not None) == reached


def test_a_perfect_score_on_three_items_of_the_label_is_not_sure() -> None:
    stopping, label = StoppingConfig(target_primary=0.8), judged("f_beta", positive_label="spam")
    perfect = {"f_beta": 1.0, "f_beta_low": 1.0, "f_beta_high": 1.0, "num_holdout": 1000}
    assert target_reached(stopping, {**perfect, "num_positive": 3}, 0.95, label) is None
    said = target_reached(stopping, {**perfect, "num_positive": 100}, 0.95, label)
    assert said == "the target is reached: the lower end of F1 of spam's interval is 0.963, and 0.8 was wanted"


def test_a_plateau_is_one_of_the_primary_metric() -> None:
    stopping = StoppingConfig(plateau_rounds=1)
    assert plateau_reached(stopping, [0.7, 0.6], judged("nll")) is None
    said = plateau_reached(stopping, [0.6, 0.7], judged("nll"))
    assert said is not None
    assert said.startswith("NLL is on a plateau: at best 0.700 in the last round and 0.600 before")


def table(probs_NC: np.ndarray, labels_N: np.ndarray) -> pa.Table:
    ids = [f"i{index:03d}" for index in range(len(labels_N))]
    return pa.table({"item_id": ids, "label": labels_N, "predicted": probs_NC.argmax(axis=1), "probs": list(probs_NC)})


def rounds(num: int = 200) -> tuple[pa.Table, pa.Table, np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(2)
    labels_N = (rng.random(num) < 0.1).astype(np.int64)
    scores = [1 / (1 + np.exp(3 - rng.normal(size=num) - skill * labels_N)) for skill in (0.5, 2.0)]
    first, second = (table(np.stack([1 - score_N, score_N], axis=1), labels_N) for score_N in scores)
    return first, second, labels_N, scores


def test_rounds_are_compared_on_the_same_resamples() -> None:
    before, after, labels_N, scores = rounds()
    metric = partial(statistic_of, "average_precision", wanted=Wanted("average_precision", 1))
    options = {"lower_is_better": False, "level": 0.9, "num_resamples": 300, "seed": 5}
    found = compare_metric(before, after.take(list(range(199, -1, -1))), metric, **options)
    assert found is not None
    gains = []
    for counts_N in np.random.default_rng(5).multinomial(200, np.full(200, 1 / 200), size=300):
        drawn = [average_precision_score(labels_N, score_N, sample_weight=counts_N) for score_N in scores]
        gains.append(drawn[1] - drawn[0])
    assert found.gain == pytest.approx(
        average_precision_score(labels_N, scores[1]) - average_precision_score(labels_N, scores[0])
    )
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(gains, [0.05, 0.95])))
    assert found.is_sure
    worse = compare_metric(after, before, metric, **options)
    assert worse is not None
    assert worse.gain == pytest.approx(-found.gain)
    assert (found.num_won, found.p_value) == (None, None)


def test_items_score_where_the_metric_is_their_mean() -> None:
    before, _, labels_N, scores = rounds()
    right_N = item_scores(ACCURACY, before)
    assert right_N is not None
    assert right_N.mean() == ((scores[0] > 0.5) == labels_N).mean()
    nll_N = item_scores(headline("nll"), before)
    assert nll_N is not None
    assert nll_N == pytest.approx(np.log(np.where(labels_N == 1, scores[0], 1 - scores[0])))
    assert item_scores(headline("mcc"), before) is None
    assert item_scores(headline("nll"), before.drop_columns(["probs"])) is None
