"""The adapter methods by name. Other packages add theirs as entry points of the group ``activelora.adapters``.

An entry point is an :class:`~activelora.modeling.posterior.AdapterMethod`; its module must not import torch.
"""

from __future__ import annotations

from activelora.config import AdapterConfig
from activelora.config.adapter import BlobConfig, CLoraConfig, EnsembleConfig, LaplaceConfig, TfbConfig
from activelora.modeling.methods import rules
from activelora.modeling.posterior import AdapterMethod
from activelora.registry import Registry, unknown_names

_HERE = "activelora.modeling.methods"

_METHODS = (
    AdapterMethod(
        name="lora",
        summary="one LoRA adapter B·A with STAR's constraint on B; samples by Monte-Carlo dropout",
        implementation=f"{_HERE}.mc_dropout:McDropout",
        same_samples=rules.needs_dropout,
        parallel=("ddp", "fsdp"),
        gradient_lengths=True,
        plain=True,
        mergeable=True,
    ),
    AdapterMethod(
        name="ensemble",
        summary="independently seeded LoRA adapters; a sample is a member, and the prediction their mean",
        implementation=f"{_HERE}.ensemble:Ensemble",
        conflicts=rules.ensemble,
        options=("ensemble",),
        settings=EnsembleConfig,
        plain=True,
        parallel=("ddp",),
    ),
    AdapterMethod(
        name="blob",
        summary="Bayesian LoRA by backpropagation: a learnt Gaussian over A's entries, q(A) = N(mean, std²)",
        implementation=f"{_HERE}.blob:Blob",
        conflicts=rules.weight_samples,
        options=("blob",),
        settings=BlobConfig,
        plain=True,
        mergeable=True,
    ),
    AdapterMethod(
        name="laplace",
        summary="a Gaussian around the trained LoRA from its loss's curvature (KFAC), linearised at prediction",
        implementation=f"{_HERE}.laplace:Laplace",
        conflicts=rules.laplace,
        options=("laplace",),
        settings=LaplaceConfig,
        plain=True,
    ),
    AdapterMethod(
        name="tfb",
        summary="training-free Bayesianization: a Gaussian on the trained LoRA, as wide as the loss on anchors allows",
        implementation=f"{_HERE}.tfb:Tfb",
        same_samples=rules.needs_width,
        conflicts=rules.tfb,
        options=("tfb",),
        settings=TfbConfig,
        plain=True,
        mergeable=True,
    ),
    AdapterMethod(
        name="c_lora",
        summary="contextual LoRA B·E(x)·A (Rahmati et al. 2025): E's distribution depends on the token",
        implementation=f"{_HERE}.c_lora:CLora",
        conflicts=rules.c_lora,
        options=("c_lora",),
        settings=CLoraConfig,
        adapts_head=True,
    ),
)

METHODS: Registry[AdapterMethod] = Registry(
    key="adapter.method",
    group="activelora.adapters",
    built_in={method.name: method for method in _METHODS},
    check=lambda part: isinstance(part, AdapterMethod),
    mistakes=lambda part: unknown_names(part, "option", part.options, (*AdapterConfig.model_fields, part.name)),
)


def get_method(name: str) -> AdapterMethod:
    """Return the adapter method that a campaign file names.

    Raises:
        ConfigError: There is none, with the nearest name; or its package cannot be loaded.
    """
    return METHODS.find(name)
