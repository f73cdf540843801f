import pytest


@pytest.fixture(scope="session")
def tiny_model_path(tmp_path_factory):
    """A randomly initialised 4-layer Llama with a tokenizer, on disk."""
    from tests.tiny_model import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("tiny-model"))
