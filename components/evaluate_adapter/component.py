"""evaluate_adapter as a KFP component."""

from typing import List, NamedTuple  # noqa: UP035 - KFP hands on a list's items by their type only where it is spelt so

from kfp import dsl

from components.image import images


@dsl.component(base_image=images().gpu, install_kfp_package=False)
def evaluate_adapter(
    campaign_uri: str, round: int, num_pods: int, metrics: dsl.Output[dsl.Metrics], report: dsl.Output[dsl.HTML]
) -> NamedTuple("Measured", [("label", bool), ("shares", List[str])]):  # type: ignore[valid-type]  # noqa: UP006 - read by KFP
    """Measure the round's model on the holdout; say whether more labels are wanted, and who scores which shards."""
    from components.evaluate_adapter.decide import evaluate_if_due

    return evaluate_if_due(campaign_uri, round, num_pods, metrics, report)
