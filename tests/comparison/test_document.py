"""Comparisons of campaigns with chosen answers: numbers, verdicts and words."""

import json
import re

import numpy as np
import pytest

from activelora.comparison.document import comparison_document
from activelora.comparison.measured import area, paired_differences, paired_losses
from activelora.comparison.page import render_page
from activelora.comparison.power import MeanError, smallest_detectable
from activelora.comparison.statistics import area_weights, holm, paired_test
from activelora.comparison.table import columns, markdown, rows
from activelora.comparison.words import p_text
from activelora.errors import DataError

FLAT = [0.3, 0.5, 0.6]


def better(by):
    return [FLAT[0], *(value + by for value in FLAT[1:])]


@pytest.fixture
def compared(build_run):
    """Three methods: the control, one that is clearly better and one that only differs by luck."""
    runs = []
    for seed in range(3):
        runs.append(build_run("random", seed, FLAT))
        runs.append(build_run("star", seed, better(0.25 + 0.01 * seed)))
        runs.append(build_run("bald", seed, better((0.05, -0.06, 0.01)[seed])))
        runs.append(build_run("margin", seed, better(-0.25 + 0.01 * seed)))
    return runs


def method_of(document, name):
    return next(method for method in document["methods"] if method["name"] == name)


def test_verdicts(compared):
    document = comparison_document(compared)
    found = {method["name"]: method["verdict"] for method in document["methods"]}
    assert found == {"random": "control", "star": "better", "bald": "not distinguishable", "margin": "worse"}
    assert method_of(document, "star")["sentence"].startswith("star is better than random: mean accuracy over the la")
    assert "Holm-corrected for 3 comparisons" in method_of(document, "bald")["sentence"]
    assert "(3 seeds × 200 holdout items)" in method_of(document, "margin")["sentence"]
    assert method_of(document, "random")["sentence"] == "random is what the others are compared with."


def test_the_document_holds_what_the_manifests_say(compared):
    document = json.loads(json.dumps(comparison_document(compared), allow_nan=False))
    assert (document["seeds"], document["labels"]) == ([0, 1, 2], [0, 4, 8])
    run = method_of(document, "star")["runs"][1]
    campaign_run = next(run for run in compared if run.method.strategy == "star" and run.seed == 1)
    assert [point["accuracy"] for point in run["points"]] == campaign_run.metric("accuracy")
    assert run["aulc"] == pytest.approx(np.trapezoid(campaign_run.metric("accuracy"), [0, 4, 8]) / 8)
    assert run["seconds"] == 6.0
    summary = method_of(document, "star")["summary"]["final"]
    finals = [one.metric("accuracy")[-1] for one in compared if one.method.strategy == "star"]
    assert summary == {"mean": pytest.approx(np.mean(finals)), "low": min(finals), "high": max(finals)}


def test_the_tests_are_those_of_the_item_differences(compared):
    document = comparison_document(compared)
    ours = [run for run in compared if run.method.strategy == "bald"]
    control = [run for run in compared if run.method.strategy == "random"]
    by_hand = np.zeros((3, 200))
    for seed, (one, other) in enumerate(zip(ours, control, strict=True)):
        for round_, weight in enumerate((0.25, 0.5, 0.25)):
            tables = [
                run.campaign.read_table(run.records[round_].evaluation, "predictions.parquet") for run in (one, other)
            ]
            for item in range(200):
                by_hand[seed, item] += weight * (
                    tables[0]["predicted"][item].as_py() - tables[1]["predicted"][item].as_py()
                )
    found = method_of(document, "bald")["tests"]["aulc"]
    expected = paired_test(by_hand)
    assert found["difference"] == pytest.approx(expected.difference)
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    assert found["p_value"] == pytest.approx(expected.p_value)
    assert found["difference"] == pytest.approx(
        np.mean([area(run) for run in ours]) - np.mean([area(r) for r in control])
    )


def test_calibration_is_tested_at_the_last_round(compared):
    document = comparison_document(compared)
    star = method_of(document, "star")
    ours, control = ([run for run in compared if run.method.strategy == name] for name in ("star", "random"))
    by_hand = np.zeros((3, 200))
    for seed, (one, other) in enumerate(zip(ours, control, strict=True)):
        tables = [run.campaign.read_table(run.records[-1].evaluation, "predictions.parquet") for run in (one, other)]
        for item in range(200):
            losses = [-np.log(table["probs"][item].as_py()[table["label"][item].as_py()]) for table in tables]
            by_hand[seed, item] = losses[1] - losses[0]
    expected = paired_test(by_hand)
    assert star["tests"]["nll"]["p_value"] == pytest.approx(expected.p_value)
    assert star["tests"]["nll"]["num_items"] == 200
    assert star["tests"]["nll"]["difference"] == pytest.approx(
        np.mean([run.metric("nll")[-1] for run in control]) - np.mean([run.metric("nll")[-1] for run in ours])
    )
    assert (star["tests"]["ece"]["num_items"], star["tests"]["ece"]["p_value"]) == (1, 1.0)
    assert star["calibration_sentence"].startswith(
        "star's calibration with 8 labels, against random: its NLL is lower, which is better: ECE -0.000 (95% "
    )
    assert method_of(document, "bald")["calibration_sentence"].startswith(
        "bald's calibration with 8 labels, against random: not distinguishable: "
    )
    raw = [method["tests"]["nll"]["p_value"] for method in document["methods"][1:]]
    assert [method["tests"]["nll"]["p_adjusted"] for method in document["methods"][1:]] == pytest.approx(holm(raw))
    assert star["calibration_sentence"] in markdown(document)


