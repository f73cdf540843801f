"""Which round's adapter is the champion: a pure function of the manifests, so that any replay agrees."""

from __future__ import annotations

from collections.abc import Mapping

from activelora.campaign.ledger import finished_units
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.snapshot import View, snapshot_of
from activelora.config import GatesConfig
from activelora.evaluation.headline import Headline
from activelora.evaluation.headline_values import is_worse, worse_side

GATES = tuple(name for name in GatesConfig.model_fields if name.startswith(("min_", "max_")))
"""The conditions, a metric each."""


def champion(campaign: View, before_round: int | None = None) -> Manifest | None:
    """Return the evaluation of the champion: the latest round that passed the gates, or None.

    With ``gates.improve_on_champion`` the latest to pass is also the best so far.

    Args:
        campaign: The campaign.
        before_round: Look only at rounds before this one; None looks at all.
    """
    seen = snapshot_of(campaign)
    rounds = [unit.round for unit in finished_units(seen) if unit.step == "evaluate_adapter"]
    for round_ in sorted(rounds, reverse=True):
        if before_round is None or round_ < before_round:
            evaluation = seen.require(Unit("evaluate_adapter", round_))
            if evaluation.details["gates"]["passed"]:
                return evaluation
    return None


def base_of(campaign: View) -> Manifest | None:
    """Return the evaluation of the base model, which round 0 measures; None before it."""
    return snapshot_of(campaign).manifest(Unit("evaluate_adapter", 0))


def gate_failures(
    gates: GatesConfig,
    round_: int,
    metrics: Mapping[str, float],
    present: Manifest | None,
    headline: Headline,
    base: Manifest | None = None,
) -> list[str]:
    """Return why an adapter may not become champion, in words; an empty list lets it pass.

    Args:
        gates: The campaign's conditions: ``min_`` or ``max_`` and a metric each.
        round_: The adapter's round. Round 0 has no adapter, so it never passes.
        metrics: Its evaluation's metrics.
        present: The evaluation of the champion so far.
        headline: The metric in which a champion must not be worse than the one before.
        base: The evaluation of the base model.
    """
    if round_ == 0:
        return ["round 0 has no adapter: it measures the base model"]
    digits = ".3f" if headline.is_share else ".4g"
    words = dict(headline.columns)
    reasons = []
    for name in GATES:
        side, _, metric = name.partition("_")
        limit = getattr(gates, name)
        if limit is None:
            continue
        for measured, of in ((metric, ""), (f"refreshed_{metric}", " of the refreshed holdout")):
            value = metrics.get(measured, limit)
            if value < limit if side == "min" else value > limit:
                found = f"{words.get(metric, metric)}{of} {value:{digits}}"
                reasons.append(f"{found} is {'below' if side == 'min' else 'above'} the gate's {limit:{digits}}")
    if gates.primary is not None:
        for measured, of in ((headline.metric, ""), (f"refreshed_{headline.metric}", " of the refreshed holdout")):
            value = metrics.get(measured, gates.primary)
            if is_worse(headline, value, gates.primary):
                found = f"{headline.word}{of} {value:{digits}}"
                reasons.append(f"{found} is {worse_side(headline)} the gate's {gates.primary:{digits}}")
    others = []
    if gates.improve_on_champion and present is not None:
        others.append((present, f"the champion, round {present.round}"))
    if gates.improve_on_base and base is not None:
        others.append((base, "the base model, before any training"))
    for other, name in others:
        value, best = metrics[headline.metric], other.metrics[headline.metric]
        if is_worse(headline, value, best):
            reasons.append(f"{headline.word} {value:{digits}} is {worse_side(headline)} the {best:{digits}} of {name}")
    return reasons
