"""A campaign for a table: what is asked, of how many rows, and the file that says so with its reasons."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from activelora.errors import ActiveLoRAError, ConfigError, DataError, ProblemsError
from pipelines.cli.campaign_sizes import Sizes, sizes_for
from pipelines.cli.yaml_lines import comment, setting

if TYPE_CHECKING:
    from activelora.config import SourceConfig
    from activelora.pool.column_guess import Columns, Named
    from activelora.pool.label_table import Draft
    from activelora.pool.labelled_texts import Texts
    from activelora.pool.profile import Profile

_CHARS_PER_TOKEN = 3
"""Without a tokenizer: few, so that a text is rather taken for too long."""
_PROMPT_TOKENS = 40
"""Tokens of the prompt's own words, about."""
_DEFAULT_LIMIT, _MAX_LIMIT = 512, 2048


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
        found = list(self.profile.notes)
        if self.texts.num_empty:
            rows = "1 row has" if self.texts.num_empty == 1 else f"{self.texts.num_empty} rows have"
            found.append(f"{rows} no text at all: `activelora check` names them; take them out of the file")
        if self.profile.has_more:
            found.append(f"only the first {self.profile.num_rows:,} rows were looked at")
        return found

    def facts(self) -> Iterator[str]:
        """Yield what was found, a sentence each."""
        profile, texts, sizes = self.profile, self.texts, self.sizes
        yield f"{self.data}: {self.read_as}; {profile.num_rows:,} rows, {texts.num_items:,} different items"
        if texts.num_duplicates:
            rows = "1 row repeats" if texts.num_duplicates == 1 else f"{texts.num_duplicates:,} rows repeat"
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
            yield f"labels: by people, for the best of {asked:,} items; {sizes.known:,} known ones are learned first"


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


def campaign_text(made: FirstCampaign) -> str:
    """Return the campaign file."""
    return "\n".join(_file(made)) + "\n"


def _file(made: FirstCampaign) -> Iterator[str]:
    sizes = made.sizes
    yield "# yaml-language-server: $schema=campaign.schema.json"
    yield from comment("Made by `activelora init --data`. What it found, and what follows from it:")
    for fact in made.facts():
        yield from comment(f"- {fact}.", after="  ")
    for warning in made.warnings:
        yield from comment(f"- Look at this: {warning}.", after="  ")
    yield from comment("Every setting is described in the schema beside this file; `activelora check` finds mistakes.")
    yield f"name: {made.name}"
    yield "seed: 0"
    yield ""
    yield "task:"
    yield from setting("kind", made.draft.kind, made.draft.reason, 2)
    for line in made.draft.lines:
        yield from setting(line.key, line.value, line.reason, 2)
    yield from setting(
        "chat_template", "never", "shorter prompts, so faster; `auto` for large instruction-tuned models", 2
    )
    if (limit := _limit(made.tokens)) != _DEFAULT_LIMIT:
        why = f"99 of 100 items have up to {made.tokens[1]} tokens; longer ones are cut. More is slower"
        yield from setting("max_prompt_tokens", limit, why, 2)
    yield ""
    yield "data:"
    yield "  pool:"
    yield from setting("path", made.data, "relative to this file; also a folder, a glob or s3://...", 4)
    yield "  columns:"
    if made.own_id is not None:
        yield from setting("id", made.own_id, "your own ids are kept: each row has another one", 4)
    yield from setting("label", made.label, made.columns.label.reason, 4)
    if made.columns.choices is not None:
        yield from setting("choices", made.columns.choices.name, "a list of texts in every row", 4)
    yield from setting("holdout_size", sizes.holdout, sizes.holdout_reason, 2)
    yield from setting("calibration_size", sizes.calibration, sizes.calibration_reason, 2)
    if made.texts.num_contradicted:
        num = made.texts.num_contradicted
        why = f"{num} texts stand in several rows with different labels: `drop` leaves them out, `refuse` names them"
        yield from setting("contradictions", "drop", why, 2)
    if not sizes.is_simulation and has_known_labels():
        why = f"the {sizes.known} labelled rows that are left are the first ones to be trained on; or holdout, ignore"
        yield from setting("known_labels", "train", why, 2)
    yield ""
    yield "model:"
    why = "built in, fetched once (93 MB); or a local folder, or a Hugging Face hub id"
    yield from setting("base", "smollm2-135m-instruct", why, 2)
    yield ""
    yield "adapter:"
    yield "  rank: 8"
    yield from setting("last_layers", 10, "adapts the top layers only: about three times as fast on a CPU", 2)
    yield ""
    yield "training:"
    yield "  epochs: 5"
    yield "  min_steps: 20"
    yield "  learning_rate: 0.002"
    yield ""
    yield "acquisition:"
    for key, value, why in _acquisition(made):
        yield from setting(key, value, why, 2)
    yield ""
    yield "labeling:"
    if sizes.is_simulation:
        why = "the table's own labels answer: a simulation of people, to see what fewer labels would have done"
        yield from setting("source", "oracle", why, 2)
        yield from comment("With rows that have no label yet, people answer:", 2)
        yield from comment("source: files", 2)
    else:
        why = "people fill in worksheets (CSV), or answer with the keyboard: `activelora label`; also label_studio"
        yield from setting("source", "files", why, 2)
        yield from comment("deadline_hours: 72", 2)
        yield from comment("on_deadline: proceed", 2)
    yield ""
    yield "stopping:"
    num = sizes.batch * sizes.rounds
    yield from setting("max_rounds", sizes.rounds, f"× {sizes.batch} a round: {num} labels in all", 2)


def _acquisition(made: FirstCampaign) -> Iterator[tuple[str, object, str]]:
    from activelora.config import AcquisitionConfig
    from activelora.kinds.registry import get_kind

    kind = get_kind(made.draft.kind)
    yield "strategy", "star", "`activelora list strategies` names the others; `random` is the control"
    default = AcquisitionConfig().measure
    if default not in kind.measures:
        yield "measure", kind.measures[0], "what star goes by; `activelora list measures` names the others"
    yield "batch_size", made.sizes.batch, "items that a round asks for"


def has_known_labels() -> bool:
    """Tell whether campaigns can train on labels that the pool has already."""
    from activelora.config.campaign import DataConfig

    return "known_labels" in DataConfig.model_fields


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


def _limit(tokens: tuple[int, int, int, bool]) -> int:
    """Return `task.max_prompt_tokens`: the default, unless more than one in a hundred would be cut."""
    needed = tokens[1] + _PROMPT_TOKENS
    return _DEFAULT_LIMIT if needed <= _DEFAULT_LIMIT else min(_MAX_LIMIT, -(-needed // 128) * 128)


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
