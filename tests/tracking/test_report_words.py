"""What the report claims: no gain that chance explains, no loss left out, no end greener than it is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from activelora.campaign.campaign import Campaign, stop_campaign
from activelora.campaign.history import read_history
from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import Snapshot
from activelora.evaluation.headline import ACCURACY
from activelora.evaluation.paired import Paired
from activelora.tracking import report_verdict, report_words
from activelora.tracking.report import render_report
from activelora.tracking.report_costs import costs_of
from activelora.tracking.report_mistakes import confident_mistakes
from activelora.tracking.report_provenance import source_files_of
from activelora.tracking.report_state import state_of
from tests.tracking.conftest import (
    HOSTILE,
    NUM_HOLDOUT,
    Builder,
    make_config,
    write_evaluation,
    write_pool,
    write_query,
    write_training,
)


@pytest.fixture
def with_skills(tmp_path: Path) -> Builder:
    """Return a maker of campaigns whose rounds have given skills, round 0 first."""

    def build(*skills: float, reason: str | None = None, **changes: object) -> Campaign:
        shutil.rmtree(tmp_path / "c", ignore_errors=True)
        campaign = Campaign.create(str(tmp_path / "c"), make_config(**changes))
        write_pool(campaign)
        for round_, skill in enumerate(skills):
            if round_:
                write_query(campaign, round_ - 1)
                write_training(campaign, round_)
            write_evaluation(campaign, round_, skill)
        if reason:
            stop_campaign(campaign, reason)
        return campaign

    return build


def plain(page: str) -> str:
    return page.replace("\N{NO-BREAK SPACE}", " ")


def test_a_gain_that_the_same_items_show_is_told(with_skills: Builder) -> None:
    page = plain(render_report(with_skills(0.4, 2.5), {}))
    assert "points better than the base model before training" in page
    assert "more than chance explains" in page
    assert "Round 1 is the champion" in page


def test_a_gain_that_chance_explains_is_not_claimed(with_skills: Builder) -> None:
    page = plain(render_report(with_skills(1.0, 1.05), {}))
    assert "not shown to be better yet than the base model" in page
    assert "McNemar" in page
    assert "points better" not in page


def test_a_loss_is_said_and_so_is_each_round_that_lost(with_skills: Builder) -> None:
    page = plain(render_report(with_skills(1.5, 0.5, 0.6, reason="all 2 planned rounds are done"), {}))
    assert "a loss of" in page
    assert "Every trained round was worse than the base model" in page
    assert "No round has passed the gates, so there is no model to use yet" in page
    assert "of the base model, before any training" in page
    assert "Finished without a champion" in page
    assert 'class="pill finished"' not in page


def test_a_lost_round_beside_a_champion_is_said(with_skills: Builder) -> None:
    page = plain(render_report(with_skills(1.0, 0.4, 2.5), {}))
    assert "Round 1 (" in page
    assert "was worse than the base model" in page
    assert "Round 2 is the champion" in page


@pytest.mark.parametrize(
    ("reason", "name", "kind"),
    [
        ("all 1 planned rounds are done (20 labels)", "Finished", "finished"),
        ("stopped by hand: no more money", "Stopped by hand", "stopped"),
    ],
)
def test_only_a_planned_end_with_a_champion_is_green(with_skills: Builder, reason: str, name: str, kind: str) -> None:
    campaign = with_skills(0.4, 2.5, reason=reason)
    state = state_of(Snapshot(campaign), read_history(campaign), has_champion=True)
    assert (state.name, state.kind) == (name, kind)
    assert any("--resume" in command for command in state.commands) == (kind == "stopped")
    assert f'<span class="pill {kind}">{name}</span>' in render_report(campaign, {})


def test_the_verdict_falls_back_on_intervals(with_skills: Builder) -> None:
    base, near = read_history(with_skills(1.0, 1.3))
    _, far = read_history(with_skills(1.0, 4.0))
    assert "the intervals overlap" in report_verdict.summary(near, base, 0.95, ACCURACY)
    assert "points better" in report_verdict.summary(far, base, 0.95, ACCURACY)
    sure = Paired(160, 0.03, 0.01, 0.05, 9, 1, 0.001, 0.95)
    assert "though the two intervals overlap: of the same 160 items 9 became right" in report_verdict.summary(
        near, base, 0.95, ACCURACY, sure
    )
    assert "not shown" in report_verdict.summary(near, base, 0.95, ACCURACY, replace(sure, p_value=0.3))
    assert "no gain can be told" in report_verdict.summary(near, None, 0.95, ACCURACY)


def test_mistakes_are_those_it_was_surest_of_with_texts_as_annotators_see_them(with_skills: Builder) -> None:
    campaign = with_skills(1.0, 1.4, labeling={"source": "files", "redact": ["holdout", "script"]})
    table = campaign.read_table(campaign.require(Unit("evaluate_adapter", 1)), "predictions.parquet")
    rows = table.to_pylist()
    wrong = sorted((row["confidence"] for row in rows if row["label"] != row["predicted"]), reverse=True)
    found = confident_mistakes(Snapshot(campaign), table)
    assert (found["num_wrong"], found["num_items"]) == (len(wrong), NUM_HOLDOUT)
    assert [row["sureness"] for row in found["rows"]] == [report_words.percent(one) for one in wrong[:6]]
    assert all("holdout" not in row["text"] and "[redacted]" in row["text"] for row in found["rows"])
    page = render_report(campaign, {})
    assert found["rows"][0]["text"] in page
    assert HOSTILE not in page
    assert "holdout resources" not in page


def test_classes_that_are_never_predicted_and_labels_of_each_are_told(with_skills: Builder) -> None:
    campaign = with_skills(0.4, 2.5)
    manifest = campaign.require(Unit("evaluate_adapter", 1))
    document = campaign.read_json(manifest, "evaluation.json")
    document["per_class"][2] |= {"predicted": 0, "precision": None}
    seen = Snapshot(campaign)
    from activelora.tracking.report_classes import classes_of

    found = classes_of(seen, document, 1, read_history(seen))
    assert found is not None
    assert "Never predicted, though the holdout has items of it: glue." in found["sentences"]
    assert sum(row["num_labels"] for row in found["rows"]) == 20
    before = classes_of(seen, document, 0, read_history(seen))
    assert before is not None
    assert {row["num_labels"] for row in before["rows"]} == {0}


def test_costs_are_counted_always_and_summed_at_set_prices(with_skills: Builder) -> None:
    prices = {"label": 0.5, "computing_hour": 36.0, "currency": "CHF"}
    people = {"source": "files"}
    campaign = with_skills(0.4, 2.5, labeling=people, reporting={"owner": "Ada <ops>", "prices": prices})
    records = read_history(campaign)
    found = costs_of(campaign.config, records)
    seconds = sum(record.seconds for record in records)
    assert found["rows"][0] == ("20 answers", "at 0.50 CHF each", "10.00 CHF")
    assert found["total"] == f"{10 + seconds / 100:.2f} CHF"
    page = render_report(campaign, {})
    assert "Ada &lt;ops&gt;" in page
    unpriced = costs_of(make_config(labeling=people), records)
    assert unpriced["total"] is None
    assert unpriced["missing"] == ["label", "computing_hour"]
    simulated = costs_of(make_config(reporting={"prices": prices}), records)
    assert "simulated" in simulated["rows"][0][0]
    assert simulated["rows"][0][2] is None


def test_data_files_are_named_with_their_digests(with_skills: Builder) -> None:
    campaign = with_skills(0.4)
    assert source_files_of(Snapshot(campaign))["rows"] == []
    key = Unit("ingest_pool").manifest_key
    document = json.loads(campaign.store.read(key))
    file = {"used_for": "pool", "name": "/data/pool<1>.csv", "num_bytes": 1_500_000, "sha256": "ab" * 32}
    document["details"]["sources"] = [file]
    campaign.store.write(key, json.dumps(document).encode())
    page = render_report(Campaign.open(campaign.store.uri), {})
    assert "/data/pool&lt;1&gt;.csv" in page
    assert "1.5 MB" in page
    assert "ab" * 32 in page


@pytest.mark.parametrize(
    ("reason", "sentence", "numbers"),
    [
        (
            "margin 0.98, rank 1 of 9; the model hesitates between a (0.40) and b (0.38)",
            "The model hesitates between a (0.40) and b (0.38)",
            "margin 0.98, rank 1 of 9",
        ),
        ("uncertainty 0.97: base 0.91", "Chosen for its uncertainty", "uncertainty 0.97: base 0.91"),
        ("drawn at random (exploration)", "Drawn at random (exploration)", ""),
        ("", "", ""),
    ],
)
def test_reasons_begin_with_words(reason: str, sentence: str, numbers: str) -> None:
    assert report_words.words_first(reason) == (sentence, numbers)


def test_operating_points_are_shown_where_there_are_any() -> None:
    point = {"max_risk": 0.05, "threshold": 0.8, "share": 0.39, "share_interval": [0.3, 0.5], "error": 0.02}
    point |= {"error_interval": [0.0, 0.05]}
    none = {**point, "max_risk": 0.01, "threshold": None, "error": None, "error_interval": None}
    found = report_words.alone({"abstention": {"words": "39 % could be answered alone", "offered": [point, none]}})
    assert found["sentence"] == "39 % could be answered alone."
    assert found["points"] == [point]
    missing = report_words.alone({"abstention": None, "no_thresholds": {"abstention": "there is no split"}})
    assert missing["missing"] == "Not told yet: there is no split."
    assert report_words.alone({}) == {"sentence": "", "missing": "", "points": [], "sets": ""}


def test_the_page_has_rules_for_phones_paper_and_the_dark(with_skills: Builder) -> None:
    page = render_report(with_skills(0.4, 2.5), {})
    style = page[page.index("<style>") : page.index("</style>")]
    for rule in ("prefers-color-scheme: dark", "@media print", "size: A4", "max-width: 640px", "overflow: visible"):
        assert rule in style
    stacked = page.split('<table class="stack">')[1:]
    assert stacked
    for table in stacked:
        rows = table[table.index("<tbody>") : table.index("</tbody>")]
        cells = [cell.partition(">")[0] for cell in rows.split("<td")[1:]]
        assert all("data-name=" in cell or cell == "" for cell in cells), "a card on a phone names each value"
    assert np.char.count(style, "{") == np.char.count(style, "}")
