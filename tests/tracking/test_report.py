from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from activelora.campaign.campaign import Campaign, stop_campaign
from activelora.campaign.manifest import Unit
from activelora.evaluation import evaluation
from activelora.tracking import report_selections, report_words
from activelora.tracking.report import render_report, write_report
from tests.tracking.conftest import HOSTILE, Builder, add_rounds, make_config, write_pool


def test_a_finished_campaign(build_campaign: Builder) -> None:
    campaign = build_campaign()
    uri = write_report(campaign)
    page = Path(uri).read_text(encoding="utf-8")
    assert uri.endswith("report.html")
    assert "With 60 labels, the model answers" in page
    assert "all 3 planned rounds are done (60 labels)" in page
    assert page.count("<svg") == 5  # the learning curve is there for narrow screens too
    assert "cognito-idp" in page
    assert "drawn at random" not in page  # the tenth item; six are shown
    assert page == render_report(campaign, {})


def test_that_one_holdout_chose_and_measured_is_said(build_campaign: Builder) -> None:
    page = " ".join(render_report(build_campaign(), {}).split())
    assert "The same holdout gave the 3 trained rounds their numbers" in page
    assert "chose the champion among them" not in render_report(build_campaign(1, folder="other"), {})


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(build_campaign: Builder) -> None:
    page = render_report(build_campaign(), {})
    assert not re.search(r"<(script|link|iframe|object|embed|form)\b", page, re.IGNORECASE)
    assert not re.search(r"""(src|href)\s*=\s*["']?(?!#|data:)\w""", page)
    assert not re.search(r"url\((?!#)|@import", page)
    assert "default-src 'none'" in page


def test_html_in_items_prompts_and_labels_shows_as_text(build_campaign: Builder) -> None:
    labels = ["<img src=x onerror=alert(1)>", *[f"class {index}" for index in range(7)]]
    campaign = build_campaign(1, task={"prompt": "</pre><script>{text}", "labels": labels})
    page = render_report(campaign, {})
    assert HOSTILE not in page
    assert "&lt;script&gt;alert" in page
    assert "<img" not in page
    assert "</pre><script>" not in page


@pytest.mark.parametrize("unfinished", [0, 1, 2])
def test_any_moment_of_a_campaign(tmp_path: Path, unfinished: int) -> None:
    campaign = Campaign.create(str(tmp_path / "c"), make_config())
    assert "Nothing has been measured yet" in render_report(campaign, {})
    write_pool(campaign)
    assert "240 unlabelled items" in render_report(campaign, {})
    add_rounds(campaign, 0, unfinished)
    assert "In progress" in render_report(campaign, {})


def test_it_says_that_it_waits_for_labels(build_campaign: Builder) -> None:
    campaign = build_campaign(1, finished=False)
    (Path(campaign.store.uri) / Unit("await_labels", 0).manifest_key).unlink()
    page = render_report(campaign, {})
    assert "Waiting for labels" in page
    assert "20 items of round 0 are to be labelled" in page
    assert "none yet" in page


def test_a_stopped_campaign_says_why(build_campaign: Builder) -> None:
    campaign = build_campaign(1, finished=False)
    stop_campaign(campaign, "the deadline passed <now>")
    assert "The campaign ended: the deadline passed &lt;now&gt;." in render_report(campaign, {})


def test_long_campaigns_are_limited_and_say_so(build_campaign: Builder) -> None:
    campaign = build_campaign(10, finished=False, stopping={"max_rounds": 10})
    page = render_report(campaign, {})
    assert page.count("<details") == report_selections.MAX_SELECTED_ROUNDS
    assert "2 earlier ones are in the campaign folder" in page


def test_comparison_is_drawn_into_the_curve(build_campaign: Builder) -> None:
    other = build_campaign(2, folder="random", acquisition={"strategy": "random", "batch_size": 20})
    page = render_report(build_campaign(2), {"random acquisition": other})
    assert "random acquisition" in page


def test_multiple_choice_has_no_classes() -> None:
    settings = evaluation.EvaluationSettings(15, 100, 0.95, 1)
    document = evaluation.evaluate(np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]]), np.array([0, 0]), settings)
    assert "percentage points" in report_words.calibration(document)
    assert "of its answers are wrong" in report_words.coverage(document)


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (75, "1 min 15 s"), (7260, "2 h 1 min"), (59.7, "1 min 0 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert report_words.duration(seconds) == text


@pytest.mark.parametrize(("value", "said"), [(0.05, "at the lowest allowed"), (20.0, "at the highest"), (1.7, None)])
def test_a_temperature_at_a_bound_is_said(value: float, said: str | None) -> None:
    settings = evaluation.EvaluationSettings(15, 100, 0.95, 1)
    document = evaluation.evaluate(np.tile([0.6, 0.4], (10, 1)), np.zeros(10, int), settings)
    text = report_words.calibration({**document, "temperature": {"value": value, "num_calibration": 10}})
    assert ("The temperature is" in text) == (said is not None)
    assert said is None or said in text


def test_words_name_the_direction() -> None:
    settings = evaluation.EvaluationSettings(15, 100, 0.95, 1)
    sure_NC = np.tile([0.99, 0.01], (10, 1))
    assert "too sure of itself" in report_words.calibration(evaluation.evaluate(sure_NC, np.ones(10, int), settings))
    modest_NC = np.tile([0.6, 0.4], (10, 1))
    assert "too modest" in report_words.calibration(evaluation.evaluate(modest_NC, np.zeros(10, int), settings))


@pytest.mark.parametrize(
    ("loss", "is_single", "hint"),
    [
        (0.003, True, "It knows them by heart: more steps would hardly change its answers"),
        (0.9, True, "more steps (training.min_steps) may help"),
        (0.2, True, ""),
        (0.003, False, ""),
        (0.9, False, ""),
    ],
)
def test_the_training_is_told_and_what_more_steps_would_do(loss, is_single, hint):
    metrics = {"num_labels": 25.0, "num_steps": 120.0, "final_loss": loss}
    said = report_words.training(metrics, is_single=is_single)
    assert said.startswith(f"Its adapter was trained for 120 steps on 25 labels, down to a loss of {loss:.2g} nats")
    assert hint in said
    assert ("more steps" in said) == bool(hint)
    assert "1 step on 1 label," in report_words.training(dict.fromkeys(metrics, 1.0), is_single=True)
