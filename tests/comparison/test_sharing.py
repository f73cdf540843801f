"""What campaigns of a comparison take over from each other, without a model."""

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.comparison.sharing import share_beginning
from tests.pipelines.conftest import finish_step, make_config

BEGINNING = [Unit("ingest_pool"), Unit("evaluate_adapter", 0)]
SCORES = [Unit("score_pool", 0, shard) for shard in range(2)]


@pytest.fixture
def begun(tmp_path):
    """Return a function that creates a generation campaign, by default with round 0 scored."""

    def create(strategy, measure, finished=True):
        acquisition = {"strategy": strategy, "measure": measure, "batch_size": 4}
        config = make_config(task={"kind": "generation", "prompt": "{text}"}, acquisition=acquisition)
        campaign = Campaign.create(str(tmp_path / strategy), config)
        for step in ("ingest_pool", "evaluate_adapter", "score_pool") if finished else ():
            finish_step(campaign, step)
        return campaign

    return create


@pytest.mark.parametrize(
    ("donor", "taker"), [("core_set", "density_weighted"), ("density_weighted", "core_set"), ("core_set", "typiclust")]
)
@pytest.mark.parametrize("measure", ["oracle_nll", "answer_nll"])
def test_scores_of_gold_answers_go_to_those_who_read_them_only(begun, donor, taker, measure):
    """All three keep embeddings; `density_weighted` alone reads `acquisition.measure`."""
    reads_alike = "density_weighted" not in (donor, taker) or measure != "oracle_nll"
    expected = [*BEGINNING, *SCORES] if reads_alike else BEGINNING
    assert share_beginning(begun(taker, measure, finished=False), begun(donor, measure)) == expected
