"""What is drawn from the data goes by `data.split_seed`, and by the campaign's seed where there is none."""

import pytest

from activelora.campaign.campaign import Campaign
from activelora.pool import access
from components.ingest_pool import step
from tests.pool.conftest import jsonl, parquet, rows


@pytest.fixture(params=["jsonl", "parquet"])
def drawn(request, make_config, tmp_path):
    """Return a function that takes a pool in and tells the ids of holdout, calibration split and limited pool."""
    content = {"jsonl": jsonl, "parquet": parquet}[request.param](rows(60))
    (tmp_path / f"pool.{request.param}").write_bytes(content)

    def draw(seed, split_seed=None):
        pool = {"path": f"pool.{request.param}", "limit": 40}
        config = make_config(seed=seed, pool=pool, split_seed=split_seed, calibration_size=3)
        campaign = Campaign.create(str(tmp_path / f"campaign-{seed}-{split_seed}"), config)
        step.run(campaign)
        parts = (access.shard_items(campaign, 0), access.holdout(campaign)[0], access.calibration(campaign)[0])
        return [sorted(item.item_id for item in items) for items in parts]

    return draw


def test_campaigns_of_one_split_seed_have_the_same_items_whatever_their_seed(drawn):
    assert drawn(0, split_seed=7) == drawn(1, split_seed=7) == drawn(7)
    assert [len(ids) for ids in drawn(2, split_seed=7)] == [33, 4, 3]


def test_without_one_each_seed_draws_its_own(drawn):
    assert all(one != other for one, other in zip(drawn(0), drawn(1), strict=True))
    assert drawn(0) == drawn(3, split_seed=0)
