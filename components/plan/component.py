"""What is due, as a KFP component: pods start only for steps that are not done."""

from typing import NamedTuple

from kfp import dsl

from components.image import images


@dsl.component(base_image=images().cpu, install_kfp_package=False)
def plan(campaign_uri: str, round: int, publish: bool) -> NamedTuple(  # type: ignore[valid-type]  # KFP reads the outputs' names and types here
    "Due",
    [
        ("round", int),
        ("ingest", bool),
        ("collect", bool),
        ("work", bool),
        ("train", bool),
        ("evaluate", bool),
        ("label", bool),
        ("score", bool),
        ("shards", list),
        ("select", bool),
    ],
):
    """Say what is due in the campaign, and record its end where it has come to it."""
    from components.plan.step import due_at

    return due_at(campaign_uri, round, publish)
