"""Which round's adapter is the champion: a pure function of the manifests, so that any replay agrees."""

from __future__ import annotations

from collections.abc import Mapping

from activelora.campaign.ledger import finished_units
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.snapshot import View, snapshot_of
from activelora.config import GatesConfig


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


def gate_failures(gates: GatesConfig, round_: int, metrics: Mapping[str, float], present: Manifest | None) -> list[str]:
    """Return why an adapter may not become champion, in words; an empty list lets it pass.

    Args:
        gates: The campaign's conditions.
        round_: The adapter's round. Round 0 has no adapter, so it never passes.
        metrics: Its evaluation's metrics.
        present: The evaluation of the champion so far.
    """
    if round_ == 0:
        return ["round 0 has no adapter: it measures the base model"]
    if "rmse" in metrics:
        return _number_failures(gates, metrics["rmse"], present)
    accuracy, ece = metrics["accuracy"], metrics["ece"]
    reasons = []
    if gates.min_accuracy is not None and accuracy < gates.min_accuracy:
        reasons.append(f"accuracy {accuracy:.3f} is below the gate's {gates.min_accuracy:.3f}")
    if gates.max_ece is not None and ece > gates.max_ece:
        reasons.append(f"ECE {ece:.3f} is above the gate's {gates.max_ece:.3f}")
    if gates.improve_on_champion and present is not None and accuracy < present.metrics["accuracy"]:
        reasons.append(
            f"accuracy {accuracy:.3f} is below the {present.metrics['accuracy']:.3f} of the champion, "
            f"round {present.round}"
        )
    return reasons


def _number_failures(gates: GatesConfig, rmse: float, present: Manifest | None) -> list[str]:
    reasons = []
    if gates.max_rmse is not None and rmse > gates.max_rmse:
        reasons.append(f"RMSE {rmse:.4g} is above the gate's {gates.max_rmse:.4g}")
    if gates.improve_on_champion and present is not None and rmse > present.metrics["rmse"]:
        reasons.append(
            f"RMSE {rmse:.4g} is above the {present.metrics['rmse']:.4g} of the champion, round {present.round}"
        )
    return reasons
