"""What `check` says of how a model will be measured: posterior, temperature, prediction sets, answering alone."""

from __future__ import annotations

from collections.abc import Iterator

from activelora.config import CampaignConfig
from activelora.config.trust import POSTERIOR_SAMPLES

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
    """Say what the calibration split is for, and how many rows each use has."""
    from activelora.evaluation import thresholds

    if not num_items:
        return "calibration", "0 items: no temperature, no prediction sets, nothing is answered alone"
    wanted = thresholds.wanted(config.evaluation, lambda name: 0)
    first, second = thresholds.sizes(num_items, wanted)
    if not second:
        why = "" if wanted.fewest() is None else f", too few to halve for thresholds ({2 * (wanted.fewest() or 0)})"
        return "calibration", f"{num_items} items for the temperature{why}"
    uses = [f"{100 * (1 - wanted.conformal.alpha):g} % prediction sets"] if wanted.conformal else []
    if wanted.max_risk is not None:
        uses.append(f"answering alone with at most {100 * wanted.max_risk:g} % mistakes")
    return "calibration", f"{num_items} items: {first} for the temperature, {second} for {' and '.join(uses)}"


def calibration_warning(config: CampaignConfig, num_items: int) -> str | None:
    """Return a warning where the calibration split cannot give what the settings ask for."""
    from activelora.evaluation import abstention, conformal, thresholds

    if not num_items:
        return None
    wanted = thresholds.wanted(config.evaluation, lambda name: 0)
    _, second = thresholds.sizes(num_items, wanted)
    needs = []
    if wanted.conformal and second < (fewest := conformal.fewest(wanted.conformal.alpha)):
        needs.append(f"{2 * fewest} for prediction sets at evaluation.conformal.alpha {wanted.conformal.alpha:g}")
    if wanted.max_risk and second < (fewest := abstention.fewest(wanted.max_risk, wanted.confidence)):
        needs.append(f"{2 * fewest} to answer alone at evaluation.abstention.max_risk {wanted.max_risk:g}")
    return f"data.calibration_size: {num_items} rows are too few: {', '.join(needs)}" if needs else None
