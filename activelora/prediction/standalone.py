"""``task.json`` of an exported model: the task for people, and in token ids for a program without this package.

All that is known here of tokenizers, chat templates and answers is worked out once: what stands before and after a
row's texts, and which tokens an answer is read by. :mod:`activelora.prediction.program` writes what reads it.

Letters: C answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from activelora.campaign.records import Item
from activelora.config import CampaignConfig
from activelora.modeling.encoding import Encoder
from activelora.modeling.special_tokens import media_strings, special_strings
from activelora.prediction.readings import Readings
from activelora.tasks.task import Query
from activelora.uncertainty.label_prior import fitted

TASK_NAME = "task.json"
MOST_CHOICES = 26
_LEFT, _RIGHT = "\ue000", "\ue001"
"""Characters for private use: they stand around a column's name where its text will be."""
_COLUMN = re.compile(f"{_LEFT}(.*?){_RIGHT}")
_WORD = "Question"
Parts = list[str | dict[str, str]]
"""A prompt: literal texts, and columns as ``{"column": name}``."""


@dataclass(frozen=True)
class Layout:
    """Where an exported model has its parts.

    Attributes:
        base: The base model, as transformers loads it.
        revision: Commit of a hub id.
        adapters: Folders of the adapters whose mean answer is the model's; none where the folder is the model.
        dtype: Numbers that it computes with.
    """

    base: str
    revision: str | None
    adapters: tuple[str, ...]
    dtype: str


def task_document(
    config: CampaignConfig, tokenizer: Any, encoder: Encoder, readings: Readings, layout: Layout
) -> dict[str, Any]:
    """Return what ``task.json`` holds.

    Args:
        config: The settings of the model.
        tokenizer: The base model's tokenizer.
        encoder: Turns the task's items into tokens.
        readings: What the evaluation found.
        layout: Places of base model and adapters.
    """
    task, columns = encoder.task, config.data.columns
    queries = task.queries(_sentinel(encoder))
    answers = _answers(encoder)
    return {
        "kind": task.kind.name,
        "prompt": config.task.prompt,
        "columns": list(task.columns),
        "choices_column": columns.choices if task.kind.needs_choices else None,
        "labels": list(task.label_names),
        "numbers": None if task.values is None else list(task.values),
        "temperature": readings.scale,
        "thresholds": {"conformal": readings.conformal, "abstention": readings.abstention},
        "base": layout.base,
        "revision": layout.revision,
        "adapters": list(layout.adapters),
        "dtype": layout.dtype,
        "questions": [_parts(query, encoder, columns.choices) for query in queries],
        "answers": answers,
        "answer_ids": [ids[0] for ids in answers] if all(len(ids) == 1 for ids in answers) else [],
        "log_prior": _log_prior(encoder, readings),
        "max_prompt_tokens": config.task.max_prompt_tokens,
        "max_answer_tokens": config.task.max_answer_tokens if task.kind.writes else None,
        "end": encoder.end if task.kind.writes else None,
        "refused_texts": _refused(tokenizer, config),
        **_around(queries[0], encoder, tokenizer),
    }


def prompt_ids(document: dict[str, Any], tokenizer: Any, parts: Parts, row: dict[str, str]) -> list[int]:
    """Return a prompt's tokens by ``task.json`` alone, as the program does it: to check the one by the other."""
    text = "".join(part if isinstance(part, str) else row[part["column"]] for part in parts).rstrip()
    text = document["before"] + (text.lstrip() if document["strips"] else text) + document["after"]
    ids = list(tokenizer(text, add_special_tokens=document["adds_special_tokens"])["input_ids"])
    ids = ids[document["drops_first"] : len(ids) - document["drops_last"]]
    most, tail = document["max_prompt_tokens"], document["tail_tokens"]
    return ids if len(ids) <= most else ids[: most - tail] + ids[len(ids) - tail :]


