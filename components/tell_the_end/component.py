"""tell_the_end as a KFP component: whatever became of a run, somebody is told."""

from kfp import dsl

from components.image import images


@dsl.component(base_image=images().cpu, install_kfp_package=False)
def tell_the_end(campaign_uri: str, status: dsl.PipelineTaskFinalStatus) -> None:
    """Record how the run ended beside the campaign, and send it to the webhook."""
    from components.tell_the_end.step import tell_at

    tell_at(campaign_uri, status.state, status.error_message)
