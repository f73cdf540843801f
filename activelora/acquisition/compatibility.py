"""Which measures and strategies make sense for a kind of task."""

from __future__ import annotations

from activelora.acquisition.registry import check_measures, chosen_measures, measures_read, strategy_keys
from activelora.config import CampaignConfig
from activelora.errors import ConfigError
from activelora.tasks.task import Kind
from activelora.uncertainty.text_measures import ORACLE_NLL


def check_fit(config: CampaignConfig, kind: Kind) -> None:
    """Refuse a strategy or a measure that makes no sense for the campaign's task.

    Args:
        config: The campaign's settings.
        kind: Kind of the campaign's task.

    Raises:
        ConfigError: It does not fit, with those that do; or there is none of that name.
    """
    acquisition, fitting = config.acquisition, kind.measures
    check_measures(acquisition)
    for key, strategy in strategy_keys(acquisition).items():
        if strategy.needs_answers and not kind.one_answer:
            raise ConfigError(
                f"`{strategy.name}` needs one distribution over answers for each item, which {kind.name} does not have",
                where=key,
                remedy="Choose for example `core_set`, `star` or `uncertainty`.",
            )
        if unfit := [name for name in strategy.measures if name not in fitting]:
            raise ConfigError(
                f"`{strategy.name}` reads the measure `{unfit[0]}`, which {kind.name} does not have",
                where=key,
                remedy=f"Use `uncertainty` with acquisition.measure, one of: {', '.join(fitting)}.",
            )
        for option, name in chosen_measures(strategy, acquisition).items():
            if name not in fitting:
                raise ConfigError(
                    f"the measure `{name}` does not exist for {kind.name}",
                    where=option,
                    remedy=f"Choose one of: {', '.join(fitting)}.",
                )
    if ORACLE_NLL in measures_read(acquisition) and config.labeling.source != "oracle":
        raise ConfigError(
            f"`{ORACLE_NLL}` reads gold labels that nobody has given: it is for replicating published results only",
            where="acquisition.measure",
            remedy="Use `token_entropy`, or the `oracle` label source, which is a simulation.",
        )
