"""What the data of a campaign holds, before anything is written: for ``activelora check``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from activelora.campaign.records import Item
from activelora.config import CampaignConfig
from activelora.pool.survey import survey_data
from activelora.tasks.task import Task


@dataclass(frozen=True)
class DataSummary:
    """Counts of the data that ``ingest_pool`` would take in.

    Attributes:
        num_pool: Items that can be asked about.
        num_holdout: Items that the result is measured on.
        num_calibration: Items for temperature scaling.
        num_duplicates: Rows of all sources whose content was there already.
        num_overlap: Pool items taken out because the holdout has them too.
        num_left_out: Pool items left out by ``limit``.
        holdout_labels: Label name to number of holdout items; for multiple choice, by the answer's number from 0.
        longest_chars: Length of the longest item, fields and choices together.
        sample: The first item of the pool's source.
        warnings: What is allowed but looks wrong, in words.
        num_known: Pool items that have a label already and are trained on.
        known_labels: Label name to number of these items.
        label_numbers: `number = label` to rows of all sources in which a number was read so.
    """

    num_pool: int
    num_holdout: int
    num_calibration: int
    num_duplicates: int
    num_overlap: int
    num_left_out: int
    holdout_labels: dict[str, int]
    longest_chars: int
    sample: Item
    warnings: tuple[str, ...]
    label_numbers: dict[str, int] = field(default_factory=dict)
    known_labels: dict[str, int] = field(default_factory=dict)
    num_known: int = 0


def inspect_data(config: CampaignConfig, task: Task) -> DataSummary:
    """Read all sources and return what they hold.

    Args:
        config: The campaign's settings.
        task: Its task.

    Raises:
        ProblemsError: Everything that is wrong with them.
    """
    survey = survey_data(config, task)
    sample = survey.pool.sample
    numbers = Counter(dict(survey.pool.readings.by_name()))
    if survey.labeled is not survey.pool:
        numbers.update(dict(survey.labeled.readings.by_name()))
    assert sample is not None, "a survey has at least one pool item"  # noqa: S101
    return DataSummary(
        num_pool=len(survey.pool_ids),
        num_holdout=len(survey.holdout_ids),
        num_calibration=len(survey.calibration_ids),
        num_duplicates=survey.num_duplicates,
        num_overlap=survey.num_overlap,
        num_left_out=survey.num_left_out,
        holdout_labels=task.label_counts(survey.labeled.label_counts(survey.holdout_ids)),
        longest_chars=max(survey.pool.longest_chars, survey.labeled.longest_chars),
        sample=sample,
        warnings=survey.warnings,
        label_numbers=dict(numbers),
        known_labels=task.label_counts(survey.known.counts()),
        num_known=len(survey.known),
    )
