"""What `check` says of how a model will be measured: posterior, temperature, prediction sets, answering alone."""

from __future__ import annotations

from collections.abc import Iterator

from activelora.config import CampaignConfig
from activelora.config.trust import POSTERIOR_SAMPLES
from activelora.quantities import quantity

Fact = tuple[str, str]
_ENSEMBLE = "ensemble"


def posterior_facts(config: CampaignConfig) -> Iterator[Fact]:
    """Say with how many samples a method with a posterior of its own is evaluated."""
    method, samples = config.adapter.method, config.evaluation.num_samples
    if method == _ENSEMBLE:
        members = config.adapter.ensemble.members
        yield "posterior", f"evaluated by the mean of {min(samples or members, members)} members"
    elif samples:
        yield "posterior", f"evaluated by the mean of {samples} samples of `{method}` (evaluation.num_samples)"
    elif method in POSTERIOR_SAMPLES:
        yield "posterior", f"evaluated without samples of `{method}`'s posterior (evaluation.num_samples is 0)"


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
