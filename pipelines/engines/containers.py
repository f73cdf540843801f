"""Containers for the kfp-local engine: each task in its own, without root, on a file system that it cannot write.

KFP's DockerRunner does the work, on Docker's or podman's socket (`DOCKER_HOST`). The tasks share nothing but the
campaign's store, as on a cluster.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp import local

from activelora.campaign.campaign import Campaign
from activelora.config import CampaignConfig
from activelora.config.secrets import WAKE_VARIABLE
from activelora.notices import WEBHOOK_VARIABLE
from components.image import REGISTRY_VARIABLE, TAG_VARIABLE, images
from pipelines.cluster.connection import TOKEN_VARIABLE
from pipelines.engines.container_log import FollowedLog, exit_code
from pipelines.engines.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.types import Mount

LABEL = "activelora.campaign"
"""Containers carry it, with the campaign's URI."""
USER = "10001:10001"
"""User and group of the images.

Where the caller is not root, containers run as the caller, who can then delete what they wrote.
"""
_PASSED_ON = ("AWS_", "LABEL_STUDIO_", "MLFLOW_", "ACTIVELORA_", "HF_", "OMP_")
_NOT_PASSED_ON = frozenset({TOKEN_VARIABLE, WEBHOOK_VARIABLE, WAKE_VARIABLE})
"""Variables for this machine alone: no step needs them but to remind of labels, which containers here do not."""
_NAMES_A_FILE = ("_FILE", "_BUNDLE", "_HOME", "_CACHE", "_PATH", "_DIR")
_MODEL_CACHE = "/tmp/activelora"  # noqa: S108 - ACTIVELORA_CACHE of the images


def container_runner(campaign: Campaign) -> local.DockerRunner:
    """Return KFP's runner for containers, after looking whether they can do the campaign's work.

    Raises:
        EngineError: They cannot: no container engine, no image, or a campaign or data that they cannot reach.
    """
    if not campaign.store.uri.startswith("s3://"):
        raise EngineError(
            "containers share nothing with this machine, so they cannot write a campaign in a local folder",
            where=campaign.store.uri,
            remedy="Give --campaign s3://bucket/prefix, or use --runner subprocess.",
        )
    mounts = _mounts(campaign.config)
    client = _connect()
    try:
        _find_images(client, campaign.config)
        _remove_ended(client, campaign)
    finally:
        client.close()
    return local.DockerRunner(
        user=f"{os.getuid()}:{os.getgid()}" if os.getuid() else USER,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        tmpfs={"/tmp": "rw,mode=1777"},  # noqa: S108
        network_mode="host",  # store and MLflow may listen on this machine only
        environment=_environment(campaign.config),
        labels={LABEL: campaign.store.uri},
        mounts=mounts,
    )


