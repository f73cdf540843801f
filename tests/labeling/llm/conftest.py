import pytest

from tests.labeling.fake_chat_server import fake_chat_server


@pytest.fixture
def chat():
    with fake_chat_server() as server:
        yield server
