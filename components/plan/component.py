"""What is due, as a KFP component: pods start only where something is."""

from typing import NamedTuple

from kfp import dsl

from components.image import images


@dsl.component(base_image=images().cpu, install_kfp_package=False)
def plan(campaign_uri: str, round: int) -> NamedTuple("Begun", [("round", int), ("work", bool)]):  # type: ignore[valid-type]  # KFP reads the outputs' names and types here
    """Collect labels that are waited for, record the end if it has come, and say whether a step is due."""
    from components.plan.step import begin_at

    return begin_at(campaign_uri, round)
