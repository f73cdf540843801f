"""From items to token ids.

Letters: N items, C answers of an item, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from activelora.campaign.records import Item, Label
from activelora.config import TaskConfig
from activelora.errors import ModelError
from activelora.kinds.registry import make_task
from activelora.modeling.answer_paths import distinct_beginnings, num_run, with_ends
from activelora.modeling.chat_template import ChatTemplate, uses_chat
from activelora.modeling.length_limit import check_lengths
from activelora.modeling.special_tokens import NO_MARKS, Marks, SpecialTokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MOST_ANSWERS = 100_000
"""Answers whose ids are kept: of tables of any length, whose rows may all have choices of their own."""
_MOST_COUNTED = 1_000_000
_PROBE = "Question: what is it?\nAnswer:"


@dataclass(frozen=True)
class EncodedItem:
    """One item as token ids.

    Attributes:
        prompt_ids: T ids, up to where the answer begins.
        answer_ids: The ids of each of the C answers; one id each where answers are scored by one token. Where they are
            scored by the chain rule, none of them begins another.
        beta: DPO's β where it is learned which of two answers is better; None where a label is its answer's text.
    """

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[tuple[int, ...], ...]
    beta: float | None = None


Scoring = Literal["token", "text", "chain"]
"""How an answer's score comes from its tokens. ``token``: the logit of its only token. ``text``: its length-normalised
log-likelihood. ``chain``: its log-likelihood, the sum over its tokens (:mod:`activelora.modeling.answer_paths`)."""


class Encoder:
    """Turns items into token ids for one task and one tokenizer.

    Args:
        tokenizer: The base model's tokenizer.
        config: The task section.
        limit: Most tokens of a text, prompt and answer together, that the model's rotations allow
            (:mod:`activelora.modeling.length_limit`); None for any.

    Raises:
        ModelError: Answers cannot be told apart by what is read of them, the chat template that is asked for is
            missing, broken, or changes texts, or texts may be longer than the limit.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: TaskConfig, limit: int | None = None) -> None:
        self.task = make_task(config)
        self.task_config = config
        self.beta = config.beta if self.task.reading == "against_base" else None
        self.scores_text = self.beta is not None or self.task.reading == "mean_of_tokens"
        self._cut: set[int] = set()
        self._tokenizer = tokenizer
        self._max_tokens = config.max_prompt_tokens
        self._limit = limit
        self.chat = ChatTemplate(tokenizer, config.chat_date) if uses_chat(tokenizer, config) else None
        as_text = config.special_tokens_in_text == "text"
        self.special_tokens = SpecialTokens(tokenizer, as_text=as_text, own_text=config.prompt)
        self._answer_cache: dict[tuple[str, ...], tuple[int, ...]] = {}
        self.rows_per_item = len(self.task.label_names) if self.task.kind.asks_each_label else 1
        self._codes = self._answer_codes()
        self.scoring: Scoring = "text" if self.scores_text else "token"
        if self.beta is not None:
            self.scoring = "chain"
            self._check_end()
        elif any(len(code) > 1 for code in self._codes):
            self.scoring = "chain"
        elif self.task.reading == "written":
            self.scoring = "text"
            self._check_end()
        elif self.task.reading == "first_token":
            self._check_answers()
        written = config.max_answer_tokens if self.task.kind.writes else 0
        check_lengths(limit, self._max_tokens, max(written, _num_run_of_longest(self._codes)))

    @property
    def num_cut(self) -> int:
        """How many different prompts were too long and were cut, up to a million; some are encoded several times."""
        return len(self._cut)

    def encode(self, items: Sequence[Item]) -> list[EncodedItem]:
        """Encode items; prompts that are too long are cut before the template's closing words.

        Returns:
            :attr:`rows_per_item` for each item, in the items' order: one, or for label sets one a label.
        """
        encoded = []
        for item, marks in map(self.special_tokens.mark, items):
            for query in self.task.queries(item):
                answers = self._codes or tuple(self._answer_ids(answer, marks) for answer in query.answers)
                one = EncodedItem(self._prompt_ids(query.prompt, query.closing, marks), answers, self.beta)
                check_lengths(self._limit, len(one.prompt_ids), _num_run_of_longest(one.answer_ids))
                encoded.append(one)
        return encoded

    def whole_prompts(self, item: Item) -> list[tuple[int, ...]]:
        """Return the ids of an item's prompts, :attr:`rows_per_item` of them, before any of them is cut."""
        marked, marks = self.special_tokens.mark(item)
        return [tuple(self._whole(one.prompt, one.closing, marks)[0]) for one in self.task.queries(marked)]

    def num_tokens(self, item: Item) -> int:
        """Return how many tokens the item's first prompt has before it is cut."""
        marked, marks = self.special_tokens.mark(item)
        query = self.task.queries(marked)[0]
        return len(self._whole(query.prompt, query.closing, marks)[0])

    def check_lengths(self, items: Sequence[Item]) -> None:
        """Check that items with answers of their own are no longer than the model's rotations allow.

        Raises:
            ModelError: One of them is.
        """
        if self._limit is not None:
            self.encode(items)

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Return the ids of a whole answer with the end token, as a continuation of any prompt."""
        return (*self._spoken(*self.special_tokens.mark_text(text)), self.end)

    def decode_text(self, ids: Sequence[int]) -> str:
        """Return an answer that the model wrote as text."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    @property
    def num_label_tokens(self) -> int:
        """How many tokens are run after an item's prompt, for all labels together."""
        return num_run(self._codes)

    @property
    def end(self) -> int:
        """The token that ends an answer."""
        return int(self._tokenizer.eos_token_id)

    def encode_labelled(self, items: Sequence[Item], labels: Sequence[Label]) -> tuple[list[EncodedItem], list[int]]:
        """Return what is to be learned from labelled items: encoded questions, and the index of each one's answer."""
        encoded = self.encode(items)
        if self.task.kind.writes:
            answers = [self.encode_text(str(text)) for text in labels]
            lessons = [EncodedItem(one.prompt_ids, (ids,)) for one, ids in zip(encoded, answers, strict=True)]
            for one in lessons:
                check_lengths(self._limit, len(one.prompt_ids), _num_run_of_longest(one.answer_ids))
            return lessons, [0] * len(items)
        return encoded, [index for label in labels for index in self.task.targets(int(label))]

    def _prompt_ids(self, prompt: str, closing: str, marks: Marks) -> tuple[int, ...]:
        ids, tail = self._whole(prompt, closing, marks)
        if len(ids) <= self._max_tokens:
            return tuple(ids)
        num_tail = len(self._tokenizer(tail, add_special_tokens=False)["input_ids"]) if tail else 0
        if num_tail >= self._max_tokens:
            raise ModelError(
                f"the prompt's closing words alone have {num_tail} tokens, as many as task.max_prompt_tokens",
                where="task.prompt",
                remedy="Raise task.max_prompt_tokens or shorten the prompt.",
            )
        if len(self._cut) < _MOST_COUNTED:
            self._cut.add(hash(prompt))
        return tuple(ids[: self._max_tokens - num_tail] + ids[len(ids) - num_tail :])

    def _whole(self, prompt: str, closing: str, marks: Marks) -> tuple[list[int], str]:
        """Return the ids of a prompt of any length, and its last words, which are never cut."""
        text, after = (prompt, "") if self.chat is None else self.chat.wrap(prompt)
        ids = self._ids(text, marks)
        if not ids:
            raise ModelError(f"a prompt has no tokens: {prompt[:80]!r}", where="model.base", remedy=_TOKENIZER_REMEDY)
        return ids, closing + after

    def _ids(self, text: str, marks: Marks = NO_MARKS) -> list[int]:
        ids = self.special_tokens.encode(text, marks, adds_special_tokens=self.chat is None)
        if ids and ids[-1] == self._tokenizer.eos_token_id and self.chat is None:
            ids.pop()
        begin = getattr(self._tokenizer, "bos_token_id", None)
        while begin is not None and ids[:2] == [begin, begin]:  # the text's, and the tokenizer's own
            del ids[0]
        return ids

    def _answer_ids(self, answer: str, marks: Marks = NO_MARKS) -> tuple[int, ...]:
        key = (answer, *marks, *marks.values())
        if key not in self._answer_cache:
            if len(self._answer_cache) >= _MOST_ANSWERS:
                self._answer_cache.clear()
            ids = self._spoken(answer, marks)
            self._answer_cache[key] = ids if self.beta is None else (*ids, self.end)
        ids = self._answer_cache[key]
        return ids if self.scores_text else ids[:1]

    def _spoken(self, answer: str, marks: Marks = NO_MARKS) -> tuple[int, ...]:
        """Return the ids of a whole answer: after a space, where no chat template begins it afresh."""
        return self._continuation(answer if self.chat is not None else f" {answer}", marks)

    def _continuation(self, text: str, marks: Marks) -> tuple[int, ...]:
        """Tokenise as a continuation: some tokenizers treat the beginning of a text differently."""
        probe, joined = self._ids(_PROBE), self._ids(_PROBE + text, marks)
        if self.chat is None and joined[: len(probe)] == probe:
            return tuple(joined[len(probe) :])
        return tuple(self.special_tokens.encode(text, marks, adds_special_tokens=False))

    def _answer_codes(self) -> tuple[tuple[int, ...], ...]:
        """Return the ids of the answers that all items share, where more than their first token counts."""
        if self.task.reading == "all_tokens":
            return self._number_codes()
        return self._label_codes() if self.task.reading == "as_far_as_differs" else ()

    def _number_codes(self) -> tuple[tuple[int, ...], ...]:
        """Return the ids of every number of the grid; one that begins another, as 1 begins 10, gets an end token."""
        codes = with_ends([self._spoken(name) for name in self.task.label_names], self._tokenizer.eos_token_id)
        if codes is None:
            raise ModelError(
                "the tokenizer has no end token, so 1 could not be told from the beginning of 10",
                where="task.step",
                remedy="Choose a grid whose numbers have the same number of digits.",
            )
        return codes

    def _label_codes(self) -> tuple[tuple[int, ...], ...]:
        """Return the ids of every label, as far as they tell it from all others."""
        names = self.task.label_names
        whole = [self._spoken(answer) for answer in self.task.queries(_empty_item(self.task.columns))[0].answers]
        self._refuse_alike(names, whole, "have the same tokens", _WORDS_REMEDY)
        codes = with_ends(whole, self._tokenizer.eos_token_id)
        if codes is None:
            raise ModelError(
                "the tokenizer has no end token, so a label could not be told from the beginning of another one",
                where="task.labels",
                remedy=_WORDS_REMEDY,
            )
        return distinct_beginnings(codes)

    def _check_end(self) -> None:
        if self._tokenizer.eos_token_id is None:
            raise ModelError(
                "the tokenizer has no end token, so the model could not end an answer",
                where="model.base",
                remedy="Choose a model whose tokenizer has one.",
            )

    def _check_answers(self) -> None:
        """Refuse labels that their first token cannot tell apart."""
        letters = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        names = ("no", "yes") if self.task.kind.asks_each_label else self.task.label_names or letters
        answers = self.task.queries(_empty_item(self.task.columns))[0].answers if self.task.label_names else letters
        remedy = _ANSWER_REMEDY if {"text", "words"} <= set(self.task.kind.answers) else _WORDS_REMEDY
        self._refuse_alike(names, [self._answer_ids(answer) for answer in answers], "both begin with the token", remedy)

    def _refuse_alike(self, names: Sequence[str], codes: Sequence[tuple[int, ...]], how: str, remedy: str) -> None:
        """Refuse labels without tokens, and two with the same ones: ``how`` says in what they are alike."""
        seen: dict[tuple[int, ...], str] = {}
        for name, code in zip(names, codes, strict=True):
            if not code:
                raise ModelError(f"label {name!r} has no tokens", where="task.labels", remedy=_WORDS_REMEDY)
            if code in seen:
                raise ModelError(
                    f"labels {seen[code]!r} and {name!r} {how} {self._tokenizer.decode(list(code))!r}, "
                    "so the model's answer could not be told apart",
                    where="task.labels",
                    remedy=remedy,
                )
            seen[code] = name


_ANSWER_REMEDY = (
    "Use `answer: text`, which reads on where labels are alike; or give one of them another word under "
    "task.answer_words, or use `answer: letters`."
)
_TOKENIZER_REMEDY = "Choose a model whose tokenizer knows the characters of your data."
_WORDS_REMEDY = "Give one of them another word under task.answer_words."


def _num_run_of_longest(answers: Sequence[Sequence[int]]) -> int:
    """Return how many tokens of the longest answer are run: its last one is only predicted."""
    return max((len(answer) - 1 for answer in answers if answer), default=0)


def _empty_item(columns: tuple[str, ...]) -> Item:
    return Item("", dict.fromkeys(columns, ""))
