"""Ready campaign files with the real pretrained model on real text."""

from pathlib import Path

import pytest

from tests.real_model import activelora, rounds_of

CAMPAIGNS = Path(__file__).parents[1] / "pipelines" / "campaigns"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def overrides_of(settings):
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def test_trec6_from_its_ready_file(tmp_path, shared_data):
    small = overrides_of({"acquisition.strategy": "random", "data.pool.limit": 300, "data.holdout.limit": 250})
    file, data = CAMPAIGNS / "trec6.yaml", shared_data / "trec6"
    activelora("run", file, "--data", data, "--campaign", tmp_path / "c", *small)
    rounds = rounds_of(tmp_path / "c")
    assert [one["num_labels"] for one in rounds] == [0, 25, 50, 75, 100, 125, 150]
    assert max(one["accuracy"] for one in rounds) >= 0.7


def test_arc_easy_by_the_choices_text_from_its_ready_file(tmp_path, shared_data):
    small = {
        "data.pool.limit": 60,
        "data.holdout.limit": 80,
        "acquisition.batch_size": 10,
        "stopping.max_rounds": 1,
    }
    file, data = CAMPAIGNS / "arc_easy.yaml", shared_data / "arc_easy"
    activelora("run", file, "--data", data, "--campaign", tmp_path / "c", *overrides_of(small))
    zero_shot, trained = rounds_of(tmp_path / "c")
    assert trained["num_labels"] == 10
    assert zero_shot["accuracy"] > 0.3  # chance is 0.25


def test_150_labels_that_begin_alike_from_their_ready_file(tmp_path, shared_data):
    small = {
        "data.pool.limit": 40,
        "data.holdout.limit": 40,
        "acquisition.strategy": "random",
        "acquisition.batch_size": 20,
        "stopping.max_rounds": 1,
    }
    file, data = CAMPAIGNS / "clinc150.yaml", shared_data / "clinc150"
    activelora("run", file, "--data", data, "--campaign", tmp_path / "c", *overrides_of(small))
    zero_shot, trained = rounds_of(tmp_path / "c")
    assert trained["num_labels"] == 20
    assert zero_shot["accuracy"] > 0.15  # chance is 0.007
