"""A tick for Argo Workflows alone: a WorkflowTemplate, and a CronWorkflow that starts it. One pod a step, no drivers.

Made from the table in :mod:`pipelines.graphs.steps`, as the forms for Kubeflow Pipelines are. A condition is a graph of
its own in the same workflow, which costs no pod. Field by field from Argo Workflows 4.0's API
(``pkg/apis/workflow/v1alpha1``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import yaml

from activelora.config.resources import ResourcesConfig
from components.image import Images
from components.plan.step import ANY_ROUND
from pipelines.cluster.train_jobs import Document
from pipelines.graphs.argo_pods import CAMPAIGN_PARAMETER, OUTPUTS, Pod, container_template
from pipelines.graphs.pod_spec import POD_SECURITY
from pipelines.graphs.pods import PART_OF
from pipelines.graphs.steps import CAMPAIGN, ROUND, SHARE, Step, blocks_of, dashed, needed, steps_of

API = "argoproj.io/v1alpha1"
TICK, EXIT = "tick", "tell-the-end"
"""Templates that a workflow begins and ends with."""
MAX_NAME = 52
"""Argo takes no longer name for a CronWorkflow: it adds the time."""
USER = 10001
"""The images' user."""
_CAMPAIGN_URI = f"{{{{workflow.parameters.{CAMPAIGN_PARAMETER}}}}}"
CAMPAIGN_ARGUMENT = f"--campaign-uri={_CAMPAIGN_URI}"
_START_SECONDS = 300
_HISTORY = 3


def argo_documents(
    resources: ResourcesConfig,
    images: Images,
    campaign: str,
    *,
    campaign_uri: str | None = None,
    cron: str | None = None,
    namespace: str | None = None,
) -> list[Document]:
    """Return the WorkflowTemplate of a campaign's tick and, where there is a schedule, the CronWorkflow.

    Args:
        resources: What the pods ask of the cluster.
        images: Images that they run.
        campaign: The campaign's name.
        campaign_uri: URI of the campaign; None leaves it to whoever starts a workflow.
        cron: Schedule in Argo's five fields, in UTC; None makes no CronWorkflow.
        namespace: Namespace of the resources; None leaves it to whoever applies them.
    """
    name = resource_name(campaign)
    metadata: Document = {"name": name, "labels": dict(PART_OF)}
    if namespace is not None:
        metadata["namespace"] = namespace
    documents = [
        {
            "apiVersion": API,
            "kind": "WorkflowTemplate",
            "metadata": metadata,
            "spec": _workflow(resources, images, campaign_uri),
        }
    ]
    if cron is not None:
        documents.append(
            {
                "apiVersion": API,
                "kind": "CronWorkflow",
                "metadata": metadata,
                "spec": {
                    "schedules": [cron],
                    "timezone": "Etc/UTC",
                    "concurrencyPolicy": "Forbid",
                    "startingDeadlineSeconds": _START_SECONDS,
                    "successfulJobsHistoryLimit": _HISTORY,
                    "failedJobsHistoryLimit": _HISTORY,
                    "workflowSpec": {"workflowTemplateRef": {"name": name}},
                },
            }
        )
    plain: list[Document] = json.loads(json.dumps(documents))  # nothing is shared: YAML would write references
    return plain


def argo_text(documents: Sequence[Document]) -> str:
    """Return the documents as YAML."""
    return yaml.safe_dump_all(documents, sort_keys=False, width=120)


def resource_name(campaign: str) -> str:
    """Return the name of a campaign's resources; a long one is cut, and has a digest instead of what is missing."""
    name = f"{campaign}-{TICK}"
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(campaign.encode()).hexdigest()[:8]
    return f"{campaign[: MAX_NAME - len(digest) - len(TICK) - 2].rstrip('-')}-{digest}-{TICK}"


def _workflow(resources: ResourcesConfig, images: Images, campaign_uri: str | None) -> Document:
    parameter = {"name": CAMPAIGN_PARAMETER} | ({} if campaign_uri is None else {"value": campaign_uri})
    spec: Document = {
        "entrypoint": TICK,
        "arguments": {"parameters": [parameter]},
        "workflowMetadata": {"labels": dict(PART_OF)},
        "securityContext": {**POD_SECURITY, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER},
    }
    if resources.service_account:
        spec["serviceAccountName"] = resources.service_account
    if resources.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in resources.image_pull_secrets]
    if resources.run_timeout_seconds:
        spec["activeDeadlineSeconds"] = resources.run_timeout_seconds
    if seconds := resources.run_ttl_seconds:
        # The two others win over the first, and an installation may have defaults for them.
        names = ("secondsAfterCompletion", "secondsAfterSuccess", "secondsAfterFailure")
        spec["ttlStrategy"] = dict.fromkeys(names, seconds)
    if resources.graph == "fused":
        pod = Pod(TICK, "whole", command=("activelora", "tick"), arguments=(_CAMPAIGN_URI,))
        spec["templates"] = [container_template(pod, resources, images)]
    else:
        spec["templates"] = _Templates(resources, images).of_a_tick()
    if resources.notify is not None:
        spec["onExit"] = EXIT
        words = (f"--status={_reference('workflow.status')}", f"--failures={_reference('workflow.failures')}")
        ending = Pod(EXIT, "exit", arguments=("tell_the_end", CAMPAIGN_ARGUMENT, *words))
        spec["templates"].append(container_template(ending, resources, images))
    return spec


