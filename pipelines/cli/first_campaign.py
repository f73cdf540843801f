"""A campaign for a table: what is asked, and of how many rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from activelora.errors import ActiveLoRAError, ConfigError, DataError, ProblemsError
from activelora.quantities import quantity
from pipelines.cli.campaign_sizes import Sizes, sizes_for

if TYPE_CHECKING:
    from activelora.config import SourceConfig
    from activelora.pool.column_guess import Columns, Named
    from activelora.pool.label_table import Draft
    from activelora.pool.labelled_texts import Texts
    from activelora.pool.profile import Profile

_CHARS_PER_TOKEN = 3
"""Without a tokenizer: few, so that a text is rather taken for too long."""


@dataclass(frozen=True)
class FirstCampaign:
    """What was found in a table, and what was made of it.

    Attributes:
        name: The campaign's name.
        data: The path of the table as the campaign file names it.
        profile: The table's columns.
        columns: Which of them is what.
        texts: Its items.
        draft: What is asked.
        sizes: Numbers of items.
        read_as: What the file is, in words.
        own_id: The column of people's own ids.
        tokens: Tokens of an item in the middle, of 99 in 100, and of the longest; and whether they were counted.
        label: The label column as the campaign file names it.
    """

    name: str
    data: str
    profile: Profile
    columns: Columns
    texts: Texts
    draft: Draft
    sizes: Sizes
    read_as: str
    own_id: str | None
    tokens: tuple[int, int, int, bool]
    label: str

    @property
    def warnings(self) -> list[str]:
        """What a person should look at."""
        from activelora.kinds.registry import get_kind
        from activelora.pool.label_spellings import spelling_hints

        found = list(self.profile.notes)
        if self.texts.num_empty:
            rows = quantity(self.texts.num_empty, "row has", "rows have")
            found.append(f"{rows} no text at all: `activelora check` names them; take them out of the file")
        if get_kind(self.draft.kind).lists_labels:
            found += [f"label: {hint}" for hint in spelling_hints(self.columns.label.columns[0].labels or {})]
        if self.profile.has_more:
            found.append(f"only the first {self.profile.num_rows:,} rows were looked at")
        return found

    def facts(self) -> Iterator[str]:
        """Yield what was found, a sentence each."""
        profile, texts, sizes = self.profile, self.texts, self.sizes
        items = quantity(texts.num_items, "different item")
        yield f"{self.data}: {self.read_as}; {quantity(profile.num_rows, 'row')}, {items}"
        if texts.num_duplicates:
            rows = quantity(texts.num_duplicates, "row repeats", "rows repeat")
            yield f"{rows} the text of another one, and count once"
        label = self.columns.label.columns[0].name
        labelled = "all of them" if texts.num_labelled == texts.num_items else f"{texts.num_labelled:,} of them"
        yield f"{labelled} have a label in `{label}` ({self.columns.label.reason})"
        names = ", ".join(f"`{one.name}`" for one in self.columns.texts.columns)
        yield f"the model is shown {names} ({self.columns.texts.reason})"
        middle, most, longest, is_counted = self.tokens
        how = "counted by its tokenizer" if is_counted else f"at {_CHARS_PER_TOKEN} characters a token"
        yield (
            f"an item has about {middle} tokens in the middle, {most} or less in 99 of 100, {longest} at most ({how}); "
            f"the model's context has {_context():,}"
        )
        yield f"task: {self.draft.kind}, because {self.draft.reason}"
        if sizes.is_simulation:
            yield "labels: from the table itself, which is a simulation: nobody is asked"
        else:
            asked = sizes.items - sizes.labelled
            known = quantity(sizes.known, "known one is", "known ones are")
            yield f"labels: by people, for the best of {quantity(asked, 'item')}; {known} learned first"


def first_campaign(name: str, data: str, named: Named, kind: str | None = None) -> FirstCampaign:
    """Look at a table, and return the campaign for it.

    Args:
        name: The campaign's name, and its folder.
        data: A file, a folder, a glob or an ``s3://`` prefix, as seen from here.
        named: The columns that somebody names.
        kind: The kind of task; None goes by the labels.

    Raises:
        ProblemsError: A column is missing, or not sure; or rows cannot be read.
        DataError: There is nothing, or too little.
    """
    from activelora.config import SourceConfig
    from activelora.kinds.registry import draft_of, get_kind
    from activelora.pool.column_guess import find_columns, id_column
    from activelora.pool.label_table import Table
    from activelora.pool.labelled_texts import count_texts
    from activelora.pool.profile import EXPORTED_LABEL

    if data.startswith(("hf://", "builtin:")):
        raise ConfigError(
            "is not looked at", where=f"--data {data}", remedy="Name a file, a folder or an s3:// prefix."
        )
    source, here = SourceConfig(path=data), str(Path.cwd())
    question = named.label or EXPORTED_LABEL
    profile = _profile(source, here, question, named.texts)
    if not profile.num_rows:
        raise DataError("holds no rows", where=data, remedy="At least a few items are needed.")
    columns = find_columns(profile, named)
    _check_names(columns)
    label = columns.label.columns[0]
    counts = tokenizer_counts()
    table = Table(columns.texts.columns, label, columns.choices, None if counts is None else _begin_differently(counts))
    try:
        draft = draft_of(table, kind)
        shown = [one.name for one in columns.texts.columns]
        content = [*shown, *([columns.choices.name] if columns.choices else [])]
        are_classes = get_kind(draft.kind).lists_labels
        texts = count_texts(source, here, content, question, label.name, are_classes=are_classes)
        sizes = sizes_for(texts, get_kind(draft.kind))
    except DataError as error:
        raise DataError(error.problem, where=error.where or data, remedy=error.remedy) from None
    own_id = id_column(profile, [label.name, *content]) if not texts.num_duplicates else None
    return FirstCampaign(
        name,
        data if "://" in data or Path(data).is_absolute() else Path(os.path.relpath(data, name)).as_posix(),
        profile,
        columns,
        texts,
        draft,
        sizes,
        _read_as(data, here),
        None if own_id is None else own_id.name,
        _tokens(texts, counts),
        question if profile.tool is not None else label.name,
    )


def _profile(source: SourceConfig, folder: str, question: str, texts: Sequence[str]) -> Profile:
    from activelora.pool.profile import profile_of

    try:
        return profile_of(source, folder, question, texts)
    except ProblemsError:
        raise
    except DataError as error:  # of an export with several questions
        remedy = error.remedy.replace("by `data.columns.label`", "by --label COLUMN")
        raise DataError(error.problem, where=error.where or source.path, remedy=remedy) from None


def tokenizer_counts() -> Callable[[str], list[int]] | None:
    """Return what gives a text's tokens, by the built-in model's tokenizer; None if that is not on this machine."""
    from activelora.modeling.builtin import builtin_path

    file = builtin_path() / "tokenizer.json"
    if not file.exists():
        return None
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception:  # its bindings raise nothing narrower; an estimate does
        return None
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


def _begin_differently(tokens: Callable[[str], list[int]]) -> Callable[[Sequence[str]], bool]:
    def begin_differently(answers: Sequence[str]) -> bool:
        first = [tokens(f" {answer}")[:1] for answer in answers]
        return all(first) and len({one[0] for one in first}) == len(first)

    return begin_differently


def _tokens(texts: Texts, tokens: Callable[[str], list[int]] | None) -> tuple[int, int, int, bool]:
    num_chars = sum(map(len, texts.sample))
    rate = 1 / _CHARS_PER_TOKEN
    if tokens is not None and num_chars:
        rate = sum(len(tokens(text)) for text in texts.sample) / num_chars
    middle, most, longest = (round(texts.quantile(share) * rate) for share in (0.5, 0.99, 1.0))
    return middle, most, longest, tokens is not None


def _context() -> int:
    from activelora.modeling.builtin import CONTEXT_TOKENS

    return CONTEXT_TOKENS


def _read_as(data: str, folder: str) -> str:
    from activelora.config import SourceConfig
    from activelora.formats.described import described
    from activelora.formats.problems import Problems
    from activelora.pool.files import find_files

    files = find_files(SourceConfig(path=data), folder)
    with files[0].open() as file:
        words = described(file, files[0].name, Problems(), files[0].format)
    return words if len(files) == 1 else f"{len(files)} files, the first {words}"


def _check_names(columns: Columns) -> None:
    from activelora.pool.column_guess import unfit_for_prompt

    problems: list[ActiveLoRAError] = [
        DataError(f"the column `{one.name}` cannot stand in a prompt: {why}", remedy="Rename it in the file.")
        for one in columns.texts.columns
        if (why := unfit_for_prompt(one.name)) is not None
    ]
    if problems:
        raise ProblemsError(problems)
