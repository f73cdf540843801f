"""`demo`: see it work."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    campaign: Annotated[str, typer.Option(metavar="DIR", help="Where the campaign lives.")] = "demo",
    compare_random: Annotated[
        bool, typer.Option("--compare-random", help="Run random acquisition too, for comparison.")
    ] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of labels after the zero-shot evaluation.")] = None,
) -> None:
    """Run a whole campaign on a laptop: SmolLM2-135M learns to route requests to the team that owns them.

    About ten minutes on two cores. Interrupt it whenever you like: the same command goes on.
    """
    from pipelines.cli.demo import print_curves, run_demo
    from pipelines.cli.status_document import mlflow_words

    result = run_demo(campaign, rounds, compares_random=compare_random)
    print_curves(result)
    typer.echo(f"report: {result.report_uri}")
    for line in mlflow_words(result.campaign):
        typer.echo(f"MLflow: {line}")
