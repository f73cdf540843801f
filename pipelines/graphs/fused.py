"""A whole tick as one KFP component: for campaigns whose steps need the same machine."""

from kfp import dsl

from components.image import images


@dsl.container_component
def whole_tick(campaign_uri: str, round: int) -> dsl.ContainerSpec:
    """Move the campaign on by one tick, step after step.

    The tick does whichever round is under way. The parameter is for a loop's sake: where nothing uses the item of a
    loop in an exit handler, KFP's compiler does not hand the loop its list.
    """
    return dsl.ContainerSpec(image=images().gpu, command=["activelora", "tick"], args=[campaign_uri])
