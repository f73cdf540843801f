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
from activelora.errors import DataError, LabelError, ProblemsError
from activelora.formats.problems import Problems, missing_column
from activelora.formats.reader import read_table
from activelora.formats.row import Row
from activelora.kinds.registry import make_task
from activelora.labeling.counting import raw_of
from activelora.labeling.exchange import label_rows
from activelora.labeling.inbox import ANONYMOUS, NO_ITEM_ID, Answer, parse_file
from activelora.labeling.request import Rejected, Remark
from activelora.labeling.worked import Known
from activelora.pool.content import RowParser, content_columns, item_id, wanted_columns
from activelora.pool.label_readings import LabelReadings
from activelora.pool.profile import as_written, is_blank
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

    Rows speak of an item by ``item_id``, by the columns that the prompt names, or by the user's own id.

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
    if not answers and any(one.line is None or one.reason == NO_ITEM_ID for one in rejected):
        return _of_table(uri, name, content, config)  # its texts or own ids say which items
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
    cuts = config.data.long_texts == "cut"
    parser = RowParser(task, columns, "or_left_out", problems, readings, cuts, needs_id=False)
    wanted = wanted_columns(task, columns, "or_left_out")
    wanted = replace(wanted, required=(), optional=(*wanted.required, *OWN_COLUMNS))  # one of text and id is enough
    parts, found = content_columns(task, columns), list[Foreign]()
    for row in read_table(io.BytesIO(content), name, problems, wanted):
        said = {key: str(row.values[key]).strip() for key in OWN_COLUMNS if row.values.get(key) not in (None, "")}
        made = Foreign(
            f"{uri}:{row.line}", None, None, "", None, said.get("annotator", ANONYMOUS), _time(said.get("labeled_at"))
        )
        if (
            columns.id in row.values
            and not any(part in row.values for part in parts)
            and not wanted.is_export(row.values)
        ):
            found += _by_own_id(made, row, parser, columns.label, problems)
        elif (parsed := parser.parse(row)) is not None:
            item, labels = parsed
            made = replace(made, item_id=item.item_id, source_id=item.source_id)
            votes = labels if isinstance(labels, tuple) else (Vote(labels),) if labels is not None else ()
            for vote in votes:
                annotator, time = vote.annotator or made.annotator, _time(vote.labeled_at) or made.labeled_at
                found.append(replace(made, label=vote.label, annotator=annotator, labeled_at=time))
    problems.refuse()
    return found, [*problems.notes, *readings.warnings(uri)]


def _by_own_id(made: Foreign, row: Row, parser: RowParser, column: str | None, problems: Problems) -> list[Foreign]:
    """Return the label of a row that names its item by the user's own id alone; the item tells how to read it."""
    try:
        source_id = parser.source_id(row)
        if column not in row.values:
            raise missing_column(str(column), row.values.keys(), row.where)
    except DataError as error:
        problems.add(error)
        return []
    written = row.values[column]
    if source_id is None or is_blank(written):
        return []
    return [replace(made, source_id=source_id, written=as_written(written))]


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else time_of({"labeled_at": text})
    except ValueError:
        return None
