"""What a run is given of accelerators: their resource name, their number and their nodes are pipeline parameters.

Another number or kind of GPU is then another value of a run, and no other pipeline. Whether a step has an accelerator
at all decides on its image and stays compiled in, as do memory, tolerations and volumes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from activelora.config import ResourcesConfig, StepResources

Function = TypeVar("Function", bound=Callable[..., None])


class AcceleratorParameters(NamedTuple):
    """The values, or in a graph the channels, of one resource class.

    Attributes:
        accelerator: Resource name, for example ``nvidia.com/gpu``.
        count: Number of them, as a text: KFP's driver reads no numbers here.
        nodes: Labels that the node needs.
    """

    accelerator: Any
    count: Any
    nodes: Any


KINDS = {"accelerator": str, "accelerator_count": str, "node_selector": dict}
"""A class's parameters: ``train_accelerator`` and so on, in the order of :class:`AcceleratorParameters`."""


def parameters_of(resources: ResourcesConfig) -> dict[str, Any]:
    """Return the values that a campaign's runs are started with, by parameter."""
    found: dict[str, Any] = {}
    for name in accelerator_classes(resources):
        one: StepResources = getattr(resources, name)
        values = AcceleratorParameters(one.accelerator_type, str(one.accelerator_count), one.node_selector)
        found |= dict(zip(_names(name), values, strict=True))
    return found


def accelerator_classes(resources: ResourcesConfig) -> list[str]:
    """Return the resource classes with an accelerator; what trains on several nodes is in its job's template."""
    names = ["train"] * (resources.train.num_nodes == 1) + ["score"]
    return [name for name in names if getattr(resources, name).accelerator_type]


def parameter_types(classes: Sequence[str]) -> dict[str, type]:
    """Return the parameters of some resource classes, and their types."""
    return {name: kind for one in classes for name, kind in zip(_names(one), KINDS.values(), strict=True)}


def with_accelerator_parameters(
    classes: Sequence[str], defaults: Mapping[str, Any] | None = None
) -> Callable[[Function], Function]:
    """Give a pipeline's function the parameters of some classes, which it takes as its last argument ``*accelerators``.

    KFP reads a pipeline's parameters from its function's signature. Passing them down with :func:`named` keeps the
    functions from repeating them.

    Args:
        classes: Resource classes of :func:`accelerator_classes` that the pipeline needs.
        defaults: Values by parameter, for the outermost pipeline.
    """

    def change(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_POSITIONAL]
        more = [
            inspect.Parameter(
                name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                annotation=kind,
                default=inspect.Parameter.empty if defaults is None else defaults[name],
            )
            for name, kind in parameter_types(classes).items()
        ]
        function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]  # inspect reads it
        return function

    return change


def named(classes: Sequence[str], accelerators: Sequence[Any]) -> dict[str, Any]:
    """Return the values that a pipeline of some classes was given, by parameter."""
    return dict(zip(parameter_types(classes), accelerators, strict=True))


def without_defaults(spec: dict[str, Any]) -> None:
    """Make a pipeline's accelerator parameters required, so that its content is the same whatever their values are."""
    parameters = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name in ("train", "score"):
        for parameter in _names(name):
            for key in ("defaultValue", "isOptional"):
                parameters.get(parameter, {}).pop(key, None)


def _names(name: str) -> list[str]:
    return [f"{name}_{kind}" for kind in KINDS]
