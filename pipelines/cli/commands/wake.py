"""`wake`: take webhooks, and let a tick begin earlier."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Annotated

import typer

from activelora.errors import ConfigError
from pipelines.cli.commands.submit_schedule import EndpointOption, NamespaceOption

if TYPE_CHECKING:
    from pipelines.webhooks.ticks import TickHere, TickOnKubeflow

HEADER = "X-ActiveLoRA-Wake"
MIN_SECRET_CHARS = 16
logger = logging.getLogger(__name__)


def wake(
    uri: Annotated[str, typer.Argument(metavar="URI", help="The campaign.")],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at.")] = 8080,
    submit: Annotated[bool, typer.Option("--submit", help="Start a run on Kubeflow, not a tick here.")] = False,
    quiet: Annotated[float, typer.Option(min=0.0, help="Seconds without a webhook before a tick begins.")] = 20.0,
    gap: Annotated[float, typer.Option(min=0.0, help="The least number of seconds between two ticks.")] = 120.0,
    endpoint: EndpointOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Listen for webhooks of Label Studio, and tick the campaign soon after: many webhooks, one tick.

    Webhooks go to /webhook with the header X-ActiveLoRA-Wake, whose value is in ACTIVELORA_WAKE_SECRET. They only make
    a tick come earlier: the schedule stays the truth, and losing them all costs time only. /healthz says that it works.
    """
    from pipelines.webhooks.debounce import Debounce, Pace
    from pipelines.webhooks.server import HOOK_PATH, WakeServer

    secret = _secret()
    tick = _tick(uri, submit=submit, endpoint=endpoint, namespace=namespace)
    debounce = Debounce(tick.start, Pace(quiet_seconds=quiet, longest_seconds=max(6 * quiet, quiet), gap_seconds=gap))
    try:
        server = WakeServer((host, port), HEADER, secret, debounce.trigger, lambda: debounce.is_alive)
    except OSError as error:
        debounce.close()
        raise ConfigError(f"cannot listen: {error.strerror}", where=f"{host}:{port}") from error
    with server:
        logger.info("listening at http://%s:%d%s", *server.server_address[:2], HOOK_PATH)
        try:
            server.serve_forever(poll_interval=0.2)
        finally:
            debounce.close(timeout_seconds=0.0)  # first: else it may start another tick when this one has stopped
            tick.stop()
            debounce.close()
            logger.info("stopped")


def _tick(uri: str, *, submit: bool, endpoint: str | None, namespace: str | None) -> TickHere | TickOnKubeflow:
    from activelora.campaign.campaign import Campaign
    from pipelines.webhooks.ticks import TickHere, TickOnKubeflow, run_in_flight, run_of_schedule

    name = Campaign.open(uri).config.name
    if not submit:
        return TickHere(uri)
    options = [*(("--endpoint", endpoint) if endpoint else ()), *(("--namespace", namespace) if namespace else ())]
    return TickOnKubeflow(
        uri,
        lambda: run_in_flight(name, endpoint, namespace),
        lambda: run_of_schedule(name, uri, endpoint, namespace),
        options,
    )


def _secret() -> str:
    from activelora.config.secrets import WAKE_VARIABLE

    secret = os.environ.get(WAKE_VARIABLE, "").strip()
    if len(secret) < MIN_SECRET_CHARS or not (secret.isascii() and secret.isprintable()):
        raise ConfigError(
            f"holds no secret of at least {MIN_SECRET_CHARS} printable ASCII characters",
            where=WAKE_VARIABLE,
            remedy="Make one with `openssl rand -hex 24`, and give it to the webhook too.",
        )
    return secret
