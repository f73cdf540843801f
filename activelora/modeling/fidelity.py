"""Whether the engine's ways to save time give what the model itself gives: measured, never taken for granted.

The engine runs the output head apart from the model, frozen layers apart from adapted ones, a shared beginning once,
texts that begin alike as one sequence, and leaves tokens out that are not read. Families differ in what that does to
them. So each way is compared with the model's own forward pass, and is off where it is not the same: on a small copy
with random weights, whose windows are shorter than the texts, and with the real weights on a few tokens.

What was found is kept in the cache folder, under a digest of the weights and of all that numbers depend on.

Letters: T tokens, V vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from transformers import PreTrainedModel

from activelora.errors import ModelError
from activelora.modeling.decoder_parts import decoder_parts, text_config
from activelora.modeling.fast_paths import ALL, PLAIN, FastPaths
from activelora.modeling.head import Head
from activelora.modeling.key_values import expand_cache
from activelora.modeling.known_paths import kind_key, known, weights_key
from activelora.modeling.packing import LONGEST, can_pack, indices_read, layout_of, packs, plain
from activelora.modeling.rows import Rows
from activelora.modeling.small_copy import small_copies
from activelora.modeling.split import SplitDecoder

logger = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Nats by which log-probabilities in float32 may differ."""
FACTOR = 3.0
"""Factor on the model's own difference between texts run alone and together: what rounding does to its numbers."""
_EXACT = torch.finfo(torch.float32).eps
_READ = 4
"""Tokens that are read of a text where others are left out."""
_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError)


@dataclass(frozen=True)
class _Sizes:
    """Tokens of the two texts that are run.

    Attributes:
        longer: Length of the longer text.
        shorter: Length of the shorter one.
        alike: Number of tokens with which both begin.
        prefix: Number of those that are run once, before both.
        refused_above: Difference in nats between a text run alone and together above which a model is refused. Real
            weights may hold ties, such as those between experts, which rounding decides; random ones do not.
    """

    longer: int
    shorter: int
    alike: int
    prefix: int
    refused_above: float


_COPY = _Sizes(104, 88, 76, 68, TOLERANCE)
_REAL = _Sizes(56, 40, 28, 16, 100 * TOLERANCE)


