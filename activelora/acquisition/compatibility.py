"""Which measures and strategies make sense for a kind of task."""

from __future__ import annotations

from collections.abc import Iterator

from activelora.acquisition.registry import chosen_measures, measures_read, strategy_keys
from activelora.acquisition.seed_set import seed_strategy
from activelora.config import CampaignConfig
from activelora.config.conflict import Conflict
from activelora.tasks.task import Kind
from activelora.uncertainty.measures import known_measures
from activelora.uncertainty.text_measures import ORACLE_NLL


def misfits(config: CampaignConfig, kind: Kind) -> Iterator[Conflict]:
    """Yield strategies and measures that make no sense for the campaign's task.

    Args:
        config: The campaign's settings.
        kind: Kind of the campaign's task.

    Raises:
        ConfigError: There is no strategy of that name, or one cannot follow a pre-filter.
    """
    acquisition, fitting = config.acquisition, kind.measures
    elsewhere = {*known_measures()} - {*fitting}
    strategies, seed = dict(strategy_keys(acquisition)), seed_strategy(acquisition)
    if seed is not None and seed not in strategies.values():
        strategies["acquisition.initial"] = seed
    for key, strategy in strategies.items():
        if strategy.needs_answers and not kind.one_answer:
            yield Conflict(
                key,
                f"`{strategy.name}` needs one distribution over answers for each item, which {kind.name} does not have",
                "Choose for example `core_set`, `star` or `uncertainty`.",
            )
        if unfit := [name for name in strategy.measures if name not in fitting]:
            yield Conflict(
                key,
                f"`{strategy.name}` reads the measure `{unfit[0]}`, which {kind.name} does not have",
                f"Use `uncertainty` with acquisition.measure, one of: {', '.join(fitting)}.",
            )
        for option, name in chosen_measures(strategy, acquisition).items():
            if name in elsewhere:
                yield Conflict(
                    option,
                    f"the measure `{name}` does not exist for {kind.name}",
                    f"Choose one of: {', '.join(fitting)}.",
                )
    if ORACLE_NLL in measures_read(acquisition) and config.labeling.source != "oracle":
        yield Conflict(
            "acquisition.measure",
            f"`{ORACLE_NLL}` reads gold labels that nobody has given: it is for replicating published results only",
            "Use `token_entropy`, or the `oracle` label source, which is a simulation.",
        )
