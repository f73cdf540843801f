"""Where a task runs: image, processors, memory, nodes and secrets, from the campaign's `resources`."""

from __future__ import annotations

from dataclasses import dataclass

from kfp import dsl, kubernetes

from activelora.config import ResourcesConfig, StepResources
from components.image import Images

SECRET_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass(frozen=True)
class Placement:
    """Puts tasks where the campaign file says.

    Attributes:
        resources: The campaign's.
        images: What the pods run.
    """

    resources: ResourcesConfig
    images: Images

    @staticmethod
    def graph(task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Place a sub-pipeline: it only carries its tasks."""
        return task.set_caching_options(enable_caching=False)

    def cpu(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Place a step that runs no model."""
        return self._place(task, self.resources.cpu)

    def train(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Place train_adapter."""
        return self._place(task, self.resources.train)

    def score(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Place score_pool or evaluate_adapter."""
        return self._place(task, self.resources.score)

    def _place(self, task: dsl.PipelineTask, wanted: StepResources) -> dsl.PipelineTask:
        task.set_caching_options(enable_caching=False)  # the steps' results are in the campaign store, not in KFP
        task.set_container_image(self.images.gpu if wanted.accelerator_type else self.images.cpu)
        task.set_cpu_limit(wanted.cpu)
        task.set_memory_limit(wanted.memory)
        if wanted.accelerator_type:
            task.set_accelerator_type(wanted.accelerator_type)
            task.set_accelerator_limit(wanted.accelerator_count)
            if wanted.shm:
                kubernetes.empty_dir_mount(
                    task,
                    volume_name="shm",
                    mount_path="/dev/shm",  # noqa: S108
                    medium="Memory",
                    size_limit=wanted.shm,
                )
        for key, value in wanted.node_selector.items():
            kubernetes.add_node_selector(task, label_key=key, label_value=value)
        for toleration in wanted.tolerations:
            kubernetes.add_toleration(task, **toleration.model_dump())
        for secret in self.resources.secrets:
            kubernetes.use_secret_as_env(task, secret_name=secret, secret_key_to_env={key: key for key in SECRET_KEYS})
        return task
