"""`label-studio token`: a token that campaigns can use, from an account's e-mail and password."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from activelora.errors import ConfigError

EMAIL_VARIABLE = "LABEL_STUDIO_USERNAME"
PASSWORD_VARIABLE = "LABEL_STUDIO_PASSWORD"  # noqa: S105 - a name, not a password
app = typer.Typer(help="A Label Studio server that people label in.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A Label Studio server that people label in."""


@app.command()
def token(
    url: Annotated[str, typer.Argument(metavar="URL", help="The server's address, as a browser shows it.")],
    email: Annotated[
        str | None, typer.Option(help=f"E-mail of the account. Default: {EMAIL_VARIABLE}.", show_default=False)
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Revoke the token that the account has, and make another.")
    ] = False,
) -> None:
    """Print a new personal access token of an account, and nothing else: for LABEL_STUDIO_API_KEY.

    The password comes from LABEL_STUDIO_PASSWORD, or is asked for on a terminal. Label Studio gives each account one
    token, and shows it once: pipe it into the secret that campaigns name.
    """
    from activelora.labeling.label_studio.personal_token import make_token

    account = email or os.environ.get(EMAIL_VARIABLE, "").strip()
    if not account:
        raise ConfigError("nobody said whose token", where=EMAIL_VARIABLE, remedy="Set it, or name --email.")
    made = make_token(url, account, _password(account), replaces=replace)
    typer.echo(made, nl=sys.stdout.isatty())  # a file of a secret holds the token alone


def _password(account: str) -> str:
    given = os.environ.get(PASSWORD_VARIABLE, "")
    if given:
        return given
    if not sys.stdin.isatty():
        remedy = "Set it. On a terminal it is asked for."
        raise ConfigError(f"there is no password of {account}", where=PASSWORD_VARIABLE, remedy=remedy)
    return str(typer.prompt(f"Password of {account}", hide_input=True, err=True))