def differs(document: dict[str, Any], tokenizer: Any, encoder: Encoder) -> bool:
    """Tell whether the document gives other tokens than the encoder, for a short row and a long one."""
    columns = document["columns"]
    for words in (1, document["max_prompt_tokens"]):
        row = dict.fromkeys(columns, " ".join([_WORD] * words))
        choices = ("one", "two") if document["choices_column"] else ()
        given = row | ({document["choices_column"]: "A. one\nB. two"} if choices else {})
        wanted = [list(one.prompt_ids) for one in encoder.encode([Item("", row, choices)])]
        if wanted != [prompt_ids(document, tokenizer, parts, given) for parts in document["questions"]]:
            return True
    return False


def _sentinel(encoder: Encoder) -> Item:
    """Return an item whose texts say where each column's text goes."""
    task = encoder.task
    choices = tuple(f"{_LEFT}{number}{_RIGHT}" for number in range(MOST_CHOICES)) if task.kind.needs_choices else ()
    return Item("", {column: f"{_LEFT}{column}{_RIGHT}" for column in task.columns}, choices)


def _parts(query: Query, encoder: Encoder, choices_column: str) -> Parts:
    text = query.prompt
    if encoder.task.kind.needs_choices:  # the lines of the lettered choices, of which every row has its own
        lines = re.compile(rf"A\. {_LEFT}0{_RIGHT}.*?{_LEFT}{MOST_CHOICES - 1}{_RIGHT}", re.DOTALL)
        text = lines.sub(lambda _: f"{_LEFT}{choices_column}{_RIGHT}", text)
    pieces = _COLUMN.split(text)  # literal, column, literal, ...
    parts: Parts = []
    for literal, column in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        parts += [literal] * bool(literal)
        parts += [{"column": column}] * bool(column)
    return parts


def _answers(encoder: Encoder) -> list[list[int]]:
    """Return the tokens that each answer is read by; nothing where every row has answers of its own, or none."""
    task = encoder.task
    if task.kind.writes or encoder.scores_text:
        return []
    choices = tuple(map(str, range(MOST_CHOICES))) if task.kind.needs_choices else ()
    item = Item("", dict.fromkeys(task.columns, _WORD), choices)
    return [list(ids) for ids in encoder.encode([item])[0].answer_ids]


def _log_prior(encoder: Encoder, readings: Readings) -> list[float] | None:
    """Return what is subtracted from each answer's log-probability, of as many choices as there can be."""
    if (prior := readings.prior) is None:
        return None
    num = MOST_CHOICES if encoder.task.kind.needs_choices else len(prior)
    logs: list[float] = np.log(fitted(prior, num)).tolist()
    return logs


def _refused(tokenizer: Any, config: CampaignConfig) -> list[str]:
    """Return strings that only this package reads as plain text where a row's text spells them out."""
    found = media_strings(tokenizer)
    if config.task.special_tokens_in_text == "text":
        found |= special_strings(tokenizer)
    return sorted(found)


def _around(query: Query, encoder: Encoder, tokenizer: Any) -> dict[str, Any]:
    """Return what stands around a prompt, as text and as tokens."""
    before, after, strips = "", "", False
    if encoder.chat is not None:
        wrapped = encoder.chat.wrap(_WORD)
        before, after, strips = wrapped.text.rpartition(_WORD)[0], wrapped.after, encoder.chat.strips
    adds = encoder.chat is None
    prompt = _COLUMN.sub(_WORD, query.prompt)
    ids = list(tokenizer(f"{before}{prompt}{after}", add_special_tokens=adds)["input_ids"])
    begin, end = getattr(tokenizer, "bos_token_id", None), tokenizer.eos_token_id
    num_begin = next((n for n, token in enumerate(ids) if token != begin), len(ids)) if begin is not None else 0
    tail = query.closing + after
    return {
        "before": before,
        "after": after,
        "strips": strips,
        "adds_special_tokens": adds,
        "drops_first": max(0, num_begin - 1),
        "drops_last": int(adds and len(ids) > 1 and ids[-1] == end),
        "tail_tokens": len(tokenizer(tail, add_special_tokens=False)["input_ids"]) if tail else 0,
    }
