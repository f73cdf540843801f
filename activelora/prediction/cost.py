"""What it costs to predict with the posterior's mean alone: measured on the holdout, where the campaign is in reach."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from activelora.campaign.campaign import Campaign
from activelora.campaign.frozen import CAMPAIGN_KEY
from activelora.campaign.manifest import Unit
from activelora.errors import ActiveLoRAError
from activelora.kinds.registry import headline_of, make_task, settings_of
from activelora.pool import access
from activelora.prediction.bundle import Bundle
from activelora.prediction.model_card import Cost
from activelora.scoring import averaged

_NUM_RESAMPLES = 100
"""Intervals are computed and not used."""


def campaign_of(bundle: Bundle) -> tuple[Campaign | None, str]:
    """Return the campaign that a model is of, or None and why it cannot be read here."""
    uri = str(bundle.provenance["campaign"])
    try:
        campaign = Campaign.open(uri, to_read=True)
        digest = json.loads(campaign.store.read(CAMPAIGN_KEY))["digest"]
    except (ActiveLoRAError, OSError, KeyError, ValueError):
        return None, f"the campaign at {uri} is out of reach"
    if digest != bundle.provenance["campaign_digest"]:
        return None, f"another campaign is at {uri} now"
    return campaign, ""


def cost_of_mean(bundle: Bundle) -> Cost:
    """Return what predicting without samples costs in the headline metric and in NLL."""
    num_samples = bundle.config.evaluation.num_samples
    if num_samples == 0:
        return Cost(0)
    campaign, reason = campaign_of(bundle)
    if campaign is None:
        return Cost(num_samples, reason=reason)
    task = make_task(bundle.config.task)
    if task.kind.writes:
        return Cost(num_samples, reason="answers are written by the mean adapter in any case; samples only judge them")
    document = campaign.read_json(campaign.require(Unit("evaluate_adapter", bundle.round)), "evaluation.json")
    mean = _measured(bundle, campaign)
    return Cost(num_samples, {name: _as_given(document, name) for name in mean}, mean)


def _measured(bundle: Bundle, campaign: Campaign) -> dict[str, float]:
    """Return the metrics of the mean on the holdout."""
    from activelora.scoring.predict import Predictor

    config, task = bundle.config, make_task(bundle.config.task)
    items, labels_N = access.holdout(campaign)
    with Predictor.of(config, bundle.adapter, bundle.mask_seed) as predictor:
        said_NKC = averaged.log_probs(predictor, items, 0, where=campaign.store.uri, description="the mean's cost")
    log_probs_NC = averaged.over_samples(said_NKC, bundle.readings.prior)
    settings = replace(settings_of(config), num_resamples=_NUM_RESAMPLES, seed=0)
    judge = task.kind.judge_of(task)
    document: dict[str, Any] = judge.evaluate(log_probs_NC, labels_N, settings) | {"scaled": None}
    if bundle.readings.temperature is not None:
        document["scaled"] = judge.evaluate_scaled(log_probs_NC, labels_N, bundle.readings.scale, settings)
    names = dict.fromkeys((headline_of(config).metric, "nll"))
    return {name: _as_given(document, name) for name in names}


def _as_given(document: dict[str, Any], name: str) -> float:
    """Return a metric of the probabilities that are given out: with the temperature, where there is one."""
    scaled = (document["scaled"] or {}).get("metrics", {})
    return float(scaled.get(name, document["metrics"][name]))
