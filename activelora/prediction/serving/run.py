"""From a model's place to a server that answers with it."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass

from activelora.campaign.store import open_store
from activelora.prediction.review import NO_THRESHOLDS, Thresholds
from activelora.prediction.serving.app import Service
from activelora.prediction.serving.batching import Batcher
from activelora.prediction.serving.guard import Guard, check_host, token_from_environment
from activelora.prediction.serving.limits import Limits
from activelora.prediction.serving.measured import Measured
from activelora.prediction.serving.request_log import RequestLog
from activelora.prediction.serving.served import ServedModel
from activelora.prediction.serving.server import Listening, serve
from activelora.prediction.serving.source import Source
from activelora.prediction.serving.watcher import Watcher

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Serving:
    """How a model is served.

    Attributes:
        name: The model's name for clients; None is the campaign's.
        num_samples: Posterior samples to average; None are as many as the evaluation used.
        thresholds: What is asked of answers that stand alone, where a request does not say.
        poll_seconds: Time between two looks for a new champion; 0 never looks.
        log_uri: The folder or prefix that requests are written to, for a pool; None writes none.
        log_share: Share of the rows that are written, in [0, 1].
        is_insecure: Whether others than programs of this machine may ask without a token.
    """

    name: str | None = None
    num_samples: int | None = None
    thresholds: Thresholds = NO_THRESHOLDS
    poll_seconds: float = 60.0
    log_uri: str | None = None
    log_share: float = 1.0
    is_insecure: bool = False


def run(source: Source, listening: Listening, limits: Limits, serving: Serving) -> None:
    """Serve a model until SIGINT or SIGTERM.

    Args:
        source: The model: a campaign, a folder or a registered one.
        listening: The address, and its certificate.
        limits: What clients may ask for.
        serving: How it is served.

    Raises:
        ActiveLoRAError: There is no such model, it cannot be loaded, or the address cannot be had.
    """
    token = token_from_environment()
    check_host(listening.host, token, is_insecure=serving.is_insecure)
    listening.check()

    def load(found: str) -> ServedModel:
        return ServedModel(source.open(found), serving.name, serving.num_samples, serving.thresholds)

    with ExitStack() as ending, listening.bind() as listener:
        newest = source.newest()
        first = load(newest)
        measured = Measured()
        measured.model(first.about)
        batcher = Batcher(first, limits, measured)
        ending.callback(lambda: batcher.served.close())
        ending.callback(batcher.close)
        watcher = Watcher(
            source.newest, load, batcher, newest, serving.poll_seconds if source.can_change else 0.0, measured
        )
        ending.callback(watcher.close)
        log = None
        if serving.log_uri is not None:
            log = _log(serving.log_uri, first, serving.log_share, measured)
            ending.callback(log.close)
        guard = Guard(token, is_local=token is None and not serving.is_insecure)
        about = first.about
        logger.info("serving %s, round %s (%s)", about["name"], about["round"], about["kind"])
        serve(Service(batcher, limits, measured, guard, log), listening, listener)
        logger.info("stopped: every request that had come was answered")


def _log(uri: str, served: ServedModel, share: float, measured: Measured) -> RequestLog:
    columns = served.logged_columns
    logger.info("requests are written to %s: the columns %s", uri, ", ".join(columns))
    return RequestLog(open_store(uri), columns, served.id_column, served.redact, share, measured)
