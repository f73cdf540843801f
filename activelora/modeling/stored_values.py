"""Whether the values of a model's files mean what loading makes of them: small numbers mean nothing without scales."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from activelora.errors import ModelError
from activelora.modeling import prequantized
from activelora.modeling.headers import TensorHeader
from activelora.modeling.weights_check import WHOLE_NUMBERS, is_harmless

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_SMALL_FLOATS = ("F8_", "F6_", "F4")
_SCALES = ("_scale_inv", "_scale", ".scale", ".qscale_weight")
_SHOWN = 3
_REMEDY = (
    "Fetch the checkpoint again, whole, or use the one that is not quantised; model.quantization quantises it when it "
    "is loaded."
)


def check_values(
    headers: Mapping[str, TensorHeader], model: PreTrainedModel, stored: prequantized.Stored | None, where: str
) -> None:
    """Refuse parameters that would be read as other numbers than they stand for, without a word from transformers.

    Args:
        headers: What the files say of their tensors.
        model: The model, with weights or without.
        stored: How its configuration says that they are quantised.
        where: The setting that names the model.

    Raises:
        ModelError: Parameters are whole numbers or small floats, and no scale or no configuration goes with them.
    """
    own = {name for name, value in model.state_dict().items() if value.is_floating_point()}
    packed = prequantized.packed_names(headers)
    small = [
        name
        for name, header in headers.items()
        if _is_small(name, header, own) and name not in packed and not is_harmless(name, None, model)
    ]
    if small and stored is None:
        said = f"{_count(small, headers)}, and config.json has no quantization_config that says what they stand for"
        raise ModelError(said, where=where, remedy=_REMEDY)
    scales = {name: _scale_of(name, headers) for name in small}
    if without := [name for name, scale in scales.items() if scale is None]:
        raise ModelError(f"{_count(without, headers)}, without scales", where=where, remedy=_REMEDY)
    blocks = _block_sizes(model.config)
    for name, scale in scales.items():
        if scale is not None and headers[name].dtype.startswith("F8") and not _fits(headers[name], scale, blocks):
            said = f"of {list(scale.shape)} for {list(headers[name].shape)}"
            of_blocks = f" in blocks of {list(blocks)}" if blocks else ""
            problem = f"the scales of {name} have another shape than its blocks: {said}{of_blocks}"
            raise ModelError(problem, where=where, remedy=_REMEDY)


def _is_small(name: str, header: TensorHeader, own: set[str]) -> bool:
    """Tell whether a tensor is a parameter in fewer bits than it is computed with."""
    if prequantized.is_beside(name) or name.endswith(_SCALES):
        return False
    if header.dtype.startswith(_SMALL_FLOATS):
        return True
    return header.dtype in WHOLE_NUMBERS and (name in own or name.endswith((".weight", ".bias")))


def _scale_of(name: str, headers: Mapping[str, TensorHeader]) -> TensorHeader | None:
    """Return the scale of a parameter, by the names that transformers knows."""
    layer = name.removesuffix(".weight")
    names = (f"{name}_scale_inv", f"{layer}.scale", f"{layer}.qscale_weight")
    return next((headers[one] for one in names if one in headers), None)


def _block_sizes(settings: Any) -> tuple[int, int] | None:
    declared = prequantized.declared(settings).get("weight_block_size", (128, 128))
    if (
        isinstance(declared, list | tuple)
        and len(declared) == 2
        and all(isinstance(n, int) and n > 0 for n in declared)
    ):
        return declared[0], declared[1]
    return None


def _fits(weight: TensorHeader, scale: TensorHeader, blocks: tuple[int, int] | None) -> bool:
    """Tell whether transformers, which takes the blocks' size from the number of scales, reads what was stored."""
    if all(size == 1 for size in scale.shape):
        return len(weight.shape) >= 2
    if len(scale.shape) != len(weight.shape) or len(weight.shape) < 2 or scale.shape[:-2] != weight.shape[:-2]:
        return False
    pairs = list(zip(weight.shape[-2:], scale.shape[-2:], blocks or (None, None), strict=True))
    if all(count == 1 for _, count, _ in pairs):
        return True
    return all(
        count > 0
        and size % count == 0
        and (block is None or (size // count == block or (count == 1 and size <= block)))
        for size, count, block in pairs
    )


def _count(names: list[str], headers: Mapping[str, TensorHeader]) -> str:
    dtypes = " and ".join(sorted({headers[name].dtype for name in names}))
    more = len(names) - _SHOWN
    shown = ", ".join(sorted(names)[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"{len(names)} {'parameter is' if len(names) == 1 else 'parameters are'} stored as {dtypes} ({shown})"
