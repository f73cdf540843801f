"""What labels are worth that are drawn for measuring, and whether the intervals cover: active testing against random.

    python -m benchmarks.active_testing --data FOLDER

A model that was trained on 150 labels answers 2,000 other rows, whose labels are known, and its temperature is fitted
on 100 more. Then M rows are drawn and labelled again and again: uniformly, with and without the model's expectation as
a control variate, and by the probabilities of `activelora evaluate --budget`. The error against the truth of all 2,000
rows, the share of the intervals that hold it and their width are counted. The last table does the same with made-up
models that are calibrated, or wrong about themselves in several ways.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from activelora.config import ModelConfig
from activelora.evaluation import lure, weighted_draws
from activelora.evaluation.classification_metrics import item_brier, item_nll
from activelora.evaluation.lure import TableMeans
from activelora.evaluation.temperature import fit_temperature, scale
from activelora.modeling.base import load_base
from activelora.uncertainty.measures import entropy
from benchmarks.training_length import Rows, Run, answers

RESULT = Path(__file__).parent / "results" / "active-testing.md"
SETS = ("trec6", "sst2")
NUM_LABELS, NUM_CALIBRATION, NUM_ROWS = 150, 100, 2000
LEVEL, Z = 0.95, 1.959964
BUDGETS = (25, 50, 100, 200)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """A way to draw and to estimate.

    Attributes:
        name: How the page calls it.
        uniform_share: τ; 1 draws all rows alike.
        control: Whether the model's expectation is the control variate.
        is_plain: Whether the estimate is the share among the drawn rows, with Wilson's interval.
    """

    name: str
    uniform_share: float
    control: bool = True
    is_plain: bool = False


PLAIN = Arm("uniform", 1.0, control=False, is_plain=True)
OURS = Arm("active, control variate", weighted_draws.UNIFORM_SHARE)
ARMS = (
    PLAIN,
    Arm("uniform, control variate", 1.0),
    Arm("active", weighted_draws.UNIFORM_SHARE, control=False),
    OURS,
    Arm("the same, τ = 0.4", 0.4),
    Arm("the same, τ = 0.2", 0.2),
)


class Trial(NamedTuple):
    """One estimate.

    Attributes:
        error: Estimate − truth.
        covers: Whether the interval holds the truth.
        width: Of the interval.
    """

    error: float
    covers: float
    width: float


class Summary(NamedTuple):
    """Many of them: root mean squared error, coverage, mean width."""

    rmse: float
    coverage: float
    width: float


def summary(trials: Sequence[Trial]) -> Summary:
    """Return what trials come to."""
    errors_T, covers_T, widths_T = np.array(trials, dtype=np.float64).T
    return Summary(float(np.sqrt((errors_T**2).mean())), float(covers_T.mean()), float(widths_T.mean()))


def wilson(count: float, num: int, num_rows: int) -> tuple[float, float]:
    """Return Wilson's interval of a share among num draws out of a table of num_rows."""
    if num >= num_rows:
        return count / num, count / num
    effective = num * (num_rows - 1) / (num_rows - num)
    share, scaling = count / num, 1.0 + Z * Z / effective
    half = Z * np.sqrt(share * (1 - share) / effective + Z * Z / (4 * effective**2)) / scaling
    middle = (share + Z * Z / (2 * effective)) / scaling
    return float(middle - half), float(middle + half)


