"""Ready campaign files with the real pretrained model on real text."""

from pathlib import Path

import pytest

from tests.real_model import activelora, rounds_of

CAMPAIGNS = Path(__file__).parents[1] / "pipelines" / "campaigns"
SHORT = {"training.min_steps": 40}
"""For campaigns that need not be good: TREC-6 trains until its labels are learned, as is the default."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def run_ready(name, folder, shared_data, small):
    """Run a ready campaign file with smaller settings, and return its rounds."""
    overrides = [word for key, value in small.items() for word in ("--set", f"{key}={value}")]
    activelora("run", CAMPAIGNS / f"{name}.yaml", "--data", shared_data / name, "--campaign", folder / "c", *overrides)
    return rounds_of(folder / "c")


def test_trec6_from_its_ready_file(tmp_path, shared_data):
    sizes = {"data.pool.limit": 300, "data.holdout.limit": 250, "stopping.max_rounds": 3}
    small = {**sizes, "acquisition.strategy": "random"}
    rounds = run_ready("trec6", tmp_path, shared_data, small)
    assert [one["num_labels"] for one in rounds] == [0, 25, 50, 75]
    assert max(one["accuracy"] for one in rounds) >= 0.7


def test_arc_easy_by_the_choices_text_from_its_ready_file(tmp_path, shared_data):
    sizes = {"data.pool.limit": 60, "data.holdout.limit": 80, "acquisition.batch_size": 10, **SHORT}
    zero_shot, trained = run_ready("arc_easy", tmp_path, shared_data, {**sizes, "stopping.max_rounds": 1})
    assert trained["num_labels"] == 10
    assert zero_shot["accuracy"] > 0.3  # chance is 0.25


def test_150_labels_that_begin_alike_from_their_ready_file(tmp_path, shared_data):
    sizes = {"data.pool.limit": 40, "data.holdout.limit": 40, "acquisition.batch_size": 20}
    small = {**sizes, "acquisition.strategy": "random", "stopping.max_rounds": 1, **SHORT}
    zero_shot, trained = run_ready("clinc150", tmp_path, shared_data, small)
    assert trained["num_labels"] == 20
    assert zero_shot["accuracy"] > 0.15  # chance is 0.007
