"""How many tokens a batch has, and what happens where they are too many for the memory.

Letters: B rows, T tokens, D features.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from activelora.errors import ModelError

if TYPE_CHECKING:
    from activelora.config import ScoringConfig
    from activelora.modeling.base import BaseModel

logger = logging.getLogger(__name__)

_Which = TypeVar("_Which", slice, int)

CPU_TOKENS = 256
"""Tokens whose activations a processor's caches hold; more are slower, and pad more."""
MIN_TOKENS, MAX_TOKENS = 1024, 65_536
MEMORY_SHARE = 0.3
"""Share of the GPU memory that the weights leave free, for activations; the rest is for merged weights and prefixes."""


def batch_tokens(config: ScoringConfig, base: BaseModel) -> int:
    """Return the token budget of a batch: what is set or, for `auto`, what suits the device.

    It does not depend on what else the device does at the moment, so that runs repeat.
    """
    if config.batch_tokens != "auto":
        return config.batch_tokens
    if base.device.type != "cuda":
        return CPU_TOKENS
    weights = sum(parameter.nbytes for parameter in base.model.parameters())
    left = torch.cuda.get_device_properties(base.device).total_memory - 2 * weights
    return min(max(int(left * MEMORY_SHARE / token_bytes(base)), MIN_TOKENS), MAX_TOKENS)


def token_bytes(base: BaseModel) -> int:
    """Return about how many bytes one token's activations take in the widest layer."""
    config: Any = base.model.config.get_text_config(decoder=True)
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    widest = max(inner) if isinstance(inner, Sequence) else inner  # Gemma 3n has one a layer
    return (8 * int(config.hidden_size) + 3 * int(widest)) * int(base.model.dtype.itemsize)


class Halving:
    """Runs batches of rows, in halves where memory runs out; later batches then begin with what did fit.

    The results are the same up to rounding.
    """

    def __init__(self) -> None:
        self._most_tokens: int | None = None

    @property
    def has_halved(self) -> bool:
        """Whether memory has run out."""
        return self._most_tokens is not None

    def run(
        self,
        compute: Callable[[slice], torch.Tensor],
        num_rows: int,
        num_tokens: int,
        in_pieces: Callable[[int], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Return the states (B, T, D) of a batch.

        Args:
            compute: Computes those of some of the rows.
            num_rows: B.
            num_tokens: T.
            in_pieces: Computes those of one row with less memory, if that is possible.

        Raises:
            ModelError: Memory runs out for a single row.
        """
        most = num_rows if self._most_tokens is None else max(1, self._most_tokens // num_tokens)
        parts: list[torch.Tensor] = []
        begin = 0
        while begin < num_rows:
            rows = slice(begin, min(begin + most, num_rows))
            if (part := _attempt(compute, rows)) is not None:
                parts.append(part)
                begin = rows.stop
                continue
            if most == 1:
                if in_pieces is None or (part := _attempt(in_pieces, begin)) is None:
                    raise ModelError(
                        f"memory runs out for a single text of {num_tokens} tokens",
                        where="task.max_prompt_tokens",
                        remedy="Lower it, or use a smaller model, `model.dtype: bfloat16` or a larger GPU.",
                    )
                self._most_tokens = num_tokens - 1
                parts.append(part)
                begin = rows.stop
                continue
            most = max(1, (rows.stop - rows.start) // 2)
            self._most_tokens = most * num_tokens
            logger.warning("memory ran out; going on with batches of %d tokens", self._most_tokens)
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def _attempt(compute: Callable[[_Which], torch.Tensor], which: _Which) -> torch.Tensor | None:
    """Return the result, or None where memory ran out; what the error holds is free again by then."""
    try:
        return compute(which)
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
