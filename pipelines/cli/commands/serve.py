"""`serve`: answer rows over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.models import RoundOption, SamplesOption, WhatArgument, model_location


def serve(
    what: WhatArgument,
    round_: RoundOption = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = 8080,
    name: Annotated[str | None, typer.Option(help="The model's name for clients; the campaign's by default.")] = None,
    samples: SamplesOption = None,
    min_confidence: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Probability below which an answer is for review.")
    ] = None,
    max_risk: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Largest share of mistakes among answers not for review.")
    ] = None,
    poll_seconds: Annotated[
        float, typer.Option(min=0.0, help="Seconds between two looks for a new champion; 0 never looks.")
    ] = 60.0,
    log: Annotated[
        str | None, typer.Option(help="Folder or s3:// prefix that requests are written to, as files for a pool.")
    ] = None,
    log_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the rows that --log keeps.")] = 1.0,
    insecure: Annotated[bool, typer.Option("--insecure", help="Let everybody ask, without a token.")] = False,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate and those above it (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's private key (PEM).")] = None,
    max_rows: Annotated[int, typer.Option(min=1, help="Rows that a request may have.")] = 1024,
    max_bytes: Annotated[int, typer.Option(min=1024, help="Bytes that a request may have.")] = 8 << 20,
    queue_rows: Annotated[int, typer.Option(min=1, help="Rows that may wait for the model.")] = 4096,
    batch_rows: Annotated[int, typer.Option(min=1, help="Rows that the model answers together, about.")] = 256,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a request waits for its answer.")] = 60.0,
    drain_seconds: Annotated[
        float, typer.Option(min=0.0, help="Seconds that it answers on after SIGTERM, no longer ready.")
    ] = 0.0,
) -> None:
    """Serve a model over HTTP: KServe's open inference protocol (v2), POST /predict, and /metrics.

    Clients show the token in ACTIVELORA_SERVE_TOKEN (Authorization: Bearer ...). Without one only this machine is
    answered. A new champion takes over without a lost request. SIGTERM answers what has come, and ends.
    """
    from activelora.prediction.review import Thresholds
    from activelora.prediction.serving.limits import Limits
    from activelora.prediction.serving.run import Serving, run
    from activelora.prediction.serving.server import Listening
    from activelora.prediction.serving.source import Source
    from activelora.tracking.mlflow_models import fetch_model, version_uri

    run(
        Source(model_location(what), round_, fetch_model, version_uri),
        Listening(host, port, tls_cert, tls_key, drain_seconds),
        Limits(max_rows, max_bytes, queue_rows=queue_rows, batch_rows=batch_rows, answer_seconds=timeout),
        Serving(name, samples, Thresholds(min_confidence, max_risk), poll_seconds, log, log_share, insecure),
    )
