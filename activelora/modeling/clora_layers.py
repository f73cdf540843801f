"""C-LoRA's layer (Rahmati et al. 2025, arXiv 2505.17773) as a variant of peft 0.21's LoRA.

Importing this module teaches peft the adapter type ``CLORA``; after that ``save_pretrained`` and
``PeftModel.from_pretrained`` keep such an adapter whole, like any other.

Letters: B batch, T tokens, I inputs, O outputs, R rank, H width of the context network.
"""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from peft import LoraConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.lora import Linear, LoraModel
from peft.tuners.lora.layer import LoraVariant
from torch import nn
from transformers.pytorch_utils import Conv1D

from activelora.modeling.rows import Rows

CONTAINERS = ("lora_E1", "lora_E2")
"""Flat, a module an adapter: peft finds a parameter's adapter by the last but one part of its name."""
MEANS = ("net", "identity_plus_net")
NOISES = ("token", "sequence")


class CLoraType(enum.StrEnum):
    """The adapter's type in ``adapter_config.json``. As ``LORA``, peft would drop the context network on loading."""

    CLORA = "CLORA"


@dataclass
class ContextConfig:
    """The context network, which maps z = A·x to the distribution of E.

    Attributes:
        width: H.
        mean: ``net``: μ is what the network says; ``identity_plus_net``: I plus that, which starts as plain LoRA.
        noise: One draw for every ``token``, or one for a whole ``sequence``.
    """

    width: int = 64
    mean: str = "net"
    noise: str = "token"

    def __post_init__(self) -> None:
        if self.mean not in MEANS or self.noise not in NOISES or self.width < 1:
            raise ValueError(f"mean is one of {MEANS}, noise one of {NOISES}, width 1 or more: {asdict(self)}")


@dataclass
class CLoraPeftConfig(LoraConfig):  # type: ignore[misc]  # peft has no types here
    """A LoRA configuration with a context network.

    Attributes:
        clora_config: The context network.
    """

    clora_config: ContextConfig = field(default_factory=ContextConfig, metadata={"is_lora_variant": True})

    def __post_init__(self) -> None:
        """Restore what JSON flattened, and name the layer that takes the place of a linear one."""
        super().__post_init__()
        self.peft_type = CLoraType.CLORA
        if isinstance(self.clora_config, dict):
            self.clora_config = ContextConfig(**self.clora_config)
        self._register_custom_module({nn.Linear: CLoraLinear, Conv1D: CLoraLinear})


class Posterior(NamedTuple):
    """q(E | x) = N(μ, diag(σ²)) for every token.

    Attributes:
        mean: μ, shape (..., R, R).
        std: σ > 0, the same shape.
        log_std: ln σ.
    """

    mean: torch.Tensor
    std: torch.Tensor
    log_std: torch.Tensor


class Noise(Protocol):
    """Where ε comes from. A layer without one returns the posterior mean."""

    def draw(self, z: torch.Tensor, rows: Rows | None) -> torch.Tensor:
        """Return ε ~ N(0, I), of a shape that broadcasts to (..., R, R).

        Args:
            z: A·x of the layer that asks, shape (B, T, R), or (rows, R) in the output head.
            rows: Origin of z's rows, in the output head; else None.
        """


