"""Natural language inference: whether one answer to a question entails another, by a model that was trained for it.

Such a model is a sequence classifier of pairs of texts, one of whose labels is ``entailment``. Like a base model it is
a folder, a hub id or an ``s3://`` prefix, its weights come from safetensors only, and no code of its own is run. It is
float32 on every device, so that no answer hangs on a GPU's narrower numbers.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from activelora.config import ModelConfig
from activelora.config.acquisition import NliConfig
from activelora.errors import ModelError
from activelora.modeling import builtin
from activelora.modeling.base import check_name as check_base_name
from activelora.modeling.headers import read_headers
from activelora.modeling.locating import cached_snapshot, fetched, folder_of, local_folder
from activelora.modeling.skeletons import reason_of
from activelora.modeling.weights_check import collected_reports, differences
from activelora.progress import track

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

_REMEDY = (
    "Name a sequence classifier for natural language inference, such as the hub id "
    "cross-encoder/nli-deberta-v3-xsmall: with config.json, safetensors and tokenizer.json."
)
_NEGATED = re.compile(r"(^|[^a-z])(no|not|non|contradict\w*)[^a-z]*entail")
_USUAL_TOKENS = 512
_NO_LIMIT = 10**9
_MARGIN = 2
"""Tokens that a prompt may gain where it is cut and put together with an answer anew."""
_BATCH_TOKENS = {"cpu": 2048, "cuda": 16384}


class AnswerPair(NamedTuple):
    """A question: does the premise entail the hypothesis, where both answer the prompt?

    Attributes:
        prompt: What both answer.
        premise: An answer.
        hypothesis: Another one.
    """

    prompt: str
    premise: str
    hypothesis: str


class Labels(NamedTuple):
    """A model's labels.

    Attributes:
        names: All of them, by number.
        entailment: The number of the one that means entailment.
        max_tokens: Positions that the model has, where it says so.
    """

    names: tuple[str, ...]
    entailment: int
    max_tokens: int | None


def check_name(config: NliConfig) -> None:
    """Check that a model may be where the name says, without fetching anything.

    Raises:
        ModelError: The name is neither that of a folder with a model, nor a hub id, nor ``s3://``.
    """
    if config.model == builtin.NAME:
        raise ModelError("is a language model, which compares no texts", where=_where(config), remedy=_REMEDY)
    with _as_nli(config):
        check_base_name(_located(config))
    folder = Path(config.model).expanduser()
    if folder.is_dir() and not (folder / "config.json").exists():
        raise ModelError("the folder has no config.json", where=_where(config), remedy=_REMEDY)


def folder_here(config: NliConfig) -> Path | None:
    """Return the folder where the model is on this machine, or None if it is still to be fetched."""
    return local_folder(_located(config)) or cached_snapshot(_located(config))


def fetched_folder(config: NliConfig) -> Path:
    """Return the model's folder, fetched where it is not on this machine, by the ways that base models come.

    Raises:
        ModelError: It cannot be fetched.
        StoreError: An object store cannot be reached.
    """
    check_name(config)
    with _as_nli(config):
        source = Path(fetched(_located(config)))
        return source if source.is_dir() else folder_of(_located(config))


def check_stored(config: NliConfig, folder: Path) -> Labels:
    """Return a model's labels, by its ``config.json`` and the headers of its weights alone.

    Args:
        config: The setting.
        folder: The model's folder.

    Raises:
        ModelError: It is no sequence classifier, none of its labels means entailment, or its files are not whole.
    """
    content = _read_config(config, folder)
    kinds = content.get("architectures") or []
    if kinds and not any(str(kind).endswith("ForSequenceClassification") for kind in kinds):
        problem = f"is {', '.join(map(str, kinds))}, and must be a sequence classifier"
        raise ModelError(problem, where=_where(config), remedy=_REMEDY)
    names = _names(content.get("id2label"))
    found = [index for index, name in enumerate(names) if _means_entailment(name)]
    if len(found) != 1:
        said = f"{'none' if not found else 'more than one'} of its labels is `entailment`"
        shown = ", ".join(names) if names else "none is named (id2label in config.json)"
        raise ModelError(f"{said}: {shown}", where=_where(config), remedy=_REMEDY)
    with _as_nli(config):
        read_headers(folder)
    if not (folder / "tokenizer.json").exists():
        raise ModelError("has no tokenizer.json, which is what texts are cut by", where=_where(config), remedy=_REMEDY)
    positions = content.get("max_position_embeddings")
    return Labels(names, found[0], positions if isinstance(positions, int) and positions > 0 else None)


class Entailment:
    """Tells of pairs of answers whether one entails the other. Made by :func:`loaded`.

    Args:
        model: A sequence classifier of pairs, in eval mode.
        tokenizer: Its tokenizer.
        label: The number of its label for entailment.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, label: int) -> None:
        self._model: PreTrainedModel | None = model
        self._tokenizer = tokenizer
        self._label = label
        self._device: torch.device = model.device
        self._limit = token_limit(model, tokenizer)
        self._num_special = tokenizer.num_special_tokens_to_add(pair=True)
        self.num_pairs = 0
        """Pairs that the model was asked about."""
        self.num_cut_prompts = 0
        """Pairs whose prompt lost its beginning."""
        self.num_cut_answers = 0
        """Pairs whose answers were too long by themselves, and lost their ends."""

    def __call__(self, pairs: Sequence[AnswerPair]) -> list[bool]:
        """Return of each pair whether entailment is the most probable label.

        The premise is the prompt with one answer behind it, the hypothesis the prompt with the other (Kuhn et al. 2023,
        section 3.2). What is too long for the model loses the prompt's beginning, on both sides alike; if the answers
        alone are too long, the ends of the longer one. Equal pairs are asked once.
        """
        texts = {pair: self._fitted(pair) for pair in dict.fromkeys(pairs)}
        asked = [*dict.fromkeys(texts.values())]
        self.num_pairs += len(texts)
        found = dict(zip(asked, self._ask(asked), strict=True))
        return [found[texts[pair]] for pair in pairs]

    def close(self) -> None:
        """Give the model's memory back."""
        self._model = None
        if self._device.type == "cuda":
            import torch

            torch.cuda.empty_cache()

    def _ask(self, texts: list[tuple[str, str]]) -> list[bool]:
        import torch

        if (model := self._model) is None:
            raise ValueError("the model was closed")
        lengths = [sum(self._lengths(pair)) + self._num_special for pair in texts]
        answers = [False] * len(texts)
        batches = self._batches([min(length, self._limit) for length in lengths])
        for batch in track(batches, "comparing what answers mean", len(batches)) if batches else ():
            encoded = self._tokenizer(
                [texts[index][0] for index in batch],
                [texts[index][1] for index in batch],
                truncation=True,
                max_length=self._limit,
                padding=True,
                return_tensors="pt",
            ).to(self._device)
            with torch.no_grad():
                labels = model(**encoded).logits.argmax(dim=-1).tolist()
            for index, label in zip(batch, labels, strict=True):
                answers[index] = label == self._label
        return answers

    def _batches(self, lengths: Sequence[int]) -> list[list[int]]:
        """Return indices in batches of like lengths, padding included within the device's number of tokens."""
        budget, batches = _BATCH_TOKENS.get(self._device.type, _BATCH_TOKENS["cpu"]), list[list[int]]()
        for index in sorted(range(len(lengths)), key=lambda index: (lengths[index], index)):
            if batches and (len(batches[-1]) + 1) * lengths[index] <= budget:
                batches[-1].append(index)
            else:
                batches.append([index])
        return batches

    def _fitted(self, pair: AnswerPair) -> tuple[str, str]:
        """Return premise and hypothesis, the prompt's beginning cut where they would be too long."""
        texts = _texts(*pair)
        if sum(self._lengths(texts)) + self._num_special <= self._limit:
            return texts
        lengths = self._lengths((f" {pair.premise}", f" {pair.hypothesis}"))
        room = self._limit - self._num_special - sum(lengths)
        self.num_cut_prompts += 1
        self.num_cut_answers += room < 0
        keep = room // 2 - _MARGIN
        prompt = pair.prompt.rstrip()
        if keep <= 0:
            return _texts("", pair.premise, pair.hypothesis)
        encoded = self._tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        offsets = encoded["offset_mapping"]
        return _texts(prompt[offsets[-min(keep, len(offsets))][0] :], pair.premise, pair.hypothesis)

    def _lengths(self, texts: tuple[str, str]) -> list[int]:
        encoded = self._tokenizer([*texts], add_special_tokens=False, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]


