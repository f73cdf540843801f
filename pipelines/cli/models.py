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

MinConfidenceOption = Annotated[
    float | None,
    typer.Option(metavar="P", min=0.0, max=1.0, help="For review are answers of a smaller probability."),
]
MaxRiskOption = Annotated[
    float | None,
    typer.Option(
        metavar="R",
        min=0.0,
        max=1.0,
        help="For review are answers that cannot stand alone if at most this share may be wrong, e.g. 0.05.",
    ),
]
ProbabilitiesOption = Annotated[bool, typer.Option("--probabilities", help="Write each label's probability.")]
PrefixOption = Annotated[str, typer.Option(metavar="TEXT", help="Begin the names of the new columns with this.")]


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
