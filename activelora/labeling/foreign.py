"""Labels as another campaign or tool has them: which item, which label as it is written, who and when."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from activelora.campaign.campaign import Campaign
from activelora.campaign.frozen import CAMPAIGN_KEY
from activelora.campaign.labels import label_snapshot, time_of
from activelora.campaign.ledger import num_collected
from activelora.campaign.snapshot import Snapshot
from activelora.campaign.store import open_store
from activelora.config import CampaignConfig
from activelora.errors import LabelError, ProblemsError
from activelora.formats.problems import Problems
from activelora.formats.reader import read_table
from activelora.kinds.registry import make_task
from activelora.labeling.counting import raw_of
from activelora.labeling.exchange import label_rows
from activelora.labeling.inbox import ANONYMOUS, Answer, parse_file
from activelora.labeling.request import Rejected, Remark
from activelora.labeling.worked import Known
from activelora.pool.content import RowParser, item_id, wanted_columns
from activelora.pool.label_readings import LabelReadings
from activelora.pool.votes import Vote

OWN_COLUMNS = ("annotator", "labeled_at")


@dataclass(frozen=True)
class Foreign:
    """One label of another campaign or tool.

    Attributes:
        where: Its place, for messages.
        item_id: The item by its content or id; None where only the user's own id is known.
        source_id: The user's own id, where there is one.
        written: The label as it is written there.
        label: The label, where it was read already.
        annotator: Who gave it.
        labeled_at: When; None where nobody says.
    """

    where: str
    item_id: str | None
    source_id: str | None = None
    written: str | int = ""
    label: int | str | None = None
    annotator: str = ANONYMOUS
    labeled_at: datetime | None = None


def is_campaign(uri: str) -> bool:
    """Tell whether a campaign lies there."""
    if "://" not in uri and not Path(uri).is_dir():
        return False
    return open_store(uri).exists(CAMPAIGN_KEY)


def of_campaign(uri: str, config: CampaignConfig) -> list[Foreign]:
    """Return the labels that count in another campaign, one an item.

    Args:
        uri: The other campaign.
        config: Settings of the campaign that they are for: its columns make an item.
    """
    other = Snapshot(Campaign.open(uri, to_read=True))
    snapshot = label_snapshot(other, num_collected(other))
    columns = make_task(config.task).columns
    found = []
    for row in label_rows(other, snapshot):
        fields = {name: row["fields"][name] for name in columns if name in row["fields"]}
        same = item_id(fields, tuple(row["choices"])) if len(fields) == len(columns) else None
        where = f"{uri} {row['item_id']}"
        annotator = row["annotator"] or ANONYMOUS
        found.append(Foreign(where, same, row["source_id"], row["label"], None, annotator, time_of(row)))
    return found


def of_file(uri: str, config: CampaignConfig) -> tuple[list[Foreign], list[str]]:
    """Return the labels of a table or of a labelling tool's export, and what is to be said of it.

    Rows speak of an item by ``item_id``, or by the columns that the prompt names.

    Raises:
        LabelError: The file is not there.
        ProblemsError: Rows that cannot be read.
    """
    folder, slash, name = uri.rpartition("/")
    try:
        content = open_store(folder or slash or ".").read(name)
    except KeyError:
        raise LabelError("there is no such file", where=uri) from None
    answers, remarks, rejected = list[Answer](), list[str](), list[Rejected]()
    for one in parse_file(name, content, Known.of(config)):
        if isinstance(one, Remark):
            remarks.append(one.reason)
        elif isinstance(one, Rejected):
            rejected.append(one)
        else:
            answers.append(one)
    if not answers and any(one.line is None for one in rejected):  # it has no ids: then its texts say which items
        return _of_table(uri, name, content, config)
    if rejected:
        raise ProblemsError([LabelError(one.reason, where=f"{uri}:{one.line or ''}".rstrip(":")) for one in rejected])
    return [_of_answer(uri, one) for one in answers if not one.skipped], remarks


def _of_answer(uri: str, answer: Answer) -> Foreign:
    written = raw_of(answer)
    return Foreign(f"{uri}:{answer.line}", answer.item_id, None, written, None, answer.annotator, answer.labeled_at)


def _of_table(uri: str, name: str, content: bytes, config: CampaignConfig) -> tuple[list[Foreign], list[str]]:
    task, problems = make_task(config.task), Problems()
    columns = config.data.columns
    columns = columns.model_copy(update={"label": columns.label or "label"})
    readings = LabelReadings(task, config.data.label_numbers)
    parser = RowParser(task, columns, "or_left_out", problems, readings, config.data.long_texts == "cut")
    wanted = wanted_columns(task, columns, "or_left_out")
    wanted = replace(wanted, optional=(*wanted.optional, *OWN_COLUMNS))
    found = []
    for row in read_table(io.BytesIO(content), name, problems, wanted):
        if (parsed := parser.parse(row)) is None:
            continue
        item, labels = parsed
        said = {key: str(row.values[key]).strip() for key in OWN_COLUMNS if row.values.get(key) not in (None, "")}
        votes = labels if isinstance(labels, tuple) else (Vote(labels),) if labels is not None else ()
        for vote in votes:
            found.append(
                Foreign(
                    f"{uri}:{row.line}",
                    item.item_id,
                    item.source_id,
                    label=vote.label,
                    annotator=vote.annotator or said.get("annotator", ANONYMOUS),
                    labeled_at=_time(vote.labeled_at or said.get("labeled_at")),
                )
            )
    problems.refuse()
    return found, [*problems.notes, *readings.warnings(uri)]


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else time_of({"labeled_at": text})
    except ValueError:
        return None