@contextmanager
def loaded(config: NliConfig) -> Iterator[Entailment]:
    """Load an NLI model, and give its memory back at the end.

    Raises:
        ModelError: It cannot be fetched or loaded, is none, or its weights are not its own.
        StoreError: An object store cannot be reached.
    """
    import torch

    folder = fetched_folder(config)
    labels = check_stored(config, folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, tokenizer = _load(config, folder)
    judge = Entailment(model.to(device), tokenizer, labels.entailment)
    logger.info("answers are compared by %s on %s", config.model, device)
    del model
    try:
        yield judge
    finally:
        judge.close()
        if judge.num_cut_prompts:
            logger.warning(
                "of %d pairs of answers %d were too long for %s with their question, whose beginning was cut, and %d "
                "by themselves: their ends were cut",
                *(judge.num_pairs, judge.num_cut_prompts, config.model, judge.num_cut_answers),
            )


def token_limit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return how many tokens a pair may have: what the tokenizer says, and the positions that there are."""
    limits = [int(tokenizer.model_max_length)] if tokenizer.model_max_length < _NO_LIMIT else []
    positions = getattr(model.config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        tables = [module for name, module in model.named_modules() if name.endswith("position_embeddings")]
        paddings = [padding for table in tables if (padding := getattr(table, "padding_idx", None)) is not None]
        limits.append(positions - max((padding + 1 for padding in paddings), default=0))
    return min(limits, default=_USUAL_TOKENS)


def _load(config: NliConfig, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    options: dict[str, Any] = {"use_safetensors": True, "trust_remote_code": False, "dtype": torch.float32}
    try:
        with collected_reports():
            model, info = AutoModelForSequenceClassification.from_pretrained(
                folder, ignore_mismatched_sizes=True, output_loading_info=True, **options
            )
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except torch.OutOfMemoryError:
        raise
    except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError) as error:
        problem = f"cannot be loaded: {reason_of(error, 'config.json')}"
        raise ModelError(problem, where=_where(config), remedy=_REMEDY) from error
    found = differences(model, info)
    if absent := [*found.missing, *(name for name, _, _ in found.mismatched)]:
        shown = ", ".join(absent[:3]) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
        problem = f"its weights lack {shown}, which would be random"
        raise ModelError(problem, where=_where(config), remedy=_REMEDY)
    if not tokenizer.is_fast or tokenizer.pad_token is None:
        problem = "its tokenizer has no padding token" if tokenizer.is_fast else "its tokenizer is no fast one"
        raise ModelError(problem, where=_where(config), remedy=_REMEDY)
    model.requires_grad_(False)
    model.eval()
    return model, tokenizer


def _texts(prompt: str, premise: str, hypothesis: str) -> tuple[str, str]:
    begin = prompt.rstrip()
    first, second = (f"{begin} {answer.strip()}".strip() for answer in (premise, hypothesis))
    return first, second


def _means_entailment(name: str) -> bool:
    return "entailment" in name.casefold() and _NEGATED.search(name.casefold()) is None


def _names(written: object) -> tuple[str, ...]:
    """Return the names of ``id2label`` by number; none where it is no mapping of all numbers from 0."""
    if not isinstance(written, dict):
        return ()
    by_number = {str(key): str(name) for key, name in written.items()}
    numbers = [str(number) for number in range(len(by_number))]
    return tuple(by_number[number] for number in numbers) if {*numbers} == {*by_number} else ()


def _read_config(config: NliConfig, folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        problem = f"config.json cannot be read: {reason}"
        raise ModelError(problem, where=_where(config), remedy=_REMEDY) from error
    if not isinstance(content, dict):
        raise ModelError("config.json holds no object", where=_where(config), remedy=_REMEDY)
    return content


def _located(config: NliConfig) -> ModelConfig:
    """Return the setting in the form that says where base models are."""
    return ModelConfig(base=config.model, revision=config.revision, dtype="float32")


def _where(config: NliConfig) -> str:
    return f"scoring.nli.model: {config.model}"


@contextmanager
def _as_nli(config: NliConfig) -> Iterator[None]:
    """Name this setting, not that of the base model, in errors about where a model is and what its files hold."""
    try:
        yield
    except ModelError as error:
        of_base = error.where.startswith("model.base")
        remedy = _REMEDY if of_base and "model.base" in error.remedy else error.remedy
        where = _where(config) if of_base else f"{_where(config)}: {error.where}"
        raise ModelError(error.problem, where=where, remedy=remedy) from error
