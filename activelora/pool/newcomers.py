"""The rows of files that are new in a pool's source, one file after the other: which items they are, without texts.

A file that cannot be read, or that contradicts one before it, is left for a later refresh as a whole, and that is said:
one bad file does not keep the others out, and stops no campaign.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from activelora.campaign.records import Item, Label
from activelora.config import CampaignConfig
from activelora.errors import ActiveLoRAError, DataError, ProblemsError
from activelora.formats.problems import Problems
from activelora.pool.census import Census
from activelora.pool.content import RowParser, wanted_columns
from activelora.pool.files import SourceFile
from activelora.pool.readers import rows_of_file
from activelora.pool.survey import label_use
from activelora.progress import track
from activelora.tasks.task import Task


@dataclass
class Newcomers:
    """The items of some files.

    Attributes:
        labels: Gold label of each item, by id; None where it has none.
        num_rows: Rows of the files that were taken.
        taken: Names of the files that were taken, in order.
        problems: Why the others were not, in words.
        notes: What is to be said of the files that were, in words.
    """

    labels: dict[str, Label | None] = field(default_factory=dict)
    num_rows: int = 0
    taken: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def survey_files(config: CampaignConfig, task: Task, files: Mapping[str, SourceFile]) -> Newcomers:
    """Read files, in the order of their names, for their items and labels.

    Args:
        config: The campaign's settings.
        task: Its task.
        files: The files by name.
    """
    found, dropped = Newcomers(), set[str]()
    for name in sorted(files):
        problems = Problems()
        try:
            census = _census(config, task, files[name], problems)
            disputed = _disputed(found.labels, census)
            if disputed and config.data.contradictions == "refuse":
                problem = f"{len(disputed)} items are labelled otherwise in other new files, first {min(disputed)}"
                raise DataError(problem, remedy="Keep one of the labels, or set `data.contradictions: drop`.")
        except ActiveLoRAError as error:
            found.problems.append(f"{name}: {_first(error)}")
            continue
        dropped |= disputed
        for item_id in census:
            if found.labels.get(item_id) is None:
                found.labels[item_id] = census.label(item_id)
        found.num_rows += census.num_rows
        found.taken.append(name)
        found.notes += [f"{name}: {note}" for note in problems.notes]
    for item_id in dropped:
        del found.labels[item_id]
    return found


def read_items(config: CampaignConfig, task: Task, files: Mapping[str, SourceFile]) -> Iterator[Item]:
    """Yield the items of files, row by row, in the order of the files' names; the same item as often as it is there."""
    for name in sorted(files):
        problems = Problems()
        parser = RowParser(task, config.data.columns, "ignored", problems, None, config.data.long_texts == "cut")
        wanted = wanted_columns(task, config.data.columns, "ignored")
        for row in track(rows_of_file(files[name], wanted, problems), f"reading {name}", None):
            if parsed := parser.parse(row):
                yield parsed[0]


def _census(config: CampaignConfig, task: Task, file: SourceFile, problems: Problems) -> Census:
    use, columns = label_use(config, "pool"), config.data.columns
    census = Census(task, problems, config.data.contradictions == "drop", config.data.label_numbers)
    parser = RowParser(task, columns, use, problems, census.readings, config.data.long_texts == "cut")
    for row in track(rows_of_file(file, wanted_columns(task, columns, use), problems), f"reading {file.name}", None):
        if parsed := parser.parse(row):
            census.add(*parsed, row)
    census.settle(needs_label=use == "or_left_out")
    problems.refuse()
    return census


def _disputed(labels: Mapping[str, Label | None], census: Census) -> set[str]:
    """Return the items that have a label already, and another one in a further file."""
    return {
        item_id
        for item_id in census
        if None not in (known := {labels.get(item_id), census.label(item_id)}) and len(known) > 1
    }


def _first(error: ActiveLoRAError) -> str:
    """Return the first of some problems, and how many there are."""
    if not isinstance(error, ProblemsError):
        return str(error)
    first, *others = error.problems
    return f"{first}{f' (and {len(others)} more problems)' if others else ''}"