@dataclass(frozen=True)
class Drawn:
    """One series of draws of a table; its first M are the draws of a smaller budget.

    Attributes:
        arm: How they were made.
        draws: The draws.
        first_N: q_1.
    """

    arm: Arm
    draws: weighted_draws.Draws
    first_N: Array

    @classmethod
    def of(cls, expected_error_N: Array, arm: Arm, num: int, seed: int) -> Drawn:
        """Draw."""
        scores_N = weighted_draws.scores(expected_error_N)
        draws = weighted_draws.draw(scores_N, num, arm.uniform_share, seed)
        return cls(arm, draws, weighted_draws.first_probabilities(scores_N, arm.uniform_share))

    def share(self, truth_N: Array, expected_N: Array, num: int) -> Trial:
        """Return the estimate of the mean of a truth that is 0 or 1, by the first draws."""
        rows_M, truth = self.draws.rows_M[:num], float(truth_N.mean())
        count = float(truth_N[rows_M].sum())
        if self.arm.is_plain:
            value, (low, high) = count / num, wilson(count, num, len(truth_N))
        else:
            used_N = expected_N if self.arm.control else np.zeros_like(expected_N)
            found = self._estimate(truth_N, used_N, num)
            means = TableMeans.of(used_N, self.first_N)
            value = min(max(found.value, 0.0), 1.0)
            low, high = lure.share_interval(found, means, int(count), LEVEL)
        return Trial(value - truth, float(low - 1e-12 <= truth <= high + 1e-12), high - low)

    def loss(self, loss_N: Array, expected_N: Array, num: int) -> Trial:
        """Return the estimate of the mean of a loss, with Student's interval."""
        found = self._estimate(loss_N, expected_N if self.arm.control else np.zeros_like(expected_N), num)
        low, high = lure.t_interval(found, LEVEL)
        truth = float(loss_N.mean())
        return Trial(found.value - truth, float(low <= truth <= high), high - low)

    def _estimate(self, truth_N: Array, expected_N: Array, num: int) -> lure.Estimate:
        rows_M, probability_M = self.draws.rows_M[:num], self.draws.probability_M[:num]
        return lure.estimate(truth_N[rows_M], expected_N[rows_M], float(expected_N.mean()), probability_M, len(truth_N))


Found = dict[tuple[str, int, str], Summary]
"""By the name of the arm, the budget and what is estimated."""


def measured(probs_NC: Array, labels_N: NDArray[np.int64], arms: Sequence[Arm], repetitions: int) -> Found:
    """Return what draws of a table with known labels come to.

    Args:
        probs_NC: The model's probabilities.
        labels_N: The labels.
        arms: Ways to draw.
        repetitions: Draws of each.
    """
    trials: dict[tuple[str, int, str], list[Trial]] = {}
    error_N = 1.0 - probs_NC.max(axis=1)
    wrong_N = (probs_NC.argmax(axis=1) != labels_N).astype(np.float64)
    losses = {
        "nll": (item_nll(probs_NC, labels_N), entropy(probs_NC)),
        "brier": (item_brier(probs_NC, labels_N), 1.0 - (probs_NC**2).sum(axis=1)),
    }
    for arm in arms:
        for seed in range(repetitions):
            drawn = Drawn.of(error_N, arm, BUDGETS[-1], seed)
            for num in BUDGETS:
                trials.setdefault((arm.name, num, "accuracy"), []).append(drawn.share(wrong_N, error_N, num))
                for label in range(probs_NC.shape[1]):
                    truth_N = (labels_N == label).astype(np.float64)
                    trials.setdefault((arm.name, num, "shares"), []).append(
                        drawn.share(truth_N, probs_NC[:, label], num)
                    )
                for name, (loss_N, expected_N) in losses.items():
                    trials.setdefault((arm.name, num, name), []).append(drawn.loss(loss_N, expected_N, num))
    return {key: summary(found) for key, found in trials.items()}


def real_answers(folder: Path, task: str, stored: Path | None) -> tuple[Array, NDArray[np.int64], float]:
    """Return log_probs_NC and labels_N of rows that were not trained on, and the temperature fitted on others.

    Args:
        folder: Folder with TASK/train.jsonl.
        task: The set.
        stored: Folder that the answers are read from where they are there, and written to.
    """
    rows, num = Rows.read(folder, task), NUM_CALIBRATION + NUM_ROWS
    path = None if stored is None else stored / f"{task}-{NUM_LABELS}-{num}.npy"
    if path is not None and path.exists():
        log_probs_NC: Array = np.load(path)
    else:
        run = Run(task, NUM_LABELS, 1e-3, 60, 0.1, 4, 0, 0.3)
        log_probs_NC, *_ = answers(load_base(ModelConfig()), rows, run, num)
        if path is not None:
            np.save(path, log_probs_NC)
    labels_N = rows.labels(rows.rows[:num])
    fitted = fit_temperature(log_probs_NC[:NUM_CALIBRATION], labels_N[:NUM_CALIBRATION])
    return log_probs_NC[NUM_CALIBRATION:], labels_N[NUM_CALIBRATION:], fitted