class _Templates:
    """Makes the templates of a tick.

    Args:
        resources: What the pods ask of the cluster.
        images: Images that they run.
    """

    def __init__(self, resources: ResourcesConfig, images: Images) -> None:
        self._resources = resources
        self._images = images
        self._made: list[Document] = []

    def of_a_tick(self) -> list[Document]:
        """Return the graph of a tick, the graphs inside it, and the pods."""
        self._graph(TICK, steps_of(self._resources), 0, {ROUND: str(ANY_ROUND)})
        return self._made

    def _graph(self, name: str, steps: Sequence[Step], depth: int, inputs: Mapping[str, str]) -> None:
        """Make a graph of steps of whose conditions the first ones hold already.

        Args:
            name: Name of its template.
            steps: The steps, in the table's order.
            depth: How many of their conditions hold.
            inputs: The values that it is given, and how its tasks refer to them.
        """
        graph: Document = {"name": name, "dag": {"tasks": (tasks := [])}}
        if depth:
            graph["inputs"] = _parameters(dict.fromkeys(inputs))
        self._made.append(graph)
        values, makers = dict(inputs), dict[str, str]()
        for condition, block in blocks_of(steps, depth):
            if condition is not None:
                tasks.append(self._if(condition, block, depth + 1, values, makers))
                continue
            for step in block:
                tasks.append(self._task(step, values, makers))
                values |= {one: _output(step, output) for one, output in step.outputs.items()}
                makers |= dict.fromkeys(step.outputs, step.name)

    def _if(
        self, condition: str, block: Sequence[Step], depth: int, values: Mapping[str, str], makers: Mapping[str, str]
    ) -> Document:
        """Return the task of a graph that runs where a condition holds, and make that graph."""
        name, names = dashed(condition), [one for one in needed(block, depth) if one != CAMPAIGN]
        self._graph(name, block, depth, {one: _reference(f"inputs.parameters.{_name(one)}") for one in names})
        task: Document = {"name": name, "template": name}
        if after := sorted({makers[one] for one in (condition, *names) if one in makers}):
            task["dependencies"] = after
        task["when"] = f"{values[condition]} == true"
        task["arguments"] = _parameters({one: values[one] for one in names})
        return task

    def _task(self, step: Step, values: Mapping[str, str], makers: Mapping[str, str]) -> Document:
        """Return a step's task, and make its pod."""
        given = {name: one for name, one in step.inputs.items() if one != CAMPAIGN}
        self._made.append(self._pod(step, list(given)))
        task: Document = {"name": step.name, "template": step.name}
        if after := sorted({*step.after, *(makers[one] for one in step.reads(len(step.within)) if one in makers)}):
            task["dependencies"] = after
        if step.each:
            task["withParam"] = values[step.each]
        items = {**values, SHARE: _reference("item")}
        if given:
            task["arguments"] = _parameters({name: items[one] for name, one in given.items()})
        return task

    def _pod(self, step: Step, inputs: Sequence[str]) -> Document:
        arguments = [CAMPAIGN_ARGUMENT]
        arguments += [f"--{_name(one)}={_reference(f'inputs.parameters.{_name(one)}')}" for one in inputs]
        arguments += [f"--{_name(one)}={value}" for one, value in step.constants.items()]
        if step.outputs:
            arguments.append(f"--outputs={OUTPUTS}")
        command: tuple[str, ...] = ("python3", "-m", "components.run_step")
        if step.resource_class == "train" and self._resources.train.num_nodes > 1:
            command = ("python3", "-m", "pipelines.cluster.train_step")
        else:
            arguments.insert(0, step.name.replace("-", "_"))
        pod = Pod(step.name, step.resource_class, command, tuple(arguments), tuple(step.outputs.values()))
        template = container_template(pod, self._resources, self._images)
        return template | {"inputs": _parameters(dict.fromkeys(inputs))} if inputs else template


def _parameters(values: Mapping[str, str | None]) -> Document:
    """Return parameters; those without a value are declared only."""
    return {
        "parameters": [
            {"name": _name(name)} | ({} if value is None else {"value": value}) for name, value in values.items()
        ]
    }


def _name(value: str) -> str:
    return value.replace("_", "-")


def _reference(name: str) -> str:
    return f"{{{{{name}}}}}"


def _output(step: Step, name: str) -> str:
    return _reference(f"tasks.{step.name}.outputs.parameters.{name}")
