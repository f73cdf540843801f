"""A decoder in two parts: the frozen trunk below the first adapted layer, and the top.

The parts are views: the same modules, nothing copied. Each runs as the whole decoder in which the other's layers pass
on what they get, so that every layer keeps its number, and with it its kind of attention, its mask and its rotation.
What the trunk computes never changes in a campaign, so it is computed once for all Monte-Carlo samples, epochs and
rounds.

Letters: B batch, P prefix tokens, T tokens, D features.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer, LinearAttentionLayer

from activelora.modeling.decoder_parts import decoder_parts
from activelora.modeling.key_values import cache_name, new_cache
from activelora.modeling.trunk_states import states_key

if TYPE_CHECKING:
    from activelora.modeling.base import BaseModel

logger = logging.getLogger(__name__)


class Layout(NamedTuple):
    """What plain causal attention does not say.

    Attributes:
        mask: Added to the attention's scores, shape (B, 1, T, P + T).
        positions: Each token's position in its text, shape (B, T).
    """

    mask: torch.Tensor
    positions: torch.Tensor

    def rows(self, rows: slice) -> Layout:
        """Return that of some rows."""
        return Layout(self.mask[rows], self.positions[rows])


class SplitDecoder:
    """Runs a causal language model's decoder as trunk and top.

    Args:
        model: The causal language model (adapters may have been attached to it).
        first_top_layer: L0, the first adapted layer. 0 leaves the trunk empty.
    """

    def __init__(self, model: PreTrainedModel, first_top_layer: int) -> None:
        self._parts = decoder_parts(model)
        self._decoder: Any = self._parts.decoder
        self._cache_name = cache_name(self._decoder)
        self._layers = self._parts.layers
        self._hidden = _Hidden()
        skipped = [_Skipped(self._hidden, layer, index) for index, layer in enumerate(self._layers)]
        self._trunk_layers = nn.ModuleList([*self._layers[:first_top_layer], *skipped[first_top_layer:]])
        self._top_layers = nn.ModuleList([*skipped[:first_top_layer], *self._layers[first_top_layer:]])
        self.first_top_layer = first_top_layer
        if first_top_layer and not self._splits_exactly():
            self.first_top_layer = 0

    @classmethod
    def of(cls, base: BaseModel, first_top_layer: int) -> SplitDecoder:
        """Return a base model's decoder, in two parts only if that changes nothing for it."""
        split = cls(base.model, first_top_layer if base.paths.split else 0)
        if split.first_top_layer < first_top_layer:
            logger.info("this architecture cannot be split at layer %d; running it whole", first_top_layer)
        return split

    def new_cache(self) -> DynamicCache:
        """Return an empty cache for :meth:`trunk` or :meth:`top`."""
        return new_cache(self._decoder)

    def states_key(self, groups: Iterable[Sequence[Sequence[int]]]) -> str:
        """Return the key of the trunk's states: :func:`activelora.modeling.trunk_states.states_key`."""
        return states_key(self._parts, self.first_top_layer, groups)

    @property
    def limits_attention(self) -> bool:
        """Whether a mask of its own is not for this model: it attends to a window only, or by a kernel without one."""
        config = self._decoder.config
        windowed = getattr(config, "sliding_window", None) is not None
        types = getattr(config, "layer_types", None) or ()
        windowed = windowed or any(one != "full_attention" for one in types)
        return windowed or getattr(config, "_attn_implementation", None) not in ("sdpa", "eager")

    def whole(self, input_ids_BT: torch.Tensor, layout: Layout | None = None) -> torch.Tensor:
        """Return the final hidden states (B, T, D) of the undivided decoder."""
        return self._run({"input_ids": input_ids_BT}, None, layout)

    def trunk(
        self, input_ids_BT: torch.Tensor, cache: DynamicCache | None = None, layout: Layout | None = None
    ) -> torch.Tensor:
        """Run the layers below the first adapted one, without gradients.

        Args:
            input_ids_BT: Token ids, padded on the right.
            cache: Keys and values of a shared prefix; is extended.
            layout: Mask and positions where attention is not plainly causal; else None.

        Returns:
            Hidden states (B, T, D); with an empty trunk the token ids, unchanged, for :meth:`top`.
        """
        if self.first_top_layer == 0:
            return input_ids_BT
        with torch.no_grad(), self._having(self._trunk_layers, None):
            self._run({"input_ids": input_ids_BT}, cache, layout)
            return self._hidden.state

    def top(
        self,
        hidden: torch.Tensor,
        cache: DynamicCache | None = None,
        layout: Layout | None = None,
        indices: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Run the adapted layers and the final norm on what :meth:`trunk` returned.

        Args:
            hidden: What the trunk returned.
            cache: Keys and values of a shared prefix; is extended.
            layout: Mask and positions where attention is not plainly causal; else None.
            indices: Indices of the tokens, of B·T, whose final states are wanted, without repetition; None is all.
                The last layer is saved the rest where it can be, and the states of other tokens are then worth nothing.

        Returns:
            Final hidden states (B, T, D).
        """
        with self._narrowed(indices):
            if self.first_top_layer == 0:
                return self._run({"input_ids": hidden}, cache, layout)
            with self._having(self._top_layers, hidden):
                return self._run({"inputs_embeds": hidden}, cache, layout)

    def can_narrow(self) -> bool:
        """Tell whether the last layer's parts after its attention may run for some tokens only: try a few tokens."""
        ids = torch.arange(4, device=next(self._decoder.parameters()).device)[None] + 4
        indices = torch.tensor([1, 3], device=ids.device)
        try:
            with torch.no_grad(), self._narrowed(indices):
                found = self._run({"input_ids": ids}, None)[0, indices]
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
            return False
        with torch.no_grad():
            whole = self._run({"input_ids": ids}, None)[0, indices]
        return torch.allclose(whole.float(), found.float(), rtol=2e-2, atol=2e-2)

    @contextmanager
    def _narrowed(self, indices: torch.Tensor | None) -> Iterator[None]:
        """Run what follows the last layer's attention, each token for itself, for some tokens only."""
        if indices is None:
            yield
            return
        last: Any = self._layers[-1]
        hooks = []
        try:
            for module in (last.self_attn.o_proj, last.mlp):
                hooks += _narrow(module, indices)
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _run(
        self, inputs: dict[str, torch.Tensor], cache: DynamicCache | None, layout: Layout | None = None
    ) -> torch.Tensor:
        # Padding is on the right and attention is causal: no token that counts ever sees a padded one.
        if layout is not None:
            inputs = {**inputs, "attention_mask": layout.mask, "position_ids": layout.positions}
        output = self._decoder(**inputs, **{self._cache_name: cache}, use_cache=cache is not None)
        hidden: torch.Tensor = output.last_hidden_state
        return hidden

    @contextmanager
    def _having(self, layers: nn.ModuleList, hidden: torch.Tensor | None) -> Iterator[None]:
        """Let the decoder have some skipped layers, which put hidden states in the place of what they get."""
        self._hidden.given = hidden
        setattr(self._decoder, self._parts.layers_name, layers)
        try:
            yield
        finally:
            setattr(self._decoder, self._parts.layers_name, self._layers)
            self._hidden.given = self._hidden.seen = None

    def _splits_exactly(self) -> bool:
        """Compare trunk and top with the whole decoder on a few tokens."""
        device = next(self._decoder.parameters()).device
        input_ids = torch.arange(4, device=device)[None] + 4
        was_training = self._decoder.training
        self._decoder.eval()
        try:
            with torch.no_grad():
                hook = self._layers[0].register_forward_hook(self._hidden.note)
                try:
                    whole = self._run({"input_ids": input_ids}, None)
                finally:
                    hook.remove()
                parts = self.top(self.trunk(input_ids))
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
            return False
        finally:
            self._decoder.train(was_training)
        return whole.shape == parts.shape and torch.allclose(whole.float(), parts.float(), rtol=1e-3, atol=1e-3)


class _Hidden:
    """What the skipped layers of one decoder pass on.

    Attributes:
        given: Hidden states to put in the place of what they get, or None.
        seen: What the first of them got.
        num_returned: How many things a layer returns, states first; None where it returns states alone.
    """

    given: torch.Tensor | None = None
    seen: torch.Tensor | None = None
    num_returned: int | None = None

    def as_layer(self, states: torch.Tensor) -> Any:
        """Return states as a layer does."""
        return states if self.num_returned is None else (states, *[None] * (self.num_returned - 1))

    def note(self, _: nn.Module, __: Any, output: Any) -> None:
        """Note how a layer returns its states."""
        self.num_returned = len(output) if isinstance(output, tuple) else None

    @property
    def state(self) -> torch.Tensor:
        """What the first skipped layer got."""
        if self.seen is None:
            raise ValueError("the decoder has not run its layers one after the other")
        return self.seen


class _Skipped(nn.Module):
    """A layer's place in a part of the decoder that does without it.

    Args:
        hidden: What to pass on.
        layer: The layer, whose attributes the decoder may ask for.
        index: Its number.
    """

    def __init__(self, hidden: _Hidden, layer: nn.Module, index: int) -> None:
        super().__init__()
        vars(self).update(hidden=hidden, layer=layer, index=index)  # not registered: it is a part of the other half

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["layer"], name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return hidden states as the layer would, and let a cache know how many tokens it has seen."""
        hidden: _Hidden = vars(self)["hidden"]
        got = args[0] if args else kwargs["hidden_states"]
        if hidden.seen is None:
            hidden.seen = got
        if hidden.given is None:
            return hidden.as_layer(got)
        cache = next((one for one in (*args, *kwargs.values()) if isinstance(one, Cache)), None)
        index = vars(self)["index"]
        if cache is not None and (index >= len(cache.layers) or isinstance(cache.layers[index], DynamicLayer)):
            nothing = got.new_zeros(got.shape[0], 1, got.shape[1], 1)  # masks follow from the first layer's length
            cache.update(nothing, nothing, index)
        elif cache is not None and isinstance(cache.layers[index], LinearAttentionLayer):
            # transformers counts tokens here too, since 5.25: without that, texts begin where their prefix did.
            cache.update_conv_state(got.new_zeros(got.shape[0], 1, got.shape[1]), index)
        return hidden.as_layer(hidden.given)


def _narrow(module: nn.Module, indices: torch.Tensor) -> list[RemovableHandle]:
    """Let a module see some of its input's B·T tokens only, and fill its output with zeros."""
    shape: list[int] = []

    def narrow(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        shape[:] = inputs[0].shape[:2]
        return (inputs[0].flatten(0, 1)[indices][None], *inputs[1:])

    def widen(_: nn.Module, __: Any, output: torch.Tensor) -> torch.Tensor:
        wide = output.new_zeros(shape[0] * shape[1], output.shape[-1])
        wide[indices] = output[0]
        return wide.view(*shape, -1)

    return [module.register_forward_pre_hook(narrow), module.register_forward_hook(widen)]