def paths_of(model: PreTrainedModel, weighed: bool = True) -> FastPaths:
    """Return the ways to save time that a model allows; found once, and then known on this machine.

    Args:
        model: The model, with its weights and without adapters.
        weighed: Whether to run it too; False measures its small copy only.

    Raises:
        ModelError: Even its own forward pass gives other numbers for a text when others run beside it, or none.
    """
    name = model.config._name_or_path or type(model).__name__
    paths = paths_of_kind(model)
    if weighed:
        paths &= known(weights_key(model), lambda: measured_paths(model, _REAL, [len(_layers(model)) // 2]))
    if paths.off:
        logger.info("%s runs without %s: its own forward pass gives other numbers", name, ", ".join(paths.off))
    return paths


def paths_of_kind(model: PreTrainedModel) -> FastPaths:
    """Return what a small copy of a model allows, found once; all, where no copy can be made: its weights tell then.

    Args:
        model: The model, whose weights need not be there.

    Raises:
        ModelError: The copy gives other numbers for a text when others run beside it.
    """
    return known(kind_key(model), lambda: copied_paths(model) or ALL)


def copied_paths(model: PreTrainedModel) -> FastPaths | None:
    """Return the ways that a small copy of a model allows, or None where no copy can be made that runs.

    Args:
        model: The model, whose weights need not be there.

    Raises:
        ModelError: The copy gives other numbers for a text when others run beside it.
    """
    for copy in small_copies(model):
        try:
            _own(copy, _texts(copy, _COPY))
        except (*_ERRORS, ValueError) as error:
            logger.debug("the small copy of %s does not run: %s", type(model).__name__, error)
            continue
        last = len(_layers(copy)) - 1
        return measured_paths(copy, _COPY, sorted({1, (last + 1) // 2, last}))
    return None


@torch.no_grad()
def measured_paths(model: PreTrainedModel, sizes: _Sizes, splits: Sequence[int]) -> FastPaths:
    """Return the ways that change none of a model's numbers.

    Args:
        model: The model, in eval mode.
        sizes: Tokens to run.
        splits: Numbers of layers to run as the frozen ones.

    Raises:
        ModelError: The model gives no numbers, or other ones for a text when others run beside it.
    """
    texts = _texts(model, sizes)
    try:
        expected, together = _own(model, texts), _own_together(model, texts)
    except (*_ERRORS, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{type(model).__name__} cannot be run on {sizes.longer} tokens: {reason}",
            where="model.base",
            remedy="Check that the model's config.json fits its weights, or choose another model.",
        ) from error
    if not all(bool(one.isfinite().any()) and not bool(one.isnan().any()) for one in expected):
        raise ModelError(
            f"{type(model).__name__} gives no numbers for {sizes.longer} ordinary tokens",
            where="model.base",
            remedy="In half precision, set model.dtype to float32 or bfloat16; else the weights are damaged.",
        )
    own = max(map(_difference, expected, together))
    rounding = _rounding(model)
    spacing = rounding * max(float(one[one.isfinite()].abs().max()) for one in expected)
    limit = max(TOLERANCE, FACTOR * own, 2 * spacing if rounding > _EXACT else 0.0)
    if rounding <= _EXACT and own > sizes.refused_above:
        raise ModelError(
            f"{type(model).__name__} gives other numbers for a text when a longer one runs beside it: up to "
            f"{own:.2g} nats, so a score would depend on the other items of its batch",
            where="model.base",
            remedy="Choose another model; decoders such as Llama, Qwen, Mistral and Gemma are not like that.",
        )
    return _allowed(_Trial(model, texts, sizes, expected, limit), splits)


def _allowed(trial: _Trial, splits: Sequence[int]) -> FastPaths:
    """Return what all splits allow: all at once, or each way that does alone, if these do together."""
    middle = splits[len(splits) // 2] if splits else 0
    several = all(trial.agrees(replace(PLAIN, head=True, split=True), split) for split in splits if split != middle)
    wanted = replace(ALL, packing=trial.can_pack, split=several)
    if trial.agrees(replace(wanted, narrowing=False), middle) and trial.agrees(wanted, middle):
        return wanted
    plain_head = trial.agrees(replace(PLAIN, head=True), 0)
    if not plain_head and not trial.agrees(PLAIN, 0):
        raise ModelError(
            f"{type(trial.model).__name__} does not make its logits of the last states of its decoder",
            where="model.base",
            remedy="Use a decoder such as Llama, Qwen, Mistral, Gemma or SmolLM.",
        )
    paths = replace(PLAIN, head=plain_head)
    for name in ("split", "prefix", "packing", "narrowing"):
        more = replace(paths, **{name: getattr(wanted, name)})
        if more != paths and trial.agrees(more, middle):
            paths = more
    return paths


@dataclass(frozen=True)
class _Trial:
    """Runs two texts as the engine would.

    Attributes:
        model: The model.
        texts: Token ids of the texts.
        sizes: Their sizes.
        expected: Log-probabilities that the model itself gives, of each text (T, V).
        limit: Nats by which others may differ.
    """

    model: PreTrainedModel
    texts: list[tuple[int, ...]]
    sizes: _Sizes
    expected: list[torch.Tensor]
    limit: float

    @property
    def can_pack(self) -> bool:
        """Whether the model attends as a mask says."""
        return self._quietly(lambda: can_pack(SplitDecoder(self.model, 0), self._like))

    def agrees(self, paths: FastPaths, first_top_layer: int) -> bool:
        """Tell whether some ways at once give the expected numbers."""
        return self._quietly(lambda: self._difference(paths, first_top_layer) <= self.limit)

    def _quietly(self, ask: Callable[[], bool]) -> bool:
        try:
            return ask()
        except (*_ERRORS, ValueError) as error:
            logger.debug("%s cannot be run so: %s", type(self.model).__name__, error)
            return False

    @property
    def _like(self) -> torch.Tensor:
        return torch.empty(0, dtype=self.model.dtype, device=self.model.device)

    def _difference(self, paths: FastPaths, first_top_layer: int) -> float:
        split = SplitDecoder(self.model, first_top_layer if paths.split else 0)
        head = Head(self.model, own=not paths.head)
        device = self._like.device
        prefix = self.sizes.prefix if paths.prefix else 0
        caches = (split.new_cache(), split.new_cache()) if prefix else (None, None)
        if prefix:
            beginning = torch.tensor([self.texts[0][:prefix]], device=device)
            split.top(split.trunk(beginning, caches[0]), caches[1])
        rests = [text[prefix:] for text in self.texts]
        batch = packs(rests, range(len(rests)), LONGEST) if paths.packing else list(map(plain, rests, range(2)))
        layout = layout_of(batch, prefix, self._like)
        ids_BT = nn.utils.rnn.pad_sequence([torch.tensor(pack.ids) for pack in batch], batch_first=True).to(device)
        trunk_cache, top_cache = (
            None if cache is None or not cache.layers else expand_cache(cache, len(batch)) for cache in caches
        )
        order = [row for pack in batch for row in pack.rows]
        counts = [_READ if paths.narrowing else len(rests[row]) for row in order]
        indices = indices_read(batch, counts, ids_BT.shape[1])
        narrow = paths.narrowing and split.can_narrow()
        read = torch.tensor(sorted(set(indices)), device=device) if narrow else None
        final_BTD = split.top(split.trunk(ids_BT, trunk_cache, layout), top_cache, layout, read)
        hidden_RD = final_BTD.flatten(0, 1)[indices]
        found = torch.split(_log_probs(head.logits(hidden_RD, self._rows(order, counts))), counts)
        pairs = zip(order, counts, found, strict=True)
        return max(_difference(self.expected[row][-count:], one) for row, count, one in pairs)

    def _rows(self, order: Sequence[int], counts: Sequence[int]) -> Rows:
        lengths = [len(self.texts[row]) for row in order]
        positions = [at for size, count in zip(lengths, counts, strict=True) for at in range(size - count, size)]
        sequences = [row for row, count in zip(order, counts, strict=True) for _ in range(count)]
        return Rows(*(torch.tensor(one, device=self._like.device) for one in (sequences, positions)))


def _rounding(model: PreTrainedModel) -> float:
    """Return the relative rounding of the numbers that a model computes with; quantised weights count as bfloat16."""
    kinds = {parameter.dtype for parameter in model.parameters()}
    usual = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
    return max(torch.finfo(kind if kind in usual else torch.bfloat16).eps for kind in kinds)


def _texts(model: PreTrainedModel, sizes: _Sizes) -> list[tuple[int, ...]]:
    """Return two texts of any tokens but special ones, which are at the ends of a vocabulary."""
    size = int(text_config(model).vocab_size)
    generator = torch.Generator().manual_seed(0)
    longer, other = torch.randint(size // 8, max(size // 2, size // 8 + 2), (2, sizes.longer), generator=generator)
    return [tuple(longer.tolist()), (*longer[: sizes.alike].tolist(), *other[sizes.alike : sizes.shorter].tolist())]


@torch.no_grad()
def _own(model: PreTrainedModel, texts: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:
    """Return the log-probabilities (T, V) that the model gives each text when it is run alone."""
    device = model.device
    return [_log_probs(model(torch.tensor([ids], device=device), use_cache=False).logits[0]) for ids in texts]


def _own_together(model: PreTrainedModel, texts: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:
    """Return those of a batch, padded on the right: no token may see what comes after it."""
    rows = [torch.tensor(ids) for ids in texts]
    ids_BT = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=texts[1][-1]).to(model.device)
    logits_BTV = model(ids_BT, use_cache=False).logits
    return [_log_probs(logits_TV[: len(ids)]) for logits_TV, ids in zip(logits_BTV, texts, strict=True)]


def _log_probs(logits: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(logits.float(), dim=-1)


def _difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest difference, which is infinite where one is no number."""
    return float((one - other).abs().nan_to_num(nan=torch.inf, posinf=torch.inf).max())


def _layers(model: PreTrainedModel) -> nn.ModuleList:
    return decoder_parts(model).layers
