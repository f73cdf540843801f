"""predict_table as a KFP component."""

from kfp import dsl

from components.image import images


@dsl.component(base_image=images().gpu, install_kfp_package=False)
def predict_table(campaign_uri: str, request: str, worker: int) -> None:
    """Answer one worker's share of a table with a campaign's model."""
    from components.predict_table.step import predict_at

    predict_at(campaign_uri, request, worker)
