"""score_pool as a KFP component."""

from kfp import dsl

from components.image import images


@dsl.component(base_image=images().gpu, install_kfp_package=False)
def score_pool(campaign_uri: str, round: int, share: str) -> None:
    """Score a share of the pool's shards with the round's model, one after another."""
    from components.entry import score_share

    score_share(campaign_uri, round, share)