def test_a_metric_that_is_no_mean_of_the_items_losses_is_tested_by_seed(build_run):
    runs = [build_run(name, seed, FLAT) for seed in range(3) for name in ("random", "star")]
    for run in runs:
        run.records[-1].metrics["nll"] += 0.1  # as where items count unequally
    assert runs[0].item_losses() is None
    assert paired_losses(runs[1::2], runs[::2], "nll").shape == (3, 1)


def test_the_document_says_which_difference_it_would_have_found(compared, build_run):
    document = comparison_document(compared)
    tests = [method["tests"]["aulc"] for method in document["methods"][1:]]
    sizes = [smallest_detectable(MeanError(test["error"], test["freedom"]), 3) for test in tests]
    assert document["detectable"] == pytest.approx(np.median(sizes))
    assert f"a true difference of {100 * document['detectable']:.1f} points" in markdown(document)
    one_seed = comparison_document([run for run in compared if run.seed == 0])
    assert one_seed["detectable"] is None
    assert "One seed cannot tell" in render_page(one_seed)


def test_holdouts_that_differ_by_seed_leave_the_seeds_means(build_run):
    runs = [build_run(name, seed, FLAT, holdout=f"h{seed}-") for seed in range(3) for name in ("random", "star")]
    ours, control = runs[1::2], runs[::2]
    assert paired_differences(ours, control, area_weights([0, 4, 8])).shape == (3, 1)
    document = comparison_document(runs)
    assert "each with its own holdout" in method_of(document, "star")["sentence"]


def test_one_seed_gives_no_verdict(build_run):
    document = comparison_document([build_run("random", 0, FLAT), build_run("star", 0, better(0.3))])
    star = method_of(document, "star")
    assert (star["verdict"], star["tests"]["aulc"]["p_value"], star["tests"]["aulc"]["p_adjusted"]) == (
        "untested",
        None,
        None,
    )
    assert "cannot be told from random by one seed" in star["sentence"]
    assert render_page(document)


def test_adapters_have_their_own_control(build_run):
    runs = [
        build_run(strategy, seed, better(0.02 * seed), adapter)
        for seed in range(2)
        for adapter in ("lora", "clora")
        for strategy in ("random", "star")
    ]
    document = comparison_document(runs)
    assert {method["name"]: method["control"] for method in document["methods"]} == {
        "random · lora": None,
        "star · lora": "random · lora",
        "random · clora": "random · lora",
        "star · clora": "random · clora",
    }


def test_labels_to_the_target(compared):
    document = comparison_document(compared, target=0.5)
    found = method_of(document, "star")["summary"]["labels_to_target"]
    assert 0 < found["low"] <= found["mean_curve"] <= found["high"] < 4
    never = method_of(document, "margin")["summary"]["labels_to_target"]
    assert (never["mean_curve"], never["high"]) == (None, None)
    row = next(row for row in rows(document) if row[0] == "margin")
    assert "> 8" in row
    by_default = comparison_document(compared)
    assert by_default["target"] == pytest.approx(method_of(by_default, "random")["summary"]["final"]["mean"])


def test_what_cannot_be_compared_is_refused(build_run):
    random, star = build_run("random", 0, FLAT), build_run("star", 0, [*FLAT, 0.7])
    with pytest.raises(DataError, match="cannot be compared"):
        comparison_document([random, star])
    with pytest.raises(DataError, match="not every method was run with every seed"):
        comparison_document([random, build_run("bald", 1, FLAT)])
    with pytest.raises(DataError, match="`random` is not among"):
        comparison_document([build_run("margin", 0, FLAT)])
    with pytest.raises(DataError, match="nothing but round 0"):
        comparison_document([build_run("random", 5, FLAT[:1])])


def test_table_and_markdown(compared):
    document = comparison_document(compared)
    found = rows(document)
    assert all(len(row) == len(columns(document)) for row in found)
    assert all("(" not in "".join(row) for row in rows(document, with_ranges=False))
    text = markdown(document, "activelora compare x.yaml")
    assert "Command: `activelora compare x.yaml`" in text
    assert "| star | 0." in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| ") and "AULC" in text}
    assert widths == {len(columns(document)) + 1, len(document["labels"]) + 2}


def test_the_page_is_whole_and_safe(compared):
    document = comparison_document(compared)
    page = render_page(document, "activelora compare '<x>.yaml'")
    assert page == render_page(document, "activelora compare '<x>.yaml'")
    assert page.count("<svg") == 2
    assert not re.search(r"<(script|link|iframe|object|embed|form|img)\b", page, re.IGNORECASE)
    assert "&lt;x&gt;" in page
    document["methods"][0]["name"] = "<script>x</script>"
    assert "<script>" not in render_page(document)


def test_many_methods_are_drawn(compared):
    document = comparison_document(compared)
    document["methods"] += [
        method | {"name": f"m{index}"} for index in range(20) for method in document["methods"][1:2]
    ]
    assert "m19" in render_page(document)


@pytest.mark.parametrize(
    ("p_value", "text"), [(None, "–"), (0.0, "< 0.001"), (0.0123, "0.012"), (0.0999, "0.100"), (0.456, "0.46")]
)
def test_p_values_for_people(p_value, text):
    assert p_text(p_value) == text
