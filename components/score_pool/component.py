"""score_pool as a KFP component."""

from kfp import dsl

from components.image import images


@dsl.component(base_image=images().gpu, install_kfp_package=False)
def score_pool(campaign_uri: str, round: int, shard: int) -> None:
    """Score one shard of the pool with the round's model."""
    from components.entry import run_at

    run_at("score_pool", campaign_uri, round, shard)
