"""select_batch as a KFP component."""

from kfp import dsl

from components.image import images


@dsl.component(base_image=images().cpu, install_kfp_package=False)
def select_batch(campaign_uri: str, round: int, batch: dsl.Output[dsl.Dataset]) -> None:
    """Select the items to ask labels for."""
    from components.entry import run_if_due

    run_if_due("select_batch", campaign_uri, round, artifact=batch)
