"""What goes with the kind."""

from __future__ import annotations

from decimal import Decimal

from activelora.config import TaskConfig
from activelora.evaluation.headline import Headline
from activelora.evaluation.primary import MAE, NLL
from activelora.tasks.task import Kind
from activelora.uncertainty.measures import MEASURES, NUMBER_MEASURES

MAX_VALUES = 1001
RMSE = Headline(
    "rmse",
    "RMSE",
    is_share=False,
    lower_is_better=True,
    columns=(("rmse", "RMSE"), ("mae", "MAE"), ("interval_coverage", "coverage"), ("nll", "NLL")),
    second=("interval_coverage", "Interval coverage"),
    second_note="right at the stated level",
    is_mean=False,
)


def _refusal(config: TaskConfig) -> str | None:
    if config.minimum is None or config.maximum is None:
        return "a regression task needs `minimum` and `maximum`"
    low, high, step = (Decimal(str(value)) for value in (config.minimum, config.maximum, config.step))
    if low >= high:
        return f"`minimum` {low:f} must be smaller than `maximum` {high:f}"
    if (high - low) / step > MAX_VALUES - 1:
        return f"the grid has more than {MAX_VALUES} values: make `step` larger"
    if (high - low) % step:
        return f"`maximum` {high:f} cannot be reached from `minimum` {low:f} in steps of {step:f}"
    return None


KIND = Kind(
    name="regression",
    summary="a number between `minimum` and `maximum`",
    implementation="activelora.kinds.regression.task:Regression",
    judge="activelora.kinds.regression.judge:NumberJudge",
    headline=RMSE,
    primary=(MAE, NLL),
    measures=tuple({**MEASURES, **NUMBER_MEASURES}),
    single_sample_measures=frozenset({"variance"}),  # of a number: its total variance
    form="number",
    one_softmax=False,
    draws_by_label=False,
    checks_exploration=False,
    corrects_prior=False,
    gates=("max_rmse",),
    targets=(),
    aggregations=("median",),
    gold_questions=False,
    agreement="interval",
    fields=("minimum", "maximum", "step"),
    refusal=_refusal,
)
