"""train_adapter as a KFP component."""

from kfp import dsl

from components.image import images


@dsl.component(base_image=images().gpu, install_kfp_package=False)
def train_adapter(campaign_uri: str, round: int, adapter: dsl.Output[dsl.Model]) -> None:
    """Train the round's adapter on all labels so far."""
    from components.entry import run_if_due

    run_if_due("train_adapter", campaign_uri, round, artifact=adapter)
