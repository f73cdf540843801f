"""What the command line writes: log lines and errors on stderr, results on stdout."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import TYPE_CHECKING

from activelora.errors import ActiveLoRAError, ProblemsError
from activelora.log_lines import JsonFormatter, PlainFormatter, wants_json
from activelora.redacting import without_secrets

if TYPE_CHECKING:
    from rich.console import Console

OWN_LOGGERS = ("activelora", "components", "pipelines")
_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


def set_up_logging(*, verbose: bool) -> None:
    """Log this project's words in full and others' warnings only: prettily on a terminal, in plain lines elsewhere."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if not verbose:
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|torch|mlflow)\..*")
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if getattr(handler, "is_activelora", False):
            root.removeHandler(handler)
    handler = _handler()
    handler.is_activelora = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(logging.INFO if verbose else logging.WARNING)
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)


def show_error(error: ActiveLoRAError) -> None:
    """Write an error, or each of several, to stderr."""
    console = stderr()
    if not isinstance(error, ProblemsError):
        console.print(f"[bold red]error:[/] {_shown(str(error))}")
        return
    found = error.problems
    console.print(f"[bold red]error:[/] {len(found)} problem{'s' if len(found) > 1 else ''} found")
    for problem in found:
        console.print(f"  [red]-[/] {_shown(str(problem))}")
    if error.hint:
        console.print(_shown(error.hint))


def warn(text: str) -> None:
    """Write a warning to stderr."""
    stderr().print(f"[bold yellow]warning:[/] {_shown(text)}")


def stdout() -> Console:
    """Return a console for results; what is not a terminal gets plain text, never cut."""
    return _console(stderr=False)


def stderr() -> Console:
    """Return a console for everything else."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=None if stream.isatty() else 200)


def _shown(text: str) -> str:
    from rich.markup import escape

    return escape(without_secrets(text))


def _handler() -> logging.Handler:
    if wants_json():
        handler: logging.Handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        return handler
    if not sys.stderr.isatty():
        handler = logging.StreamHandler()
        handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
        return handler
    from rich.logging import RichHandler

    from activelora.progress import terminal_console

    handler = RichHandler(
        console=terminal_console(), show_path=False, omit_repeated_times=False, log_time_format="%H:%M:%S"
    )
    handler.setFormatter(PlainFormatter("%(message)s"))
    return handler
