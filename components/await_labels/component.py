"""await_labels as a KFP component."""

from kfp import dsl

from components.image import images


@dsl.component(base_image=images().cpu, install_kfp_package=False)
def await_labels(campaign_uri: str, round: int) -> None:
    """Publish the batch where people label, and collect what is there; ends well where labels are missing."""
    from components.entry import run_if_due

    run_if_due("await_labels", campaign_uri, round)
