"""No secret in a text: values of the environment, credentials in addresses, and what is no secret."""

from __future__ import annotations

import pytest

from activelora.errors import ActiveLoRAError
from activelora.redacting import redact, redactor, without_credentials, without_secrets
from pipelines.cli.console import show_error


def test_a_secret_that_holds_another_is_hidden_whole(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "abcdef")
    monkeypatch.setenv("B_PASSWORD", "abcdef/ghijkl")
    assert without_secrets("x abcdef/ghijkl y abcdef z abcdef%2Fghijkl") == "x *** y *** z ***"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("at http://me:pass@word@host:5000/x", "at http://***@host:5000/x"),
        ("GET /key?X-Amz-Signature=0aF&X-Amz-Date=1 now", "GET /key?X-Amz-Signature=***&X-Amz-Date=*** now"),
        ("s3://bucket/a@b is a key", "s3://bucket/a@b is a key"),
        ("token and password are words", "token and password are words"),
    ],
)
def test_credentials_in_addresses_are_hidden(text, hidden):
    assert without_secrets(text) == hidden


def test_short_values_and_names_that_only_look_alike_hide_nothing(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "false")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "parallel")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/token")
    assert without_secrets("false parallel /var/token") == "false parallel /var/token"


def test_a_value_that_is_named_is_hidden_whatever_its_length():
    assert without_secrets("Bearer abc, not abd", "abc", "") == "Bearer ***, not abd"


def test_the_environment_is_read_when_the_redactor_is_made(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "first-value")
    hide = redactor()
    monkeypatch.setenv("A_TOKEN", "second-value")
    assert hide("first-value second-value") == "*** second-value"


@pytest.mark.parametrize("password", ["word", "p@ss@word", "a:b?c#d"])
def test_credentials_are_taken_out(password):
    text = without_credentials(f"no answer from https://me:{password}@host:1/x and mysql://me:{password}@db/y")
    assert text == "no answer from https://host:1/x and mysql://db/y"


def test_an_address_without_its_credentials():
    assert redact("https://me:hunter2@host/a/b?token=hunter2") == "https://host/a/b"
    assert redact("s3://bucket/a@b") == "s3://bucket/a@b"
    assert redact("/plain/path") == "/plain/path"


def test_an_error_on_the_terminal_shows_no_secret(monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf-0123456789")
    show_error(ActiveLoRAError("the hub refuses hf-0123456789", where="https://me:word@host/x"))
    assert capsys.readouterr().err.strip() == "error: https://***@host/x: the hub refuses ***"
