"""What is registered with Kubeflow for a campaign: its two pipelines, compiled with its resources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from activelora.config import CampaignConfig
from activelora.errors import ActiveLoRAError, ConfigError, ProblemsError
from activelora.modeling import builtin
from components.image import Images

Kind = Literal["tick", "campaign", "predict"]
_PUSH = "Publish it with `activelora model push`, and name the s3:// prefix."


@dataclass(frozen=True)
class Package:
    """A compiled pipeline.

    Attributes:
        name: Name of the pipeline: one for each campaign and kind.
        version: Name of its content: the same content has the same name, so that it is registered once.
        description: Words for people.
        text: The YAML.
        parameters: What its runs are started with, beside the campaign: their accelerators.
    """

    name: str
    version: str
    description: str
    text: str
    parameters: dict[str, Any] = field(default_factory=dict)


def make_package(config: CampaignConfig, kind: Kind, images: Images) -> Package:
    """Compile a pipeline of a campaign.

    Args:
        config: The campaign's settings; its name, resources and rounds matter.
        kind: ``tick``, ``campaign`` for the loop, or ``predict`` for a table.
        images: Images that the pods run.
    """
    from pipelines.graphs.accelerators import parameters_of
    from pipelines.graphs.compile import compile_predict, compile_text, version_name

    name = f"{config.name}-{kind}"
    parameters = parameters_of(config.resources)
    if kind == "predict":
        text = compile_predict(config.resources, images)
        parameters = {key: value for key, value in parameters.items() if key.startswith("score_")}
    else:
        text = compile_text(config.resources, config.max_round, images, loop=kind == "campaign")
    words = f"ActiveLoRA: the {kind} pipeline of {config.name}"
    return Package(name, version_name(name, text), words, text, parameters)


def check_loop_fits(config: CampaignConfig, package: Package) -> None:
    """Refuse to start a loop whose Workflow object Argo would refuse once it has grown, hours later.

    Args:
        config: The campaign's settings.
        package: Its campaign pipeline.

    Raises:
        ConfigError: The loop has more rounds than one run can have.
    """
    from pipelines.graphs.costs import MAX_WORKFLOW_BYTES, most_rounds

    spec = next(yaml.safe_load_all(package.text))
    most, planned = most_rounds(spec, config.resources.parallel_shards), config.max_round + 1
    if planned <= most:
        return
    fused = "" if config.resources.graph == "fused" else " Or set resources.graph to fused: a round is one pod then."
    raise ConfigError(
        f"{planned} rounds in one run are too many: up to {most} its Workflow object stays under "
        f"{MAX_WORKFLOW_BYTES // 1000} kB, and Argo takes none over 1 MiB",
        where="--loop",
        remedy=f"Leave out --loop and schedule ticks: `activelora schedule` takes any number of rounds.{fused}",
    )


def check_pods_reach_table(table: str, out: str) -> None:
    """Refuse a table or a folder for its answers that pods cannot reach.

    Raises:
        ProblemsError: Both, if need be.
    """
    problems: list[ActiveLoRAError] = []
    if not table.startswith("s3://"):
        problems.append(_local("--predict", table, "Upload the table and name it as s3://bucket/path."))
    if not out.startswith("s3://"):
        problems.append(_local("--out", out, "Name an s3:// prefix for the parts."))
    if problems:
        raise ProblemsError(problems)


def check_pods_reach(config: CampaignConfig, campaign_uri: str) -> None:
    """Refuse what is on this machine only: pods cannot read it.

    Raises:
        ProblemsError: Everything that pods cannot reach.
    """
    problems: list[ActiveLoRAError] = []
    if not campaign_uri.startswith("s3://"):
        problems.append(_local("--campaign", campaign_uri, "Write --campaign s3://bucket/prefix."))
    sources = {"data.pool.path": config.data.pool, "data.holdout.path": config.data.holdout}
    for key, source in sources.items():
        if source is not None and not source.path.startswith(("s3://", "hf://", "builtin:")):
            problems.append(_local(key, source.path, "Upload the data and name it as s3://bucket/path."))
    if problem := _unreachable_model(config):
        problems.append(problem)
    if (nli := config.scoring.nli) is not None and _is_folder(nli.model):
        problems.append(_local("scoring.nli.model", nli.model, _PUSH))
    train = config.resources.train
    if train.accelerator_type and (train.num_processes or 0) > train.accelerator_count:
        problems.append(
            ConfigError(
                f"{train.num_processes} processes cannot share {train.accelerator_count} × {train.accelerator_type}",
                where="resources.train.num_processes",
                remedy="Leave it out, raise resources.train.accelerator_count, or set accelerator_type to null.",
            )
        )
    inbox = config.labeling.inbox
    if inbox and not inbox.startswith("s3://"):
        problems.append(_local("labeling.inbox", inbox, "Name an s3:// prefix, or leave it out: the campaign has one."))
    tracking = config.tracking.uri
    if config.tracking.enabled and tracking and not tracking.startswith(("http://", "https://")):
        problems.append(
            _local("tracking.uri", tracking, "Name a server, or leave it out and set resources.config_map.")
        )
    if problems:
        raise ProblemsError(problems)


def publish_model(config: CampaignConfig, say: Callable[[str], None], *, dry: bool) -> None:
    """Publish the built-in model for the pods, unless it is there: it comes from a package that only pip reaches.

    Args:
        config: The campaign's settings. Without `resources.model_cache.uri`, or with another model, nothing is done.
        say: Called with what is done.
        dry: Only say it.
    """
    from activelora.modeling import published

    cache = config.resources.model_cache
    if config.model.base != builtin.NAME or cache is None or cache.uri is None:
        return
    uri = published.cached_model_uri(cache.uri, builtin.NAME, config.model.revision)
    if dry:
        say(f"would publish {builtin.NAME} at {uri}, unless it is there")
    elif published.find(uri) is None:
        say(f"publishing {builtin.NAME} at {uri}, once")
        published.publish(builtin.ensure_builtin(), uri, builtin.NAME)


def _unreachable_model(config: CampaignConfig) -> ConfigError | None:
    base, cache = config.model.base, config.resources.model_cache
    if base == builtin.NAME and (cache is None or cache.uri is None):
        return ConfigError(
            f"{base!r} is fetched with pip, which the images do not have",
            where="model.base",
            remedy=f"Name a hub id: {builtin.HUB_ID} is the model that it was made from. Or set "
            "resources.model_cache.uri to an s3:// prefix, and it is published there.",
        )
    if base != builtin.NAME and _is_folder(base):
        return _local("model.base", base, _PUSH)
    return None


def _is_folder(model: str) -> bool:
    return model.startswith((".", "/", "~")) or Path(model).is_dir()


def _local(key: str, value: str, remedy: str) -> ConfigError:
    return ConfigError(f"{value!r} is on this machine, and pods cannot reach it", where=key, remedy=remedy)
