"""From final hidden states to logits, as the model's own wrapper does it.

Granite divides what its output head gives, Cohere multiplies it, Gemma 2 squeezes it through 30·tanh(x/30), other
wrappers scale the states before the head. None of that is known by name here: the wrapper's own code runs, with its
decoder replaced by one that gives back the states in hand, and where only what follows the head is wanted, with the
head replaced by one that gives back the numbers in hand.

Letters: R rows, D features, C answer tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import MoeModelOutputWithPast

from activelora.errors import ModelError
from activelora.modeling.decoder_parts import decoder_parts, text_config
from activelora.modeling.rows import Rows, project

if TYPE_CHECKING:
    from activelora.modeling.base import BaseModel

Form = Literal["plain", "elementwise", "whole", "own"]
"""What the wrapper does besides the head: nothing; the same to every logit; something that takes all of a token's
logits; or something before the head too."""
_forms: WeakKeyDictionary[nn.Module, Form] = WeakKeyDictionary()
_HIGHEST = 300.0
"""Logits up to this size are tried."""


class Head:
    """The output head of a causal language model with what its wrapper does around it.

    Args:
        model: The causal language model; adapters may come and go.
        own: Whether to let the wrapper do all of it, whatever that is.

    Raises:
        ModelError: The wrapper does not run on hidden states.
    """

    def __init__(self, model: PreTrainedModel, own: bool = False) -> None:
        self._model: Any = model
        if model not in _forms:
            _forms[model] = self._find_form()
        self.form: Form = "own" if own else _forms[model]

    @classmethod
    def of(cls, base: BaseModel) -> Head:
        """Return a base model's head."""
        return cls(base.model, own=not base.paths.head)

    @property
    def module(self) -> Any:
        """The output head itself, with its adapter if it has one now."""
        return self._model.get_output_embeddings()

    @property
    def width(self) -> int:
        """D."""
        return int(text_config(self._model).hidden_size)

    def logits(self, hidden_RD: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return logits (R, V) of single tokens.

        Args:
            hidden_RD: Final hidden states.
            rows: Origin of each: its sequence and position.
        """
        if self.form == "own":
            return self._own(hidden_RD, rows)
        return self._after(project(self.module, hidden_RD, rows))

    def logits_onto(self, hidden_RD: torch.Tensor, targets_RC: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return the logits (R, C) of some tokens alone, in float32.

        Args:
            hidden_RD: Final hidden states.
            targets_RC: Token ids.
            rows: Origin of each state.
        """
        module = self.module
        if self.form not in ("plain", "elementwise") or not _is_dense(module):
            return self.logits(hidden_RD, rows).float().gather(1, targets_RC)
        logits_RC = torch.einsum("rd,rcd->rc", hidden_RD.float(), module.weight[targets_RC].float())
        if module.bias is not None:
            logits_RC = logits_RC + module.bias[targets_RC].float()
        return self._after(logits_RC)

    def _after(self, logits: torch.Tensor) -> torch.Tensor:
        """Return what the wrapper makes of the head's logits (R, V), or (R, C) where each is changed for itself."""
        if self.form == "plain":
            return logits
        head = self.module
        hidden = torch.zeros(1, len(logits), self.width, dtype=self._model.dtype, device=logits.device)
        with _running(head, lambda *_, **__: logits[None]):
            return self._wrapper(hidden)[0]

    def _own(self, hidden_RD: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return what the wrapper makes of hidden states; an adapted head gets them as rows."""
        head = self.module
        with ExitStack() as undo:
            if hasattr(head, "rows"):
                head.rows = rows
                undo.callback(head.register_forward_pre_hook(lambda _, inputs: (inputs[0][0],)).remove)
                undo.callback(head.register_forward_hook(lambda _, __, output: output[None]).remove)
            return self._wrapper(hidden_RD[None])[0]

    def _wrapper(self, hidden: torch.Tensor) -> torch.Tensor:
        """Run the model with a decoder that gives hidden states (1, R, D) back."""
        decoded = _Decoded(last_hidden_state=hidden)
        with _running(decoder_parts(self._model).decoder, lambda *_, **__: decoded):
            # Token ids, which the stand-in ignores: Gemma 4 with a vision tower takes no embeddings from outside.
            ids = torch.zeros(hidden.shape[:2], dtype=torch.long, device=hidden.device)
            logits: torch.Tensor = self._model(input_ids=ids, use_cache=False).logits
        return logits

    @torch.no_grad()
    def _find_form(self) -> Form:
        """See what the head is given and what becomes of what it returns, by numbers that a model may well give."""
        head = self.module
        weight = head.weight
        generator = torch.Generator().manual_seed(0)
        hidden = torch.randn(1, 3, self.width, generator=generator).to(weight.device, self._model.dtype)
        size = int(text_config(self._model).vocab_size)
        logits = torch.linspace(-1.0, 1.0, size, device=weight.device) * _HIGHEST
        logits = torch.stack([logits, logits / 10, logits.flip(0) / 100])[None]

        def finished(given: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
            seen: list[torch.Tensor] = []

            def stand_in(states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
                seen.append(states)
                return given.clone()  # a wrapper may write into it

            with _running(head, stand_in):
                return self._wrapper(hidden), seen

        try:
            changed, seen = finished(logits)
        except (
            AttributeError,
            IndexError,
            KeyError,
            NotImplementedError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            raise ModelError(
                f"{type(self._model).__name__} cannot be run on hidden states: {error}",
                where="model.base",
                remedy="Use a decoder such as Llama, Qwen, Mistral, Gemma or SmolLM.",
            ) from error
        if len(seen) != 1 or seen[0].shape != hidden.shape or not torch.equal(seen[0], hidden):
            return "own"
        if torch.equal(changed, logits):
            return "plain"
        try:
            turned = torch.equal(finished(logits.roll(1, -1))[0], changed.roll(1, -1))
            some = torch.equal(finished(logits[..., 1:4].contiguous())[0], changed[..., 1:4])
        except (IndexError, RuntimeError, ValueError):
            return "whole"
        return "elementwise" if turned and some else "whole"


@dataclass
class _Decoded(MoeModelOutputWithPast):  # type: ignore[misc]
    """A decoder's output that is hidden states, and None for whatever else one may ask for."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@contextmanager
def _running(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Let a module do something else meanwhile."""
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def _is_dense(module: Any) -> bool:
    """Tell whether rows of a module's weight may stand for it: it is a plain linear layer, with no adapter on it."""
    return type(module) is nn.Linear and module.weight.is_floating_point()
