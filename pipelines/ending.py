"""The exit task: whatever became of a run, somebody is told."""

from contextlib import AbstractContextManager, nullcontext

from kfp import dsl

from components.image import images
from pipelines.placement import Placement


@dsl.component(base_image=images().cpu, install_kfp_package=False)
def tell_the_end(campaign_uri: str, status: dsl.PipelineTaskFinalStatus) -> None:
    """Record how the run ended beside the campaign, and send it to the webhook."""
    from pipelines.notice import tell_at

    tell_at(campaign_uri, status.state, status.error_message)


def told_at_the_end(place: Placement, campaign_uri: str) -> AbstractContextManager[object]:
    """Return the context for a run's tasks: an exit handler, or nothing where no notice is wanted.

    A KFP without kubeflow/pipelines#13322 calls a run with loops still running when it tells of its end.
    """
    if place.resources.notify is None:
        return nullcontext()
    ending = place.exit(tell_the_end(campaign_uri=campaign_uri))
    ending.set_display_name("tell how it ended")
    handler: AbstractContextManager[object] = dsl.ExitHandler(ending, name="the run")
    return handler
