import contextlib

import pytest
from starlette.testclient import TestClient

from tests.prediction.serving.stand_in import app_of, make_service


@pytest.fixture
def client_of():
    """A client of a server around a model, without a network in between."""
    with contextlib.ExitStack() as open_ones:

        def make(model=None, limits=None, **options):
            service = make_service(model, limits, **options)
            client = open_ones.enter_context(TestClient(app_of(service), base_url="http://localhost"))
            open_ones.callback(service.batcher.close)
            vars(client)["service"] = service
            return client

        yield make
