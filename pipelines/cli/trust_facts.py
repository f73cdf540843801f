"""What `check` says of how a model will be measured: posterior, temperature, prediction sets, answering alone."""

from __future__ import annotations

from collections.abc import Iterator

from activelora.acquisition.registry import STRATEGIES
from activelora.acquisition.seed_set import scores_pool
from activelora.config import CampaignConfig
from activelora.config.sample_numbers import DISAGREEMENT_SAMPLES, by_disagreement
from activelora.modeling.schedule import num_steps
from activelora.quantities import quantity

Fact = tuple[str, str]
_ENSEMBLE, _PLAIN = "ensemble", "lora"


def posterior_facts(config: CampaignConfig) -> Iterator[Fact]:
    """Say with how many samples the adapter is evaluated."""
    method, samples = config.adapter.method, config.evaluation.num_samples
    if method == _ENSEMBLE:
        members = config.adapter.ensemble.members
        yield "posterior", f"evaluated by the mean of {min(samples or members, members)} members"
    elif samples:
        yield "posterior", f"evaluated by the mean of {samples} samples of `{method}` (evaluation.num_samples)"
    elif method == _PLAIN:
        yield "posterior", "`lora` is evaluated as it is, without dropout's samples (evaluation.num_samples is 0)"
    else:
        yield "posterior", f"evaluated without samples of `{method}`'s posterior (evaluation.num_samples is 0)"


def scoring_facts(config: CampaignConfig) -> Iterator[Fact]:
    """Say with how many samples the pool is scored, where it is."""
    strategy, number = STRATEGIES.get(config.acquisition.strategy), config.scoring.num_samples
    if strategy is None or not scores_pool(config, 1):
        return
    words = f"{quantity(number, 'sample')} an item (scoring.num_samples)"
    if by_disagreement(config.acquisition):
        few = f"; {DISAGREEMENT_SAMPLES} or more rank with less noise" if number < DISAGREEMENT_SAMPLES else ""
        words = f"{words}: `{strategy.name}` goes by how far they disagree{few}"
    yield "scoring", words


ENOUGH_STEPS = {"blob": 120}
"""Method → fewest steps, where they are a number, at which its NLL was no worse than plain LoRA's after 120: the mean
over AG News and TREC-6, TRAIN parts, 50 labels, one seed (benchmarks/results/bayesian-steps.md). At 60 steps it was
measured with one optimiser for all."""


def steps_warnings(config: CampaignConfig) -> Iterator[str]:
    """Say where a Bayesian adapter is trained so that plain LoRA's answers are worth more, as far as was measured."""
    training, method = config.training, config.adapter.method
    steps = num_steps(config.acquisition.batch_size, training)
    enough = ENOUGH_STEPS.get(method)
    if enough is not None and training.converged_loss is None and steps < enough:
        yield (
            f"training.min_steps: the first round trains {steps} steps, and the NLL of `{method}` was worse than plain "
            f"LoRA's in measurements below {enough}: raise it to {enough}, or choose adapter.method `lora`"
        )
    if method == "c_lora" and config.adapter.c_lora.preset == "none":
        yield (
            "adapter.method: with 60, 120, 240 and 480 steps on 50 labels the NLL of `c_lora` was never better than "
            "plain LoRA's (at 120 steps 1.12 against 1.04, the mean over AG News and TREC-6), and beyond 120 it grew: "
            "compare it with `lora` or `ensemble` on your own task"
        )


def calibration_fact(config: CampaignConfig, num_items: int) -> Fact:
    """Say what the calibration split is for, how many rows each use has, and how many the others need."""
    from activelora.evaluation import abstention, conformal, thresholds

    if not num_items:
        return "calibration", "0 items: no temperature, no prediction sets, nothing is answered alone"
    wanted = thresholds.wanted(config.evaluation, lambda name: 0)
    first, second = thresholds.sizes(num_items, wanted)
    uses: list[tuple[str, int]] = []
    if wanted.conformal is not None:
        alpha = wanted.conformal.alpha
        uses.append((f"{100 * (1 - alpha):g} % prediction sets", conformal.fewest(alpha)))
    if wanted.max_risk is not None:
        alone = f"answers given alone with at most {100 * wanted.max_risk:g} % mistakes"
        uses.append((alone, abstention.fewest(wanted.max_risk, wanted.confidence)))
    served = " and ".join(text for text, fewest in uses if second >= fewest)
    lacking = "".join(f"; {text} need {2 * fewest} items" for text, fewest in uses if second < fewest)
    halves = f"{quantity(num_items, 'item')}: {first} for the temperature, {second} for {served}"
    return "calibration", (halves if second else f"{quantity(num_items, 'item')} for the temperature") + lacking
