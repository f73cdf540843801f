"""The report's first sentences: what the labels bought, told so that no loss is hidden and no gain is made up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from activelora.campaign.history import RoundRecord, evaluated
from activelora.campaign.snapshot import Snapshot
from activelora.config.campaign import CampaignConfig
from activelora.evaluation.headline import Headline
from activelora.evaluation.headline_values import sign_of
from activelora.evaluation.paired import Paired, compare, compare_metric
from activelora.evaluation.primary import statistic_of
from activelora.kinds.registry import headline_of, wanted_of
from activelora.tracking.report_words import joined, percent, significant

PREDICTIONS = "predictions.parquet"


def gain_over(campaign: Snapshot, before: RoundRecord | None, after: RoundRecord | None) -> Paired | None:
    """Return what a round gained over an earlier one on the same items; None where that cannot be told.

    It is gained in the primary metric: right answers one by one where that is accuracy.
    """
    if before is None or after is None or before.round == after.round:
        return None
    manifests = [record.evaluation for record in (before, after) if record.evaluation is not None]
    if len(manifests) < 2 or any(PREDICTIONS not in manifest.files for manifest in manifests):
        return None
    tables = [campaign.table(manifest, PREDICTIONS) for manifest in manifests]
    settings, seed = campaign.config.evaluation, campaign.campaign.seed("bootstrap")
    level, num_resamples, wanted = settings.confidence_level, settings.bootstrap_samples, wanted_of(campaign.config)
    if not wanted.metric:
        return compare(*tables, level=level, num_resamples=num_resamples, seed=seed)
    return compare_metric(
        tables[0],
        tables[1],
        partial(statistic_of, wanted.metric, wanted=wanted),
        lower_is_better=headline_of(campaign.config).lower_is_better,
        level=level,
        num_resamples=num_resamples,
        seed=seed,
    )


def summary(
    best: RoundRecord | None,
    zero_shot: RoundRecord | None,
    level: float,
    headline: Headline,
    gain: Paired | None = None,
) -> str:
    """Return the result in one sentence.

    Args:
        best: The round that the report is about.
        zero_shot: Round 0, if it was measured.
        level: Confidence level of the intervals, in (0, 1).
        headline: The metric that is reported.
        gain: What the round gained over round 0, item by item; None where that is not known.
    """
    if best is None:
        return "Nothing has been measured yet."
    show = percent if headline.is_share else significant
    metrics, name = best.metrics, headline.metric
    value, num = show(metrics[name]), int(metrics["num_holdout"])
    said = f"answers {value} of {num} unseen items correctly"
    if headline.verb:
        said = f"{headline.verb} {value} {headline.word} on {num} unseen items{_counted(best, headline)}"
    elif not headline.is_share:
        said = f"is off by {value} ({headline.title}) on {num} unseen items"
    how_good = f"{said} ({level:.0%} interval {show(metrics[f'{name}_low'])} to {show(metrics[f'{name}_high'])})"
    if best.round == 0:
        return f"Before any training, the base model {how_good}."
    text = f"With {best.num_labels} labels, the model {how_good}"
    if zero_shot is None:
        return f"{text}; the base model was not measured, so no gain can be told."
    return f"{text}: {_against_base(best, zero_shot, headline, gain)}."


def _counted(record: RoundRecord, headline: Headline) -> str:
    """Return how many of the items a metric of one label rests on."""
    if headline.counted == "num_holdout" or headline.counted not in record.metrics:
        return ""
    return f", {record.metrics[headline.counted]:.0f} of them with the label,"


def _against_base(best: RoundRecord, base: RoundRecord, headline: Headline, gain: Paired | None) -> str:
    """Return the difference to the base model in words: a gain, a loss, or neither yet."""
    show, name = percent if headline.is_share else significant, headline.metric
    before = show(base.metrics[name])
    better = sign_of(headline) * (best.metrics[name] - base.metrics[name])
    difference = f"{100 * abs(better):.1f} points" if headline.is_share else show(abs(better))
    if better == 0:
        return f"as good as the base model before training ({before}), and not shown to be better yet"
    side = "better" if better > 0 else "worse"
    sure = gain.is_sure if gain is not None else not _overlap(best, base, headline)
    if side == "worse":
        text = f"a loss of {difference} against the base model before training ({before})"
        return f"{text}, more than chance explains" if sure else f"{text}, which may be chance"
    if not sure:
        why = _by_items(gain) if gain is not None else "the intervals overlap"
        return f"not shown to be better yet than the base model before training ({before}); {why}"
    text = f"{difference} {side} than the base model before training ({before})"
    return f"{text}, more than chance explains{_paired_words(best, base, headline, gain)}"


def _paired_words(best: RoundRecord, base: RoundRecord, headline: Headline, gain: Paired | None) -> str:
    if gain is None or not _overlap(best, base, headline):
        return ""
    return f", though the two intervals overlap: {_by_items(gain)}"


def _by_items(gain: Paired) -> str:
    """Return what the paired test counted."""
    if gain.num_won is None:
        return (
            f"on resamples of the same {gain.num_items} items the difference is {gain.low:+.3f} to {gain.high:+.3f} "
            f"({gain.level:.0%} interval)"
        )
    if gain.p_value is None:
        return f"of the same {gain.num_items} items it comes nearer on {gain.num_won} and less near on {gain.num_lost}"
    chance = "below 0.001" if gain.p_value < 0.001 else f"{gain.p_value:.3f}"
    return (
        f"of the same {gain.num_items} items {gain.num_won} became right and {gain.num_lost} wrong "
        f"(McNemar's test: p {chance})"
    )


def _overlap(one: RoundRecord, other: RoundRecord, headline: Headline) -> bool:
    (low, high), (other_low, other_high) = (
        (record.metrics[f"{headline.metric}_low"], record.metrics[f"{headline.metric}_high"]) for record in (one, other)
    )
    return bool(low <= other_high and other_low <= high)


def losses(records: Sequence[RoundRecord], headline: Headline) -> str:
    """Return which trained rounds were worse than the base model; empty where none was, or the base is not known."""
    done, name = evaluated(list(records)), headline.metric
    if not done or done[0].round != 0:
        return ""
    sign, base = sign_of(headline), done[0].metrics[name]
    worse = [record for record in done[1:] if sign * (record.metrics[name] - base) < 0]
    if not worse:
        return ""
    show = percent if headline.is_share else significant
    rounds = [f"{record.round} ({show(record.metrics[name])})" for record in worse]
    is_all = len(worse) == len(done) - 1 and len(worse) > 1
    which = "Every trained round" if is_all else f"Round{'s' * (len(worse) > 1)} {joined(rounds)}"
    return f"{which} {'were' if len(worse) > 1 and not is_all else 'was'} worse than the base model ({show(base)})."


def usability(best: RoundRecord | None, is_champion: bool, config: CampaignConfig) -> str:
    """Return whether there is a model to use, and if not, why not."""
    if best is None or best.round == 0:
        return "There is no trained model yet." if best is not None else ""
    if is_champion:
        return f"Round {best.round} is the champion: it passed every gate, and is the model to use."
    gates = best.evaluation.details["gates"]["reasons"] if best.evaluation else []
    why = f" Round {best.round}, the last one measured, did not pass: {'; '.join(gates)}." if gates else ""
    return f"No round has passed the gates, so there is no model to use yet.{why}"
