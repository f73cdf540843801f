"""score_pool: how uncertain is the model about each item of a pool shard?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from activelora.acquisition.registry import measures_read, needs_of
from activelora.acquisition.seed_set import acquisition_in, is_scored, measures_scored, scores_pool
from activelora.acquisition.strategy import EMBEDDINGS, FEATURES, GRADIENTS, SAMPLES
from activelora.campaign.campaign import Attempt, Campaign
from activelora.campaign.labels import label_snapshot
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import Item, Label
from activelora.campaign.refreshes import pool_now, pool_of
from activelora.campaign.snapshot import View, snapshot_of
from activelora.kinds.registry import make_task
from activelora.pool.access import gold_labels, shard_items
from activelora.scoring.table import score_table, text_score_table, unscored_table
from activelora.uncertainty.label_prior import correct, fitted
from activelora.uncertainty.measures import MEASURES, NUMBER_MEASURES
from activelora.uncertainty.semantic_entropy import MEANING_MEASURES, score_meanings
from activelora.uncertainty.text_measures import ORACLE_NLL, answer_nll, score_texts

if TYPE_CHECKING:
    from activelora.scoring.predict import Predictor
    from activelora.scoring.two_stage import Plan


def run(campaign: View, round_: int, shard: int) -> Manifest:
    """Score the unlabelled items of one shard with the round's model.

    Round 0 is the base model: its scores are STAR's base uncertainty in every later round. A shard that a refresh of
    the pool has brought gets them first, when it is scored for the first time. Where the strategy needs embeddings or
    features, the labelled items get theirs too, with the same model.

    Args:
        campaign: The campaign.
        round_: The round.
        shard: The pool shard.
    """
    unit, seen = Unit("score_pool", round_, shard), snapshot_of(campaign)
    campaign = seen.campaign
    if done := campaign.manifest(unit):
        return done
    acquisition = campaign.config.acquisition
    if round_ > 0 and is_scored(acquisition, round_) and shard >= pool_of(seen, 0).num_shards:
        run(seen, 0, shard)
    begin = time.monotonic()
    attempt = campaign.attempt(unit)
    parts = pool_now(seen)
    attempt.reads(parts.manifests[0])
    attempt.reads(parts.manifest_of(shard))
    labeled = label_snapshot(seen, round_).labels
    needs = needs_of(acquisition_in(acquisition, round_))
    all_items = shard_items(seen, shard, parts)
    items = [item for item in all_items if needs & {EMBEDDINGS, FEATURES} or item.item_id not in labeled]
    item_ids = [item.item_id for item in items]
    num_samples, staged = 0, dict[str, float]()
    if items and scores_pool(campaign.config, round_):
        table, num_samples, staged = _table(attempt, items, all_items, needs, labeled)
        attempt.write_table("scores.parquet", table)
    else:
        attempt.write_table("scores.parquet", unscored_table(item_ids))
    num_scored = sum(item_id not in labeled for item_id in item_ids)
    seconds = time.monotonic() - begin
    return attempt.commit({"num_scored": num_scored, "num_samples": num_samples, **staged, "seconds": seconds})


def _table(
    attempt: Attempt,
    items: list[Item],
    all_items: list[Item],
    needs: frozenset[str],
    labeled: Mapping[str, Label],
) -> tuple[pa.Table, int, dict[str, float]]:
    """Predict the items; return the table of their scores, the number of samples, and metrics of two-stage scoring."""
    task, item_ids = make_task(attempt.campaign.config.task), [item.item_id for item in items]
    if task.kind.writes:
        measures, prompts_ND, num_samples = _predict_texts(attempt, items)
        embeddings_ND = prompts_ND if needs & {EMBEDDINGS, FEATURES} else None
        return text_score_table(item_ids, measures, embeddings_ND=embeddings_ND, labeled=labeled), num_samples, {}
    differs = FEATURES in needs and task.kind.compares_answers
    embeds = EMBEDDINGS in needs or (FEATURES in needs and not differs)
    log_probs_NKC, embeddings_ND, differences_ND, staged = _predict(attempt, items, all_items, labeled, embeds, differs)
    table = score_table(
        item_ids,
        log_probs_NKC,
        values_C=None if task.values is None else np.array(task.values),
        with_samples=SAMPLES in needs,
        embeddings_ND=embeddings_ND,
        differences_ND=differences_ND,
        labeled=labeled,
        gradient_lengths_N=_gradient_lengths(attempt, items, log_probs_NKC) if GRADIENTS in needs else None,
        halved=_halved(attempt.campaign, attempt.unit.round),
    )
    return table, log_probs_NKC.shape[1], staged


def _halved(campaign: Campaign, round_: int) -> str | None:
    """Return the measure that the round's strategy ranks by, where it is one."""
    config = campaign.config
    read = sorted(measures_read(acquisition_in(config.acquisition, round_)) & set(make_task(config.task).kind.measures))
    return read[0] if len(read) == 1 and read[0] in {*MEASURES, *NUMBER_MEASURES} else None


