"""Names that systems outside refuse, or read as another one: MLflow's, and places in S3."""

from __future__ import annotations

import posixpath

S3 = "s3://"
MAX_CHARS = 256
"""The longest name that all of MLflow's databases hold."""


def unfit_model(name: str) -> str | None:
    """Return why MLflow's registry refuses a registered model of this name, or None."""
    if bad := [sign for sign in "/:" if sign in name]:
        return f"MLflow refuses a registered model with `{bad[0]}` in its name"
    if name == "." or name.startswith(".."):
        return "MLflow refuses a registered model of that name, which could be a folder's"
    return _unfit(name)


def unfit_experiment(name: str) -> str | None:
    """Return why MLflow refuses an experiment of this name, or some of its databases do; None if all take it."""
    return _unfit(name)


def _unfit(name: str) -> str | None:
    if not name.strip():
        return "MLflow refuses a name of nothing but blanks"
    if name != name.strip() or not name.isprintable():
        return "a name with blanks at its ends, or characters that cannot be seen, cannot be told from another one"
    if len(name) > MAX_CHARS:
        return f"a name of {len(name)} characters is longer than the {MAX_CHARS} that MLflow's databases hold"
    return None


def crooked(uri: str) -> str | None:
    """Return what keeps an ``s3://`` URI from meaning one place: S3 takes every character of a key as it is.

    Args:
        uri: A URI; it may end in one slash, as a folder does.
    """
    parts = uri.removeprefix(S3).split("/")
    if parts[-1] == "":
        parts.pop()
    for part, shown in (("", "//"), (".", "./"), ("..", "../")):
        if part in parts[1:]:
            return f"has `{shown}` in it, which S3 takes as a part of the name: it would be another place"
    return None


def straightened(uri: str) -> str:
    """Return the URI that a person most likely means by one that :func:`crooked` names."""
    bucket, _, key = uri.removeprefix(S3).partition("/")
    path = posixpath.normpath(f"/{key}").lstrip("/")
    return f"{S3}{bucket}/{path}"