class CLoraLinear(Linear):  # type: ignore[misc]  # peft has no types here
    """y = W0·x + (α/R)·B·E·z with z = A·x and E = mat(μ(z) + σ(z)∘ε); C-LoRA's equations, as in docs/methods.md.

    ``e = W2·relu(W1·z + b1) + b2``, ``μ = e[:R²]`` and ``σ = sigmoid(e[R²:])²``, W1: R → H, W2: H → 2R².

    Attributes:
        noise: Source of ε; None gives the posterior mean.
        rows: Origin of the rows of a two-dimensional input; set before each such pass.
        recording: Whether to keep z.
        seen: z of the last pass, without its gradient.
    """

    noise: Noise | None = None
    rows: Rows | None = None
    recording: bool = False
    seen: torch.Tensor | None = None

    @property
    def lora_variants(self) -> dict[tuple[str, ...], type[LoraVariant]]:
        """Return the one variant this layer knows."""
        return {("clora_config",): CLoraVariant}

    def posterior(self, z: torch.Tensor, adapter_name: str) -> Posterior:
        """Return q(E | x) for z = A·x of shape (..., R)."""
        hidden = torch.relu(self.lora_E1[adapter_name](z))
        rank = self.r[adapter_name]
        raw = self.lora_E2[adapter_name](hidden).float().unflatten(-1, (2, rank, rank))
        mean, gate = raw.unbind(dim=-3)
        if self.context[adapter_name].mean == "identity_plus_net":
            mean = mean + torch.eye(rank, device=z.device)
        return Posterior(mean, torch.sigmoid(gate).square(), 2.0 * nn.functional.logsigmoid(gate))


class CLoraVariant(LoraVariant):  # type: ignore[misc]  # peft has no types here
    """What peft calls for each adapter of a :class:`CLoraLinear`."""

    @staticmethod
    def init(module: CLoraLinear, adapter_name: str, config: CLoraPeftConfig, **_: Any) -> None:
        """Add the adapter's context network."""
        if not hasattr(module, "lora_E1"):
            module.adapter_layer_names = (*module.adapter_layer_names, *CONTAINERS)
            module.other_param_names = (*module.other_param_names, "context")
            module.lora_E1, module.lora_E2 = nn.ModuleDict(), nn.ModuleDict()
            module.context = {}
        context, rank = config.clora_config, module.r[adapter_name]
        module.context[adapter_name] = context
        module.lora_E1[adapter_name] = nn.Linear(rank, context.width)
        module.lora_E2[adapter_name] = nn.Linear(context.width, 2 * rank * rank)
        if context.mean == "identity_plus_net":
            last = module.lora_E2[adapter_name]
            for parameter in (last.weight, last.bias):
                nn.init.zeros_(parameter.data[: rank * rank])
        module._move_adapter_to_device_of_base_layer(adapter_name)

    @staticmethod
    def forward(
        module: CLoraLinear, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any
    ) -> torch.Tensor:
        """Return W0·x + (α/R)·B·E·z; x has the shape (B, T, I) or (rows, I)."""
        z = module.lora_A[active_adapter](module.lora_dropout[active_adapter](x))
        if module.recording:
            module.seen = z.detach()
        q = module.posterior(z, active_adapter)
        e = q.mean if module.noise is None else q.mean + q.std * module.noise.draw(z, module.rows)
        moved = torch.matmul(e, z.float().unsqueeze(-1)).squeeze(-1)
        added: torch.Tensor = module.lora_B[active_adapter](moved.to(z.dtype)) * module.scaling[active_adapter]
        return result + added

    @staticmethod
    def merge_safe(module: CLoraLinear, active_adapter: str, orig_weight: torch.Tensor) -> torch.Tensor:
        """Refuse: every token has its own weights."""
        raise RuntimeError(_NOT_MERGEABLE)

    @staticmethod
    def merge_unsafe(module: CLoraLinear, active_adapter: str, orig_weight: torch.Tensor) -> None:
        """Refuse: every token has its own weights."""
        raise RuntimeError(_NOT_MERGEABLE)

    @staticmethod
    def unmerge(module: CLoraLinear, active_adapter: str, orig_weight: torch.Tensor) -> torch.Tensor:
        """Refuse: every token has its own weights."""
        raise RuntimeError(_NOT_MERGEABLE)

    def supports_lora_conversion(self) -> bool:
        """No single pair of A and B does what the context network does."""
        return False


_NOT_MERGEABLE = "C-LoRA's weights depend on the token, so that there is no weight matrix to merge them into"


PEFT_TYPE_TO_CONFIG_MAPPING[CLoraType.CLORA] = CLoraPeftConfig
PEFT_TYPE_TO_TUNER_MAPPING[CLoraType.CLORA] = LoraModel
PEFT_TYPE_TO_PREFIX_MAPPING[CLoraType.CLORA] = "lora_"