def _predict_texts(
    attempt: Attempt, items: list[Item]
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float32], int]:
    """Return measures of the model's own answers (of the gold ones where they are read), embeddings and K."""
    from activelora.scoring.predict import Predictor

    campaign, round_ = attempt.campaign, attempt.unit.round
    if round_ > 0:
        attempt.reads(campaign.require(Unit("train_adapter", round_)))
    num_samples = 0 if round_ == 0 else campaign.config.scoring.num_samples
    reduction = campaign.config.task.reduction
    with Predictor.load(campaign, round_) as predictor:
        answers = predictor.write_answers(items, "writing the pool's answers")
        scores, embeddings_ND = predictor.rescore(items, answers, num_samples, "scoring the pool's answers")
        measures, read = score_texts(scores, reduction), measures_scored(campaign.config.acquisition, round_)
        if not read.isdisjoint(MEANING_MEASURES):
            measures |= _meanings(campaign, round_, predictor, items)
        if ORACLE_NLL in read:
            gold = gold_labels(campaign, [item.item_id for item in items], attempt.unit.shard)
            texts = [predictor.encode_text(str(gold[item.item_id])) for item in items]
            scores, _ = predictor.rescore(items, texts, num_samples, "scoring the gold answers")
            measures[ORACLE_NLL] = np.array([answer_nll(one, reduction) for one in scores])
    return measures, embeddings_ND, max(num_samples, 1)


def _meanings(
    campaign: Campaign, round_: int, predictor: Predictor, items: list[Item]
) -> dict[str, NDArray[np.float64]]:
    """Return measures of what K answers mean, each drawn from a sample of the posterior."""
    from activelora.modeling import nli
    from activelora.scoring.drawing import different, meanings_of, same_answers
    from activelora.scoring.entailments import same_by_entailment

    config, task = campaign.config, make_task(campaign.config.task)
    named = config.scoring.nli
    with nullcontext() if named is None else nli.loaded(named) as entails:  # before hours of drawing
        drawn = predictor.draw_answers(items, config.scoring.num_samples, campaign.seed("draw_answers", round_))
        if entails is None:
            same = same_answers(task.kind.written_judge_of(task).means_the_same)
        else:
            texts = [different([predictor.decode_text(one.ids) for one in answers]) for answers in drawn]
            same = same_by_entailment(items, [task.queries(item)[0].prompt for item in items], texts, entails)
    meanings = [
        meanings_of(item, answers, predictor.decode_text, same, config.task.reduction)
        for item, answers in zip(items, drawn, strict=True)
    ]
    return score_meanings(meanings, [item.item_id for item in items])


def _predict(
    attempt: Attempt,
    items: list[Item],
    all_items: list[Item],
    labeled: Mapping[str, Label],
    embeds: bool,
    differs: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float32] | None, NDArray[np.float32] | None, dict[str, float]]:
    """Return log_probs_NKC, corrected for the label prior where asked, and metrics.

    Between them embeddings_ND and differences_ND, if they are wanted: either comes with the predictions, and both take
    one more pass.
    """
    from activelora.scoring.predict import Predictor
    from activelora.scoring.two_stage import predict

    campaign, round_ = attempt.campaign, attempt.unit.round
    config = campaign.config
    if round_ > 0:
        attempt.reads(campaign.require(Unit("train_adapter", round_)))
    evaluation = attempt.reads(campaign.require(Unit("evaluate_adapter", round_)))
    prior = campaign.read_json(evaluation, "evaluation.json")["label_prior"]

    def adjust(log_probs_NKC: NDArray[np.float64]) -> NDArray[np.float64]:
        if prior is None:
            return log_probs_NKC
        return correct(log_probs_NKC, fitted(np.array(prior), log_probs_NKC.shape[-1]))

    num_samples = 0 if round_ == 0 else config.scoring.num_samples
    with Predictor.load(campaign, round_) as loaded:
        predictor, vectors_ND, differences_ND = loaded.among(all_items), None, None
        if differs:
            differing = predictor.of_differences()
            if embeds:
                _, differences_ND = differing.log_probs_and_embeddings(items, num_samples, "comparing the answers")
            else:
                predictor = differing
        if config.scoring.two_stage is not None and num_samples > 0:
            candidates = [index for index, item in enumerate(items) if item.item_id not in labeled]
            plan = _plan(campaign, config.scoring.two_stage, adjust)
            staged = predict(predictor, items, candidates, num_samples, plan, embeds or differs)
            log_probs_NKC, vectors_ND, metrics = staged.log_probs_NKC, staged.embeddings_ND, staged.metrics
        elif embeds or differs:
            found_NKC, vectors_ND = predictor.log_probs_and_embeddings(items, num_samples, "scoring the pool")
            log_probs_NKC, metrics = adjust(found_NKC), {}
        else:
            log_probs_NKC, metrics = adjust(predictor.log_probs(items, num_samples, "scoring the pool")), {}
    if differs and not embeds:
        return log_probs_NKC, None, vectors_ND, metrics
    return log_probs_NKC, vectors_ND, differences_ND, metrics


def _plan(campaign: Campaign, share: float, adjust: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Plan:
    """Return how two-stage scoring goes; its recall is of the measures that the strategy reads."""
    from activelora.scoring.two_stage import FIRST_MEASURE, Plan

    acquisition = campaign.config.acquisition
    task = make_task(campaign.config.task)
    values_C = None if task.values is None else np.array(task.values)
    measures = sorted(measures_read(acquisition) & set(task.kind.measures)) or [FIRST_MEASURE]
    return Plan(share, acquisition.batch_size, measures, campaign.seed("two_stage"), adjust, values_C)


def _gradient_lengths(attempt: Attempt, items: list[Item], log_probs_NKC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return every item's expected gradient length under its mean distribution."""
    from activelora.scoring.gradient_length import expected_gradient_lengths

    probs_NC = np.exp(log_probs_NKC).mean(axis=1)
    return expected_gradient_lengths(attempt.campaign, attempt.unit.round, items, probs_NC)
