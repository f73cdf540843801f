"""The command line.

Exit codes: 0 fine, 1 a problem that the user can fix, 2 wrong usage, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Annotated

import typer

from activelora import __version__
from activelora.errors import ActiveLoRAError
from pipelines.cli.commands import (
    check_schema,
    compare,
    delete_item,
    demo,
    diagnose,
    doctor,
    evaluate,
    export,
    extend,
    ingest,
    init,
    label,
    label_studio,
    labels,
    model,
    predict,
    run_tick,
    serve,
    status_report,
    stop,
    submit_schedule,
    wake,
)
from pipelines.cli.commands import (
    compile as compiling,
)
from pipelines.cli.commands import (
    list as catalogue,
)
from pipelines.cli.console import set_up_logging, show_error
from pipelines.cli.signals import TERMINATED, ended_in_order

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REMEDIES = {
    **dict.fromkeys(_FULL, "Free some space and run again: finished steps are kept."),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "Change who may write there, or name another folder."),
    errno.EROFS: "Mount it for writing, or name another folder.",
}
app = typer.Typer(
    name="activelora",
    help="The most accuracy and the best calibration out of the fewest human labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("init")(init.init)
app.command("check")(check_schema.check)
app.command("schema")(check_schema.schema)
app.command("run")(run_tick.run)
app.command("tick")(run_tick.tick)
app.command("status")(status_report.status)
app.command("forecast")(status_report.forecast)
app.command("report")(status_report.report)
app.command("stop")(stop.stop)
app.command("ingest")(ingest.ingest)
app.command("extend")(extend.extend)
app.command("label")(label.label)
app.command("predict")(predict.predict)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("compare")(compare.compare)
app.command("diagnose")(diagnose.diagnose)
app.add_typer(labels.app, name="labels")
app.add_typer(label_studio.app, name="label-studio")
app.add_typer(model.app, name="model")
app.command("compile")(compiling.compile_command)
app.command("submit")(submit_schedule.submit)
app.command("schedule")(submit_schedule.schedule)
app.command("unschedule")(submit_schedule.unschedule)
app.command("upgrade")(submit_schedule.upgrade)
app.command("delete-item")(delete_item.delete_item)
app.command("serve")(serve.serve)
app.command("wake")(wake.wake)
app.command("doctor")(doctor.doctor)
app.command("list")(catalogue.list_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"activelora {__version__}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log details.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Set up what all commands share."""
    set_up_logging(verbose=verbose)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: Command-line arguments; None takes those of the process.
    """
    try:
        with ended_in_order():
            app(args=None if arguments is None else list(arguments), prog_name="activelora")
    except SystemExit as end:  # typer ends this way, also when it is interrupted
        if end.code in (130, TERMINATED):
            typer.echo("\nInterrupted. Nothing is lost: run the same command again and it goes on.", err=True)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except ActiveLoRAError as error:
        show_error(error)
        return 1
    except OSError as error:
        if error.filename is None and error.errno not in _FULL:
            raise
        where = str(error.filename or "standard output, the campaign or TMPDIR")
        show_error(ActiveLoRAError(str(error.strerror), where=where, remedy=_REMEDIES.get(error.errno or 0, "")))
        return 1
    return 0
