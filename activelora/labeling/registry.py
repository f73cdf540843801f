"""The label sources by name. Other packages add theirs as entry points of the group ``activelora.label_sources``."""

from __future__ import annotations

from activelora.labeling.files import FilesSource
from activelora.labeling.label_studio.source import LabelStudioSource
from activelora.labeling.llm.source import LLMSource
from activelora.labeling.oracle import OracleSource
from activelora.labeling.source import Source
from activelora.labeling.terminal import TerminalSource
from activelora.registry import Registry

SOURCES: Registry[Source] = Registry(
    key="labeling.source",
    group="activelora.label_sources",
    built_in={
        "oracle": OracleSource(),
        "files": FilesSource(),
        "terminal": TerminalSource(),
        "label_studio": LabelStudioSource(),
        "llm": LLMSource(lambda name: get_source(name)),
    },
    check=lambda part: isinstance(part, Source) and not isinstance(part, type),
)


def get_source(name: str) -> Source:
    """Return the label source that a campaign file names.

    Raises:
        ConfigError: There is none, with the nearest name; or its package cannot be loaded.
    """
    return SOURCES.find(name)
