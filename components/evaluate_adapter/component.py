"""evaluate_adapter as a KFP component."""

from kfp import dsl

from components.image import images


@dsl.component(base_image=images().gpu, install_kfp_package=False)
def evaluate_adapter(
    campaign_uri: str, round: int, metrics: dsl.Output[dsl.Metrics], report: dsl.Output[dsl.HTML]
) -> None:
    """Measure the round's model on the holdout."""
    from components.entry import evaluate_at

    evaluate_at(campaign_uri, round, metrics, report)
