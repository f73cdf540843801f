"""train_adapter on several nodes, as a KFP component: its pod starts a TrainJob and waits for it."""

from kfp import dsl

from components.image import images


@dsl.component(base_image=images().cpu, install_kfp_package=False)
def train_adapter(campaign_uri: str, round: int, adapter: dsl.Output[dsl.Model]) -> None:
    """Train the round's adapter on all labels so far, on several nodes."""
    from pipelines.cluster.train_step import train_if_due

    train_if_due(campaign_uri, round, adapter)
