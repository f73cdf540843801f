"""Whether weights are a model's own: every parameter is there, in its shape, and nothing that would change the model.

The comparison is transformers' own loading, with its renamings and conversions: once of tensors without values, which
costs no memory and reads headers only, and once as the report of the real loading.
"""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from activelora.modeling.headers import TensorHeader

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

_TORCH_TYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "F16": "float16",
    "BF16": "bfloat16", "F32": "float32", "F64": "float64", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
}  # fmt: skip
WHOLE_NUMBERS = ("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64")
_OTHER_USES = re.compile(
    r"(^|\.)(vision|visual|image|audio|speech|video|talker|token2wav|code2wav|mtp|nextn|v_head)[\w]*\."
    r"|(^|\.)(multi_modal_projector|mm_projector|multimodal_projector|embed_vision|embed_audio|resampler|aligner)\."
)
"""Parts that a text decoder does not run: towers of other senses, their bridges, heads for several tokens at once."""
_BUFFERS = re.compile(r"(^|\.)(inv_freq|position_ids|masked_bias|causal_mask|(attn|attention)\.bias|[kv]_scale)$")
"""What older versions of transformers stored beside parameters, and what is computed today."""
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.(\d+)\.")
_REPORT = re.compile(r"^(\S.*?)\s+\| \S*CONVERSION", re.MULTILINE)


@dataclass(frozen=True)
class Differences:
    """How weights differ from the model.

    Attributes:
        names: The model's own parameters and stored buffers, by name.
        missing: Those that the weights do not have: they would be random.
        unexpected: Tensors of the weights that the model has no place for, but for harmless ones.
        mismatched: Names with the shape in the weights and the model's own.
        unconverted: Parameters that cannot be made of the tensors that are there.
    """

    names: frozenset[str]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    unconverted: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self.missing or self.unexpected or self.mismatched or self.unconverted)


def layer_of(name: str) -> int | None:
    """Return the number of the layer that a parameter belongs to."""
    found = _LAYER.search(name)
    return int(found.group(1)) if found else None


def compare(skeleton: PreTrainedModel, headers: Mapping[str, TensorHeader]) -> Differences | None:
    """Return how weights differ from the model, by their headers; None where transformers needs values to load them.

    Args:
        skeleton: The model without weights.
        headers: What the files say of their tensors.
    """
    import torch

    settings = copy.deepcopy(skeleton.config)
    for part in (settings, settings.get_text_config(decoder=True)):
        if hasattr(part, "quantization_config"):
            del part.quantization_config
    # A tensor without values, of the type and shape that the file names.
    state = {
        name: torch.empty(header.shape, dtype=getattr(torch, _TORCH_TYPES.get(header.dtype, "uint8")), device="meta")
        for name, header in headers.items()
    }
    options: dict[str, Any] = {"config": settings, "state_dict": state, "dtype": torch.float32}
    with collected_reports() as reports, _without_progress_bars():
        try:
            model, info = type(skeleton).from_pretrained(
                None, device_map={"": "meta"}, ignore_mismatched_sizes=True, output_loading_info=True, **options
            )
        except (RuntimeError, NotImplementedError, ValueError, TypeError) as error:
            if unconverted := reports.unconverted():
                return Differences(frozenset(skeleton.state_dict()), unconverted=unconverted)
            logger.debug("headers cannot be compared: %s", error)
            return None
    return differences(model, info, headers)


def differences(
    model: PreTrainedModel, info: Mapping[str, Any], headers: Mapping[str, TensorHeader] | None = None
) -> Differences:
    """Return how weights differ from the model, by transformers' report of loading them.

    Args:
        model: The model that they were loaded into.
        info: The report: ``missing_keys``, ``unexpected_keys``, ``mismatched_keys``.
        headers: What the files say of their tensors, where that is known.
    """
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    missing = {name for name in info["missing_keys"] if tied.get(name) not in info["missing_keys"]}
    types = {name: header.dtype for name, header in (headers or {}).items()}
    unexpected = {name for name in info["unexpected_keys"] if not is_harmless(name, types.get(name), model)}
    shapes = [(name, tuple(found), tuple(own)) for name, found, own in info["mismatched_keys"]]
    return Differences(
        frozenset(model.state_dict()),
        tuple(sorted(missing, key=_natural)),
        tuple(sorted(unexpected, key=_natural)),
        tuple(sorted(shapes, key=lambda entry: _natural(entry[0]))),
    )


@dataclass
class Reports(logging.Filter):
    """transformers' own tables about loading, which are kept from the log: what is wrong is told as an error.

    Attributes:
        level: Level from which on records were logged before.
        texts: The tables.
    """

    level: int
    texts: list[str] = field(default_factory=list)

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record if it is a report."""
        text = record.getMessage()
        is_report = "LOAD REPORT" in text or "checkpoint seem corrupted" in text
        if is_report:
            self.texts.append(text)
        return not is_report and record.levelno >= self.level

    def unconverted(self) -> tuple[str, ...]:
        """Return the parameters whose conversion failed, unless it failed for want of values."""
        texts = [text for text in self.texts if "meta tensor" not in text]
        return tuple(name for text in texts for name in _REPORT.findall(text))


@contextmanager
def collected_reports() -> Iterator[Reports]:
    """Collect transformers' tables instead of showing them, also where transformers is to log errors only."""
    source = logging.getLogger("transformers.modeling_utils")
    reports, level = Reports(source.getEffectiveLevel()), source.level
    source.addFilter(reports)
    if reports.level > logging.WARNING:
        source.setLevel(logging.WARNING)
    try:
        yield reports
    finally:
        source.setLevel(level)
        source.removeFilter(reports)


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    from transformers.utils import logging as shown

    if not shown.is_progress_bar_enabled():
        yield
        return
    shown.disable_progress_bar()
    try:
        yield
    finally:
        shown.enable_progress_bar()


def is_harmless(name: str, dtype: str | None, model: PreTrainedModel) -> bool:
    """Tell whether a tensor that the model has no place for does not change what the model does."""
    if _OTHER_USES.search(name) or _BUFFERS.search(name) or dtype in WHOLE_NUMBERS:
        return True
    settings = model.config.get_text_config(decoder=True)
    layer, more = layer_of(name), getattr(settings, "num_nextn_predict_layers", None) or 0
    return layer is not None and 0 <= layer - settings.num_hidden_layers < more


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]
