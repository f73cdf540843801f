"""The values of a label column, ready to copy into a campaign file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from activelora.errors import ActiveLoRAError, ConfigError, LabelError
from pipelines.cli.yaml_lines import yaml_list

if TYPE_CHECKING:
    from activelora.config import CampaignConfig, SourceConfig
    from activelora.config.document import Document
    from activelora.pool.profile import Column

_MAX_LISTED = 100


def label_hint(config: CampaignConfig, problems: Iterable[ActiveLoRAError]) -> str:
    """Return what the label columns of a campaign's data hold, if labels are what is wrong; else nothing.

    Args:
        config: The campaign's settings.
        problems: What is wrong.
    """
    data = config.data
    if data.columns.label is None or not any(map(_is_about_labels, problems)):
        return ""
    sources = {"data.pool": data.pool, "data.holdout": data.holdout}
    found = {key: _column(one, data.folder, data.columns.label) for key, one in sources.items() if one is not None}
    return "\n".join(_in_words(key, column, config) for key, column in found.items() if column is not None)


def hint_of_document(document: Document, file: Path, problems: Iterable[ActiveLoRAError]) -> str:
    """Return the hint of :func:`label_hint` for settings that cannot be, as far as they tell where labels are.

    Args:
        document: The settings.
        file: The campaign file.
        problems: What is wrong.
    """
    from activelora.config.file import as_far_as_valid, with_folder

    problems = [*problems]
    if not any(map(_is_about_labels, problems)):
        return ""
    config = with_folder(as_far_as_valid(document.settings), file)
    return label_hint(config, problems)


def _is_about_labels(problem: ActiveLoRAError) -> bool:
    if isinstance(problem, LabelError):
        return True
    is_setting = isinstance(problem, ConfigError) and problem.key in ("task", "task.labels")
    return is_setting and "label" in problem.problem


def _column(source: SourceConfig, folder: str, name: str) -> Column | None:
    """Return what a label column holds; None where that cannot be read, which other problems tell."""
    from activelora.pool.profile import EXPORTED_LABEL, profile_of

    try:
        found = profile_of(source, folder, name)
    except ActiveLoRAError:
        return None
    return found.columns.get(name if found.tool is None else EXPORTED_LABEL)


def _in_words(key: str, column: Column, config: CampaignConfig) -> str:
    from activelora.kinds.registry import get_kind

    try:
        takes_several = get_kind(config.task.kind).takes_several
    except ConfigError:
        takes_several = False
    values = column.parts if takes_several or column.is_lists else column.values
    where = f"the label column `{column.name}` of {key}"
    if not column.num_filled:
        return f"{where} is empty"
    if values is None:
        return f"{where} holds more different values than are counted"
    this = "this value" if len(values) == 1 else f"these {len(values)} values"
    listed = yaml_list(value for value, _ in values.most_common(_MAX_LISTED))
    more = f" (and {len(values) - _MAX_LISTED} more)" if len(values) > _MAX_LISTED else ""
    return f"{where} holds {this}, ready to copy, the most frequent first:\n  labels: {listed}{more}"
