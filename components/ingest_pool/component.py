"""ingest_pool as a KFP component."""

from kfp import dsl

from components.image import images


@dsl.component(base_image=images().cpu, install_kfp_package=False)
def ingest_pool(campaign_uri: str, pool: dsl.Output[dsl.Dataset]) -> None:
    """Read the pool and split off holdout and calibration rows."""
    from components.entry import run_if_due

    run_if_due("ingest_pool", campaign_uri, artifact=pool)
