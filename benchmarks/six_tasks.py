"""The six tasks of the C-LoRA papers as items and prompts, as published and in a clean form.

The `legacy` prompts and their faults are those of the code that BLoB and C-LoRA share (bayesian-peft, and before it
laplace-lora's data sets, Apache-2.0, Maxime Robeyns); published numbers were measured with them:

- OpenBookQA and ARC list the choices as "text) letter", the wrong way round, and OpenBookQA says "Chioces".
- ARC's softmax runs over five letters for every item, most of which have four choices.
- BoolQ pairs the word True with the answer no.
- WinoGrande and BoolQ score the token after an end-of-text token.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import DataError
from activelora.modeling.encoding import EncodedItem, Encoder

FOLDERS = {
    "WG-S": "winogrande_s",
    "ARC-C": "arc_challenge",
    "ARC-E": "arc_easy",
    "WG-M": "winogrande_m",
    "OBQA": "openbookqa",
    "BoolQ": "boolq",
}
_PUBLIC_TEST = ("ARC-C", "ARC-E", "OBQA")
_PASSAGE_CHARS = 1024
_ASK = "Return the label of the correct answer for the question below.\n\nQuestion: {question}\n"


@dataclass(frozen=True)
class Rows:
    """Labelled items.

    Attributes:
        items: The items.
        labels: An index into each item's answers.
        groups: Rows of one group belong to one split: WinoGrande's twins.
    """

    items: tuple[Item, ...]
    labels: tuple[int, ...]
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.items)

    def take(self, indices: Sequence[int]) -> Rows:
        """Return some rows."""
        return Rows(
            tuple(self.items[index] for index in indices),
            tuple(self.labels[index] for index in indices),
            tuple(self.groups[index] for index in indices),
        )


class ClosingEncoder(Encoder):
    """Ends every prompt with the end-of-text token, as the published code does for WinoGrande and BoolQ."""

    def encode(self, items: Sequence[Item]) -> list[EncodedItem]:
        """Encode items."""
        end = self._tokenizer.eos_token_id
        return [dataclasses.replace(one, prompt_ids=(*one.prompt_ids, end)) for one in super().encode(items)]


def legacy_task(name: str) -> TaskConfig:
    """Return the task with the published prompt and the published answer tokens."""
    shared: dict[str, Any] = {"chat_template": "never", "label_prior_correction": "never", "max_prompt_tokens": 300}
    if name == "BoolQ":
        prompt = (
            "Read the passage below and answer the question with the words 'true' or 'false'.\n\n"
            "Passage: {passage}\nQuestion: {question}\nAnswer (true or false):"
        )
        return TaskConfig(prompt=prompt, labels=("True", "False"), **shared)
    choices = "Chioces" if name == "OBQA" else "Choices"
    letters = {"WG": "AB", "OBQA": "ABCD", "ARC": "ABCDE"}[name.split("-", maxsplit=1)[0]]
    return TaskConfig(prompt=f"{_ASK}{choices}:\n{{listed}}\nAnswer:", labels=tuple(letters), **shared)


def clean_task(name: str) -> TaskConfig:
    """Return the task with one softmax over the item's own choices."""
    shared: dict[str, Any] = {"chat_template": "never", "label_prior_correction": "never", "max_prompt_tokens": 512}
    if name == "BoolQ":
        prompt = "{passage}\n\nQuestion: {question}?\nAnswer (yes or no):"
        return TaskConfig(kind="yes_no", prompt=prompt, **shared)
    prompt = "Question: {question}\n{choices}\nAnswer (letter):"
    return TaskConfig(kind="multiple_choice", answer="letters", prompt=prompt, **shared)


def read_rows(data: Path, name: str, split: str, legacy: bool) -> Rows:
    """Read a split of a task.

    Args:
        data: Folder with a folder per task; its rows have `question`, `choices` or `passage`, and `label`.
        name: The task, as in :data:`FOLDERS`.
        split: ``train``, ``validation`` or ``test``.
        legacy: Build the fields of the published prompts.

    Raises:
        DataError: It is not there.
    """
    path = data / FOLDERS[name] / f"{split}.jsonl"
    if not path.exists():
        raise DataError(
            f"there is no {split} split of {name}",
            where=str(path),
            remedy="Put it there as JSON lines, or leave the task out with --tasks.",
        )
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    items = tuple(_item(row, name, legacy) for row in rows)
    return Rows(items, tuple(int(row["label"]) for row in rows), tuple(row.get("group", row["id"]) for row in rows))


def test_split(name: str, legacy: bool) -> str:
    """Return the split to report on: the published code's is the validation split, for every task."""
    return "validation" if legacy or name not in _PUBLIC_TEST else "test"


def _item(row: dict[str, Any], name: str, legacy: bool) -> Item:
    if name == "BoolQ":
        passage = row["passage"][:_PASSAGE_CHARS] if legacy else row["passage"]
        return Item(row["id"], {"passage": passage, "question": row["question"]})
    if not legacy:
        return Item(row["id"], {"question": row["question"]}, tuple(row["choices"]))
    pairs = [(chr(ord("A") + index), choice) for index, choice in enumerate(row["choices"])]
    swapped = not name.startswith("WG")
    listed = "\n".join(f"{choice}) {letter}" if swapped else f"{letter}) {choice}" for letter, choice in pairs)
    return Item(row["id"], {"question": row["question"], "listed": listed})
