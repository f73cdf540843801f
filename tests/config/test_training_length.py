"""Training length by kind: what a file leaves out is filled in, and what it says holds."""

import pytest

from activelora.config import CampaignConfig
from activelora.config.training_length import KINDS_OF_MANY_ANSWERS, with_length
from activelora.kinds.registry import KINDS

LABELS = {"labels": ["a", "b"]}
NUMBERS = {"kind": "regression", "minimum": 0, "maximum": 5}


def test_the_names_are_those_of_the_kinds_whose_answers_are_no_labels():
    assert {name for name, kind in KINDS.items() if kind.form in {"number", "text"}} == KINDS_OF_MANY_ANSWERS


def training(task, given=None):
    document = {"name": "test", "task": {"prompt": "{text}", **task}, "data": {"pool": {"path": "pool.jsonl"}}}
    document |= {} if given is None else {"training": given}
    config = CampaignConfig.model_validate(document)
    assert CampaignConfig.model_validate_json(config.model_dump_json()) == config
    found = config.training
    return found.converged_loss, found.min_steps, found.learning_rate


@pytest.mark.parametrize("kind", sorted(KINDS_OF_MANY_ANSWERS))
def test_written_answers_and_numbers_have_a_number_of_steps(kind):
    task = NUMBERS if kind == "regression" else {"kind": kind}
    assert training(task) == (None, 120, 5e-4)
    assert training(task, {"learning_rate": 0.01}) == (None, 120, 0.01)
    assert training(task, {"converged_loss": 0.2, "min_steps": 7}) == (0.2, 7, 5e-4)


def test_labels_are_trained_until_they_are_learned():
    assert training(LABELS) == training({"kind": "yes_no"}) == (0.3, 60, 1e-3)
    assert training(LABELS, {"epochs": 2}) == (None, 60, 1e-3)


@pytest.mark.parametrize("document", [None, [], "text", {"task": 3}, {"task": {"kind": ["regression"]}}, {"task": {}}])
def test_what_is_no_document_comes_back(document):
    assert with_length(document) is document
