"""From what a person types to a model: a campaign or its file, an exported folder, or a model of MLflow's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.locations import is_campaign_file, open_campaign

if TYPE_CHECKING:
    from activelora.prediction.bundle import Bundle

WhatArgument = Annotated[
    str,
    typer.Argument(
        metavar="WHAT", help="A campaign or its file, an exported folder, or a registered model: models:/NAME@champion."
    ),
]
RoundOption = Annotated[
    int | None, typer.Option("--round", metavar="N", min=0, help="A round of the campaign. Default: its champion.")
]
SamplesOption = Annotated[
    int | None,
    typer.Option("--samples", metavar="K", min=0, help="Posterior samples; 0: the mean. Default: as the evaluation."),
]


@contextmanager
def open_model(what: str, round_: int | None) -> Iterator[Bundle]:
    """Return the model that somebody names.

    Args:
        what: A campaign's URI, folder or file, an exported folder, or a model of MLflow's.
        round_: A round of the campaign; None is its champion.
    """
    from activelora.prediction.sources import open_bundle
    from activelora.tracking.mlflow_models import fetch_model

    with open_bundle(model_location(what), round_, fetch=fetch_model) as bundle:
        yield bundle


def model_location(what: str) -> str:
    """Return where a model is: of a campaign file, where its campaign lives."""
    return open_campaign(what, to_read=True).store.uri if is_campaign_file(what) else what