@contextmanager
def engine_answers() -> Iterator[None]:
    """Say in plain words that the container engine failed.

    Raises:
        EngineError: It did.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        raise EngineError(
            f"the container engine failed ({error})",
            where=_engine_address(),
            remedy="Fix it and run the same command again: finished steps are kept.",
        ) from error


@contextmanager
def exit_codes_count() -> Iterator[None]:
    """Let a container that failed fail its task.

    KFP asks for removal at the end and then for the exit code; where removal is faster, it reports success
    (kubeflow/pipelines#13332). Its function is replaced for the time of one pipeline.
    """
    from kfp.local import docker_task_handler

    original = docker_task_handler.run_docker_container
    docker_task_handler.run_docker_container = _run_container
    try:
        yield
    finally:
        docker_task_handler.run_docker_container = original


def _run_container(client: DockerClient, image: str, command: list[str], **options: Any) -> int:
    """Run a container to its end, show its log, and return its exit code; whatever happens, it is removed."""
    from docker.errors import NotFound

    container = client.containers.run(image=image, command=command, detach=True, **options)
    try:
        with FollowedLog(container):
            code = exit_code(container)
    except NotFound:
        print("the container was removed while it ran")
        return 1
    finally:
        with suppress(NotFound):
            container.remove(force=True)
    if code != 0:
        killed = ": it was killed, by hand or because memory ran out" if code == 137 else ""
        print(f"the container ended with exit code {code}{killed}")
    return code


def _connect() -> DockerClient:
    try:
        import docker
    except ModuleNotFoundError:
        raise EngineError(
            "the Python package `docker` is not installed",
            where="--runner docker",
            remedy="pip install 'activelora[containers]'.",
        ) from None
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        raise EngineError(
            f"no container engine answers ({error})",
            where=_engine_address(),
            remedy="Start Docker; or start `podman system service --time=0 unix:///run/podman/podman.sock` and set "
            "DOCKER_HOST to that address.",
        ) from None
    return client


def _engine_address() -> str:
    return f"DOCKER_HOST={os.environ.get('DOCKER_HOST', '')}"


def _find_images(client: DockerClient, config: CampaignConfig) -> None:
    from docker.errors import DockerException, ImageNotFound

    chosen, wanted = images(), config.resources
    uses_gpu = any(one.accelerator_type for one in (wanted.cpu, wanted.train, wanted.score))
    for image in (chosen.cpu, chosen.gpu) if uses_gpu else (chosen.cpu,):
        try:
            try:
                client.images.get(image)
            except ImageNotFound:
                client.images.pull(image)
        except DockerException as error:
            raise EngineError(
                f"there is no such image here, and it cannot be pulled ({error})",
                where=image,
                remedy=f"Build it with images/build.sh and set {REGISTRY_VARIABLE}=localhost, or set "
                f"{REGISTRY_VARIABLE} and {TAG_VARIABLE} to where it is.",
            ) from None


def _remove_ended(client: DockerClient, campaign: Campaign) -> None:
    """Remove what a run that was killed left behind. What still works may belong to another run."""
    from docker.errors import NotFound

    label = f"{LABEL}={campaign.store.uri}"
    with engine_answers():
        for container in client.containers.list(all=True, filters={"label": label, "status": "exited"}):
            with suppress(NotFound):
                container.remove()


def _environment(config: CampaignConfig) -> dict[str, str]:
    """Return what reaches store and MLflow from in there: not what names a file of this machine, nor its own tokens."""
    return {
        name: value
        for name, value in os.environ.items()
        if (name.startswith(_PASSED_ON) or name in config.resources.secret_env)
        and not name.endswith(_NAMES_A_FILE)
        and name not in _NOT_PASSED_ON
    }


def _mounts(config: CampaignConfig) -> list[Mount]:
    return [_mount(target, source) for target, source in folders_read(config).items()]


def folders_read(config: CampaignConfig) -> dict[str, Path]:
    """Return the folders of this machine that a campaign reads, data and local models, by their paths in a container.

    They are the same, but for that of the built-in model.
    """
    from activelora.modeling import builtin

    folders = {str(path): path for path in _data_paths(config)}
    model = Path(config.model.base).expanduser()
    if config.model.base == builtin.NAME:
        folders[f"{_MODEL_CACHE}/models/{builtin.NAME}"] = builtin.ensure_builtin()
    elif model.is_dir():
        folders[str(model.absolute())] = model.absolute()
    if (nli := config.scoring.nli) is not None and (folder := Path(nli.model).expanduser()).is_dir():
        folders[str(folder.absolute())] = folder.absolute()
    return folders


def _data_paths(config: CampaignConfig) -> list[Path]:
    from activelora.pool.files import locate

    paths = []
    for source in (config.data.pool, config.data.holdout):
        if source is None or source.path.startswith(("hf://", "builtin:")):
            continue
        location = locate(source.path, config.data.folder)
        if not location.startswith("s3://"):
            path = Path(location)
            paths.append(path if path.exists() else path.parent)  # a glob
    return paths


def _mount(target: str, source: Path) -> Mount:
    from docker.types import Mount

    if not source.exists():
        raise EngineError("is not on this machine", where=str(source), remedy="Put it there, or into S3.")
    if os.getuid() == 0 and (closed := _unreadable(source)):
        raise EngineError(
            f"containers run as user {USER}, who may not read this", where=closed, remedy=f"chmod -R a+rX {source}"
        )
    return Mount(target=target, source=str(source.resolve()), type="bind", read_only=True)


def _unreadable(source: Path) -> str | None:
    """Return the first file or folder that others may not read; safetensors' files begin that way."""
    for path in (source, *sorted(source.rglob("*"))):
        needed = 0o005 if path.is_dir() else 0o004
        if path.stat().st_mode & needed != needed:
            return str(path)
    return None
