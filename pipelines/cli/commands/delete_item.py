"""`delete-item`: take an item out of a campaign, for good."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.commands.status_report import UriOrFileArgument
from pipelines.cli.locations import open_campaign


def delete_item(
    uri_or_file: UriOrFileArgument,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="Its id, the beginning of it, or your own id.")],
    reason: Annotated[str, typer.Option(help="Why, for the mark that stays.")],
) -> None:
    """Delete an item of the pool: it is not scored, asked for or trained on any more, and its text is removed.

    Taken out are its text in the pool, worksheets, the report and Label Studio's tasks. What stays: its id, a hash of
    its text; numbers about it (scores, labels by number, who gave them); adapters that learned from it; answers of text
    in label records; files in the inbox; what MLflow and copies of the campaign hold. Adapters trained from now on have
    not seen it.
    """
    from activelora.labeling.deletion import delete_item as delete
    from activelora.tracking.publish import publish

    campaign = open_campaign(uri_or_file)
    done = delete(campaign, item, " ".join(reason.split()))
    publish(campaign)
    typer.echo(f"{done.item_id} is deleted: {done.num_pool_files} pool files and {len(done.sheets)} others rewritten")
    if done.num_tasks is not None:
        typer.echo(f"{done.num_tasks} tasks were deleted where people label")
    if done.inbox:
        typer.echo(f"the inbox still names it, remove it there yourself: {', '.join(map(repr, done.inbox))}")
