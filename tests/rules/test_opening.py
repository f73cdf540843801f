"""How a notebook opens what it works with."""

from decimal import Decimal
from pathlib import Path

import pytest
import yaml

import activelora
from activelora.errors import ProblemsError
from tests.tracking.conftest import make_config


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump(make_config().model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    return path


def test_overrides_are_values_or_their_yaml(file, tmp_path):
    labels = ["a: b", "no", "3"]
    values = {
        "stopping.max_rounds": 1,
        "training.learning_rate": 1e-05,
        "tracking.enabled": False,
        "task.labels": tuple(labels),
        "evaluation.gates": {"min_accuracy": 0.5},
        "data.folder": tmp_path / "a # b",
        "stopping.target_accuracy": None,
    }
    config = activelora.load_config(file, values)
    assert config.stopping.max_rounds == 1
    assert config.training.learning_rate == 1e-05
    assert config.tracking.enabled is False
    assert list(config.task.labels) == labels
    assert config.evaluation.gates.min_accuracy == 0.5
    assert config.data.folder == str(tmp_path / "a # b")
    assert config.stopping.target_accuracy is None
    assert activelora.load_config(str(file), {"stopping.max_rounds": "1"}).stopping.max_rounds == 1
    assert activelora.load_config(file, {"task.labels": "[x, y]"}).task.labels == ("x", "y")


def test_an_override_that_yaml_does_not_know(file):
    with pytest.raises(ProblemsError, match=r"`stopping.max_rounds`.*`Decimal`.*has no form in YAML"):
        activelora.load_config(file, {"stopping.max_rounds": Decimal(1)})


def test_the_place_of_a_campaign_is_a_text_or_a_path(tmp_path):
    created = activelora.create_campaign(tmp_path / "campaign", make_config())
    opened = activelora.open_campaign(tmp_path / "campaign")
    assert created.store.uri == opened.store.uri == activelora.open_campaign(str(tmp_path / "campaign")).store.uri
    assert opened.config == make_config()
