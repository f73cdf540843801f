import pytest

from activelora.campaign.store import open_store
from activelora.rules.file import checked_config


@pytest.fixture(params=["local", "s3"])
def store_uri(request, tmp_path):
    """A fresh place on a disk, and one on an S3 server."""
    return str(tmp_path / "store") if request.param == "local" else request.getfixturevalue("s3_uri")


@pytest.fixture
def store(store_uri):
    return open_store(store_uri)


@pytest.fixture
def make_config():
    """Build a valid configuration; keyword arguments replace whole sections."""

    def make(**sections):
        document = {
            "name": "mail",
            "task": {"prompt": "Mail: {text}\nTeam:", "labels": ["billing", "support"]},
            "data": {"pool": {"path": "pool.jsonl"}},
        }
        return checked_config({**document, **sections}, where="campaign.yaml")

    return make