Model = tuple[Array, Array]
"""expected_error_N and wrong_N of a made-up model."""


def made_up(error: float, num_rows: int, generator: np.random.Generator) -> Array:
    """Return each row's probability of being answered wrongly, of which most are near 0; their mean is the error."""
    chance_N = generator.beta(error + 0.02, 1.0 - error + 0.02, num_rows)
    return np.asarray(np.clip(chance_N * error / chance_N.mean(), 1e-4, 0.9))


def _sharpened(chance_N: Array, power: float, factor: float) -> Array:
    odds_N = (chance_N / (1.0 - chance_N)) ** power * factor
    return np.asarray(np.clip(odds_N / (1.0 + odds_N), 1e-4, 0.75))


def _answered(chance_N: Array, generator: np.random.Generator) -> Array:
    return (generator.random(len(chance_N)) < chance_N).astype(np.float64)


def _drifted(error: float, num_rows: int, generator: np.random.Generator) -> Model:
    chance_N = made_up(error / 2, num_rows, generator)
    wrong_N = np.maximum(_answered(chance_N, generator), _answered(np.full(num_rows, error / 2), generator))
    return np.clip(chance_N, 1e-4, 0.75), wrong_N


def _self_assessed(change: Callable[[Array, np.random.Generator], Array]) -> Callable[..., Model]:
    def model(error: float, num_rows: int, generator: np.random.Generator) -> Model:
        chance_N = made_up(error, num_rows, generator)
        return np.clip(change(chance_N, generator), 1e-4, 0.75), _answered(chance_N, generator)

    return model


MODELS: dict[str, Callable[[float, int, np.random.Generator], Model]] = {
    "calibrated": _self_assessed(lambda chance_N, _: chance_N),
    "overconfident": _self_assessed(lambda chance_N, _: _sharpened(chance_N, 2.0, np.exp(-1.0))),
    "underconfident": _self_assessed(lambda chance_N, _: _sharpened(chance_N, 0.5, 1.0)),
    "half of its errors anywhere": _drifted,
    "errors have nothing to do with confidence": _self_assessed(lambda chance_N, gen: gen.permutation(chance_N)),
}
ERRORS = (0.3, 0.1, 0.03)
SIZES = ((500, 25), (2000, 50), (5000, 100))
ROWS_A_MODEL = 20
"""Draws of one made-up table, before the next one is made."""


def simulated(name: str, error: float, size: tuple[int, int], repetitions: int) -> dict[str, Summary]:
    """Return what draws come to with a made-up model, by arm."""
    num_rows, num = size
    generator = np.random.default_rng(list(MODELS).index(name))
    trials: dict[str, list[Trial]] = {PLAIN.name: [], OURS.name: []}
    for seed in range(repetitions):
        if seed % ROWS_A_MODEL == 0:
            expected_N, wrong_N = MODELS[name](error, num_rows, generator)
        for arm in (PLAIN, OURS):
            trials[arm.name].append(Drawn.of(expected_N, arm, num, seed).share(wrong_N, expected_N, num))
    return {arm: summary(found) for arm, found in trials.items()}


