"""What `activelora check` says of Label Studio without a server."""

import pytest

from activelora.errors import ProblemsError
from activelora.rules.file import checked_config
from pipelines.cli.checks import check_campaign


def config_of(folder, **resources):
    document = {
        "name": "n",
        "task": {"prompt": "{text}", "labels": ["a", "b"]},
        "data": {"folder": str(folder), "pool": {"path": "none.jsonl"}},
        "model": {"base": str(folder / "no-model")},
        "labeling": {"source": "label_studio", "label_studio": {"url": "http://127.0.0.1:9"}},
        "resources": resources,
    }
    return checked_config(document, where="test")


def said(config):
    with pytest.raises(ProblemsError) as caught:
        check_campaign(config)
    return str(caught.value)


def test_a_missing_token_is_said_before_anything_begins(tmp_path, monkeypatch):
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    assert "LABEL_STUDIO_API_KEY: there is no token for Label Studio" in said(config_of(tmp_path))
    assert "Label Studio" not in said(
        config_of(tmp_path, secret_env={"LABEL_STUDIO_API_KEY": {"name": "label-studio"}})
    )
