"""`compare`: the same campaign under several strategies, adapters and seeds, held against random acquisition."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.commands.run_tick import DataOption, SetOption
from pipelines.cli.locations import CAMPAIGNS_FOLDER, beside

if TYPE_CHECKING:
    from activelora.pool.inspect import DataSummary
    from pipelines.comparisons.grid import Cell, Grid

OUT_FOLDER = "comparisons"
_MEDIUM, _WIDE = 120, 180
"""Columns of a terminal that has room for all numbers, and for ranges; compare.md has them in any case."""


def compare(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The campaign file.")],
    strategies: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Query strategies. Default: the file's. Random always joins. `typiclust+entropy` is entropy after a "
            "seed set by TypiClust; `random+self_training` trains on pseudo-labels besides.",
        ),
    ] = None,
    adapters: Annotated[str | None, typer.Option(metavar="A,B,...", help="Adapters. Default: the file's.")] = None,
    seeds: Annotated[str, typer.Option(metavar="N,N,...", help="Seeds, each a campaign a method.")] = "0,1,2",
    data: DataOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Results. Default: comparisons/<name> beside the file."),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            help="Value of the primary metric to count labels to. Default: what random acquisition ends with."
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Campaigns at a time. Default: one a GPU, or one on the CPU.")
    ] = None,
    settings: SetOption = [],  # noqa: B006 - typer copies it
) -> None:
    """Compare query strategies and adapters on your data, with confidence intervals.

    Runs a campaign for each strategy, adapter and seed, and writes a table, compare.json, compare.md and compare.html.
    Labels come from the gold labels. Kill it whenever you like: the same command goes on where it stopped.
    """
    from activelora.comparison.document import comparison_document
    from pipelines.comparisons.grid import Grid, run_cells, visible_devices
    from pipelines.comparisons.plan import plan

    methods = _list(strategies, "--strategies"), _list(adapters, "--adapters")
    grid = Grid(file, methods[0], methods[1], _numbers(seeds), tuple(settings), data)
    folder = out if out is not None else beside(file, Path(OUT_FOLDER) / file.stem, CAMPAIGNS_FOLDER)
    cells = grid.cells(folder)
    if not all((cell.folder / "campaign.json").exists() for cell in cells):
        for line in plan(cells, check_cells(cells)):
            typer.echo(line)
    devices = visible_devices() if jobs is None or jobs > 1 else []
    runs = run_cells(cells, jobs or max(1, len(devices)), devices)
    document = comparison_document(runs, target=target, level=cells[0].config.evaluation.confidence_level)
    _write(document, folder, command_line(grid, target))
    _print(document, folder)


def check_cells(cells: Sequence[Cell]) -> DataSummary | None:
    """Check data, task and model once for each adapter, before anything runs, and return what the data hold.

    Raises:
        ProblemsError: What `activelora check` would say.
    """
    from pipelines.cli.checks import check_campaign

    first_of_adapter: dict[str, Cell] = {}
    for cell in cells:
        first_of_adapter.setdefault(cell.method.adapter, cell)
    found = [check_campaign(cell.config, runs_here=True) for cell in first_of_adapter.values()]
    return found[0].data


def command_line(grid: Grid, target: float | None) -> str:
    """Return the command that repeats a comparison, without this machine's folders."""
    parts = ["activelora", "compare", grid.file.name if grid.file.is_absolute() else grid.file.as_posix()]
    if grid.strategies:
        parts += ["--strategies", ",".join(grid.strategies)]
    if grid.adapters:
        parts += ["--adapters", ",".join(grid.adapters)]
    parts += ["--seeds", ",".join(map(str, grid.seeds))]
    parts += ["--data", "FOLDER"] if grid.data else []
    parts += [] if target is None else ["--target", f"{target:g}"]
    for setting in grid.settings:
        parts += ["--set", setting]
    return shlex.join(parts)


def _write(document: dict[str, Any], folder: Path, command: str) -> None:
    import json

    from activelora.campaign.store import open_store
    from activelora.comparison.page import render_page
    from activelora.comparison.table import markdown

    store = open_store(str(folder))
    store.write("compare.json", (json.dumps(document | {"command": command}, indent=1) + "\n").encode())
    store.write("compare.md", markdown(document, command).encode())
    store.write("compare.html", render_page(document, command).encode())


def _print(document: dict[str, Any], folder: Path) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from activelora.comparison.table import columns, rows, sentences
    from pipelines.cli.console import stdout

    console = stdout()
    left_out = () if console.width >= _MEDIUM else ("ECE", "NLL", "time a run")
    heads = columns(document)
    shown = [index for index, head in enumerate(heads) if head not in left_out]
    table = Table(title=f"Comparison: {document['name']}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for index in shown:
        table.add_column(heads[index], no_wrap=index == 0, min_width=15 if heads[index] == "verdict" else None)
    for row in rows(document, with_ranges=console.width >= _WIDE):
        table.add_row(*(row[index] for index in shown))
    console.print(table)
    for text in sentences(document):
        typer.echo(f"- {text}")
    typer.echo(f"results: {folder}/compare.html, compare.md, compare.json")


def _list(text: str | None, option: str) -> tuple[str, ...]:
    from activelora.errors import ConfigError

    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise ConfigError("names nothing between two commas", where=f"{option} {text}", remedy="Write a,b,c.")
    return names


def _numbers(text: str) -> tuple[int, ...]:
    from activelora.errors import ConfigError

    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError("is not a list of whole numbers", where=f"--seeds {text}", remedy="Write 0,1,2.") from None
