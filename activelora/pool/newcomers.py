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
from activelora.pool.content import LabelUse, RowParser, wanted_columns
from activelora.pool.files import SourceFile
from activelora.pool.known_labels import KnownLabels, known_in, merged
from activelora.pool.label_use import label_use, with_known_column
from activelora.pool.readers import rows_of_file
from activelora.progress import track
from activelora.quantities import quantity
from activelora.tasks.task import Task


@dataclass
class Newcomers:
    """The items of some files.

    Attributes:
        labels: Gold label of each item, by id; None where it has none.
        known: Labels that are to be trained on.
        num_rows: Rows of the files that were taken.
        taken: Names of the files that were taken, in order.
        problems: Why the others were not, in words.
        notes: What is to be said of the files that were, in words.
    """

    labels: dict[str, Label | None] = field(default_factory=dict)
    known: KnownLabels = field(default_factory=KnownLabels)
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
    found, dropped, unsure = Newcomers(), set[str](), set[str]()
    for name in sorted(files):
        problems = Problems()
        try:
            census = _census(config, task, files[name], problems)
            known = _known(config, task, files[name], census)
            disputed = _disputed(found.labels, {item_id: census.label(item_id) for item_id in census})
            contradicted = _disputed(found.known.labels, known.labels)
            if (several := disputed | contradicted) and config.data.contradictions == "refuse":
                problem = (
                    f"{quantity(len(several), 'item')} labelled otherwise in other new files, first {min(several)}"
                )
                raise DataError(problem, remedy="Keep one of the labels, or set `data.contradictions: drop`.")
        except ActiveLoRAError as error:
            found.problems.append(f"{name}: {_first(error)}")
            continue
        dropped |= disputed
        unsure |= disputed | contradicted
        found.known = merged([known, found.known])
        for item_id in census:
            if found.labels.get(item_id) is None:
                found.labels[item_id] = census.label(item_id)
        found.num_rows += census.num_rows
        found.taken.append(name)
        found.notes += [f"{name}: {note}" for note in problems.notes]
    for item_id in dropped:
        del found.labels[item_id]
    found.known = found.known.without(unsure)
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


def _census(
    config: CampaignConfig, task: Task, file: SourceFile, problems: Problems, use: LabelUse | None = None
) -> Census:
    use, columns = use or label_use(config, "pool"), config.data.columns
    census = Census(task, problems, config.data.contradictions == "drop", config.data.label_numbers)
    parser = RowParser(task, columns, use, problems, census.readings, config.data.long_texts == "cut")
    for row in track(rows_of_file(file, wanted_columns(task, columns, use), problems), f"reading {file.name}", None):
        if parsed := parser.parse(row):
            census.add(*parsed, row)
    census.settle(needs_label=use == "or_left_out")
    problems.refuse()
    return census


def _known(config: CampaignConfig, task: Task, file: SourceFile, census: Census) -> KnownLabels:
    """Return the labels of a file that are to be trained on.

    Args:
        config: The campaign's settings.
        task: Its task.
        file: The file.
        census: What it holds, by the column of gold labels.
    """
    if config.known_labels != "train" or config.known_labels_column is None:
        return KnownLabels()
    if (other := with_known_column(config)) is not None:
        census = _census(other, task, file, Problems(), "optional")
    return known_in(census, frozenset(census))


def _disputed(labels: Mapping[str, Label | None], others: Mapping[str, Label | None]) -> set[str]:
    """Return the items that have a label already, and another one in a further file."""
    return {
        item_id
        for item_id, label in others.items()
        if None not in (known := {labels.get(item_id), label}) and len(known) > 1
    }


def _first(error: ActiveLoRAError) -> str:
    """Return the first of some problems, and how many there are."""
    if not isinstance(error, ProblemsError):
        return str(error)
    first, *others = error.problems
    return f"{first}{f' (and {len(others)} more problems)' if others else ''}"
