from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from activelora.evaluation import evaluation
from activelora.tracking import plots
from activelora.tracking.figures import to_png, to_svg


def fabricated(names: tuple[str, ...], num: int = 80) -> dict:
    rng = np.random.default_rng(1)
    probs_NC = rng.dirichlet([0.4] * len(names), size=num)
    settings = evaluation.EvaluationSettings(15, 100, 0.95, 1, names)
    return evaluation.evaluate(probs_NC, rng.integers(len(names), size=num), settings)


@pytest.fixture
def document() -> dict:
    return fabricated(("ec2", "s3", "iam"))


def points(num: int) -> list[plots.CurvePoint]:
    metrics = {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6, "ece": 0.1, "ece_low": 0.1, "ece_high": 0.2}
    return [plots.CurvePoint(10 * index, metrics) for index in range(num)]


def test_same_figure_same_bytes(document: dict) -> None:
    for draw in (plots.reliability_diagram, plots.risk_coverage, plots.confusion_matrix):
        assert to_svg(draw(document)) == to_svg(draw(document))
    assert to_png(plots.confusion_matrix(document)) == to_png(plots.confusion_matrix(document))


def test_png_and_svg_are_what_they_say(document: dict) -> None:
    assert to_png(plots.risk_coverage(document)).startswith(b"\x89PNG")
    svg = to_svg(plots.learning_curve({"star": points(3), "random": points(2)}, 0.95))
    ElementTree.fromstring(svg)  # noqa: S314
    assert "Calibration error" in svg
    assert "95% bootstrap" in svg


def test_axes_are_labelled_with_units(document: dict) -> None:
    curve = plots.learning_curve({"star": points(3)}, 0.95)
    for figure in (plots.reliability_diagram(document), plots.confusion_matrix(document), curve):
        assert all(axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes)


def test_reliability_bars_are_the_bins(document: dict) -> None:
    heights = [patch.get_height() for patch in plots.reliability_diagram(document).axes[0].patches[::2]]  # type: ignore[attr-defined]
    assert heights == [bin_["accuracy"] for bin_ in document["reliability"] if bin_["count"]]


def test_caller_s_matplotlib_settings_stay(document: dict) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    to_png(plots.risk_coverage(document))
    assert dict(matplotlib.rcParams) == before


def test_label_names_are_text_whatever_they_hold() -> None:
    names = ("$x_1$ costs $5", "<b>&amp;</b>", "质量问题 🚀", "a very long label name that goes on and on")
    svg = to_svg(plots.confusion_matrix(fabricated(names)))
    ElementTree.fromstring(svg)  # noqa: S314
    assert "<b>" not in svg
    assert "$x_1$ costs $5" in svg
    to_png(plots.confusion_matrix(fabricated(names)))


def test_extremes_are_drawn() -> None:
    many = fabricated(tuple(f"class {index}" for index in range(60)))
    one = evaluation.evaluate(
        np.array([[1.0, 0.0]]), np.array([0]), evaluation.EvaluationSettings(15, 100, 0.95, 1, ("a", "b"))
    )
    for document in (many, one):
        for draw in (plots.reliability_diagram, plots.risk_coverage, plots.confusion_matrix):
            assert to_svg(draw(document))
    assert to_svg(plots.learning_curve({"random": points(1)}, 0.9))