_HEAD = """# Measuring with few labels: active testing against random rows

    {command}

RMSE against the truth of the whole table, share of the 95 % intervals that hold it, and their mean width; {repetitions}
draws of each. "Worth" is how many uniform labels would have the same RMSE, and the same width, in proportion to the
squares. Uniform: the share among the drawn rows, with Wilson's interval for a finite table; of NLL and Brier score the
mean, with Student's. Active: drawn by q of `activelora/evaluation/weighted_draws.py` with τ = {share}, as `activelora
evaluate --budget` draws; with the control variate, as `--drawn` estimates. SmolLM2-135M-Instruct, {labels} random
labels, adapter in the last 4 layers, {rows} other rows of the TRAIN part, temperature fitted on {calibration} more. τ
and the interval were chosen on made-up models and TREC-6; SST-2 had no part in it.
"""


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.active_testing", description="Active testing.")
    parser.add_argument("--data", type=Path, required=True, help="folder with TASK/train.jsonl")
    parser.add_argument("--repetitions", type=int, default=500, help="draws of each arm")
    parser.add_argument("--sets", default=",".join(SETS), help="sets with real answers")
    parser.add_argument("--answers", type=Path, help="folder that keeps the model's answers for the next run")
    options = parser.parse_args()
    command = f"python -m benchmarks.active_testing --data FOLDER --repetitions {options.repetitions}"
    sizes = {"labels": NUM_LABELS, "rows": f"{NUM_ROWS:,}", "calibration": NUM_CALIBRATION}
    share = weighted_draws.UNIFORM_SHARE
    lines = [_HEAD.format(command=command, repetitions=options.repetitions, share=share, **sizes)]
    for task in options.sets.split(","):
        log_probs_NC, labels_N, fitted = real_answers(options.data, task, options.answers)
        for temperature, words in ((fitted, f"temperature {fitted:.2f}"), (1.0, "without the temperature")):
            probs_NC = scale(log_probs_NC, temperature)
            found = measured(probs_NC, labels_N, ARMS, options.repetitions)
            lines += _real(f"{task}, {words}", probs_NC, labels_N, found)
        print("\n".join(lines), flush=True)
    lines += ["## Made-up models", "", _ROW.format("model", "error", "rows", "labels", "uniform", "active", "worth")]
    lines += [_ROW.format(*["---"] * 7)]
    for name in MODELS:
        for error in ERRORS:
            for size in SIZES:
                both = simulated(name, error, size, options.repetitions)
                plain, ours = both[PLAIN.name], both[OURS.name]
                cells = name, error, *size, _said(plain), _said(ours), _worth(size[1], plain, ours)
                lines.append(_ROW.format(*cells))
                print(lines[-1], flush=True)
    RESULT.write_text("\n".join([*lines, ""]), encoding="utf-8")


_ROW = "| {} | {} | {} | {} | {} | {} | {} |"
_NAMES = {"accuracy": "accuracy", "shares": "share of a label, mean over labels", "nll": "NLL", "brier": "Brier"}


def _said(one: Summary) -> str:
    return f"{one.rmse:.4f}, {one.coverage:.0%}, {one.width:.3f}"


def _worth(num: int, plain: Summary, ours: Summary) -> str:
    return f"{num * (plain.rmse / ours.rmse) ** 2:.0f}, {num * (plain.width / ours.width) ** 2:.0f}"


def _real(title: str, probs_NC: Array, labels_N: NDArray[np.int64], found: Found) -> list[str]:
    accuracy, confidence = float((probs_NC.argmax(axis=1) == labels_N).mean()), float(probs_NC.max(axis=1).mean())
    head = ["of", "labels", *(arm.name for arm in ARMS), f"worth of `{OURS.name}`, by RMSE, by width"]
    lines = [f"## {title}", "", f"Accuracy on the whole table {accuracy:.3f}, mean confidence {confidence:.3f}.", ""]
    lines += [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for quantity, words in _NAMES.items():
        for num in BUDGETS:
            cells = [_said(found[arm.name, num, quantity]) for arm in ARMS]
            worth = _worth(num, found[PLAIN.name, num, quantity], found[OURS.name, num, quantity])
            lines.append(f"| {' | '.join([words, str(num), *cells, worth])} |")
    return [*lines, ""]


if __name__ == "__main__":
    main()
