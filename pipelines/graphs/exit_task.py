"""The exit task of a run."""

from contextlib import AbstractContextManager, nullcontext

from kfp import dsl

from components.tell_the_end.component import tell_the_end
from pipelines.graphs.placement import Placement


def notice_at_the_end(placement: Placement, campaign_uri: str) -> AbstractContextManager[object]:
    """Return the context for a run's tasks: an exit handler, or nothing where no notice is wanted.

    A KFP without kubeflow/pipelines#13322 calls a run with loops still running when it tells of its end.
    """
    if placement.resources.notify is None:
        return nullcontext()
    ending = placement.exit(tell_the_end(campaign_uri=campaign_uri))
    ending.set_display_name("tell how it ended")
    handler: AbstractContextManager[object] = dsl.ExitHandler(ending, name="the run")
    return handler
