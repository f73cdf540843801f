"""Settings of several sections that are each allowed, but not together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import NoneType
from typing import TYPE_CHECKING

from activelora.acquisition.compatibility import misfits
from activelora.acquisition.registry import measures_read, own_settings, strategy_keys
from activelora.acquisition.seed_set import measures_scored
from activelora.acquisition.strategy import GRADIENTS, Strategy
from activelora.config.conflict import Conflict
from activelora.errors import ConfigError
from activelora.evaluation.gates import GATES
from activelora.kinds.registry import KINDS, get_kind
from activelora.modeling.methods.registry import METHODS
from activelora.quantities import quantity
from activelora.registry import Named, call, wrong_result
from activelora.tasks.task import LABELS_OR_NONE
from activelora.uncertainty.measures import facts_of

if TYPE_CHECKING:
    from activelora.config.campaign import CampaignConfig
    from activelora.modeling.posterior import AdapterMethod


def adapter(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield what the adapter method rules out, and presets of another method."""
    preset, name = config.adapter.c_lora.preset, config.adapter.method
    if preset != "none" and name != "c_lora":
        yield Conflict(
            "adapter.c_lora.preset",
            f"`{preset}` is of adapter.method `c_lora`, and it is `{name}`",
            "Set adapter.method to c_lora, or leave the preset out.",
        )
    if (method := _method(config)) is not None:
        yield from _conflicts(method, method.conflicts, config)


def _conflicts(part: Named, function: Callable[..., Iterable[Conflict]], *arguments: object) -> list[Conflict]:
    """Return what a part says does not go with it; one of another package may say something else."""
    found = call(part, "conflicts", lambda: list(function(*arguments)))
    for one in found:
        if not isinstance(one, Conflict):
            raise wrong_result(part, "conflicts", one)
    return found


def _method(config: CampaignConfig) -> AdapterMethod | None:
    """Return the adapter method, or None where its name is wrong, which `check` and the steps refuse."""
    return METHODS.get(config.adapter.method)


def packing(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield what cannot be packed: other orders of batches."""
    if not config.training.packing:
        return
    if config.training.group_by_length:
        yield Conflict("training.packing", "it orders batches, as group_by_length does", "Set one of the two to false.")


def two_stage(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield where a first stage of scoring has no meaning."""
    if config.scoring.two_stage is None:
        return
    kind = get_kind(config.task.kind)
    if kind.writes:
        yield Conflict(
            "scoring.two_stage", "the model's own texts are scored in one stage only", f"Leave it out for {kind.name}."
        )


def sampling(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield why the posterior's samples cannot differ, where the strategy compares them."""
    strategies, kind = _strategies(config).values(), get_kind(config.task.kind)
    if not strategies:
        return
    read = measures_read(config.acquisition) - kind.single_sample_measures
    disagree = any(facts_of(name).compares_samples for name in read)
    if not disagree and not any(strategy.compares_samples for strategy in strategies):
        return
    no_average = "nothing would be averaged over the adapter's posterior"
    effect = "every item's score would be 0" if disagree else no_average
    what = f"`{config.acquisition.strategy}` compares Monte-Carlo samples"
    method = _method(config)
    same = None
    if method is not None:
        same = call(method, "same_samples", method.same_samples, config.adapter, gives=(Conflict, NoneType))
    if same is not None:
        yield Conflict(
            same.key, f"{what}, and {same.problem}: {effect}", f"{same.remedy}, or choose a strategy such as `entropy`."
        )
    if config.scoring.num_samples < 2:
        yield Conflict(
            "scoring.num_samples",
            f"{what}, and one sample has nothing to compare with: {effect}",
            "Set it to 2 or more (32 where disagreement counts), or choose a strategy such as `entropy`.",
        )


def drawn_answers(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield measures of several drawn answers where one is drawn."""
    if config.scoring.num_samples > 1 or not _strategies(config):
        return
    for name in sorted(measures_read(config.acquisition)):
        if facts_of(name).draws_answers:
            yield Conflict(
                "scoring.num_samples",
                f"`{name}` compares answers that the model writes, and one has nothing to compare with: every item's "
                "score would be 0",
                "Set it to 2 or more (8 by default), or choose another measure.",
            )


def entailment(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield a model that compares answers where no measure asks for it."""
    if config.scoring.nli is None or not _strategies(config):
        return
    read = measures_scored(config.acquisition, 0) | measures_read(config.acquisition)
    if any(facts_of(name).draws_answers for name in read):
        return
    kind = get_kind(config.task.kind)
    served = [name for name in kind.measures if facts_of(name).draws_answers]
    problem, remedy = f"compares answers that the model writes, and {kind.name} has no measure of them", "Leave it out."
    if served:
        listed = ", ".join(f"`{name}`" for name in served)
        problem = f"compares answers for the measures {listed}, and this campaign reads none of them"
        remedy = f"Leave it out, or set acquisition.strategy to uncertainty and acquisition.measure to {served[0]}."
    yield Conflict("scoring.nli", problem, remedy)


def strategy(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield what the campaign's strategies rule out: other forms of answers, and settings by their own rules."""
    kind, method = get_kind(config.task.kind), _method(config)
    for key, one in _strategies(config).items():
        problem, forms = "", one.forms
        if GRADIENTS in one.needs and not kind.one_softmax:
            problem = f"is computed where an item has one answer out of several, and this is {kind.name}"
        elif forms is not None and kind.form not in forms:
            problem = f"is for answers of the form {' or '.join(sorted(forms))}, and {kind.name} has {kind.form}"
            fitting = [other.name for other in KINDS.loadable()[0].values() if other.form in forms]
            problem += f": it serves {', '.join(fitting)}" if fitting else ""
        if problem:
            yield Conflict(key, f"`{one.name}` {problem}", "Choose a strategy such as `star` or `core_set`.")
        if GRADIENTS in one.needs and (method is None or not method.gradient_lengths):
            can = [f"`{name}`" for name, other in METHODS.loadable()[0].items() if other.gradient_lengths]
            yield Conflict(
                key,
                f"`{one.name}` is computed for adapter.method {' or '.join(can)}, and it is `{config.adapter.method}`",
                f"Choose a strategy such as `badge`, which looks at gradients too, or the method {' or '.join(can)}.",
            )
        own = own_settings(one, config.acquisition)
        yield from _conflicts(one, one.conflicts, config, own)


def fit(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield strategies and measures that make no sense for the kind of task."""
    if _strategies(config):
        yield from misfits(config, get_kind(config.task.kind))


def _strategies(config: CampaignConfig) -> dict[str, Strategy]:
    """Return the strategies by the settings that name them; none where a name is wrong, which `check` refuses."""
    try:
        return strategy_keys(config.acquisition)
    except ConfigError:
        return {}


def class_floor(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield floors for classes that the task has not, or that do not fit a batch."""
    acquisition, task = config.acquisition, config.task
    if not acquisition.per_class_floor:
        return
    kind = get_kind(task.kind)
    if (labels := call(kind, "fixed_labels", kind.fixed_labels, task, gives=LABELS_OR_NONE)) is None:
        yield Conflict(
            "acquisition.per_class_floor",
            f"a {task.kind} task has no classes that its items share",
            "Leave it out.",
        )
        return
    if acquisition.per_class_floor * len(labels) > acquisition.batch_size:
        yield Conflict(
            "acquisition.per_class_floor",
            f"{acquisition.per_class_floor} items of each of {len(labels)} classes are more than a batch of "
            f"{acquisition.batch_size}",
            "Make acquisition.batch_size larger or the floor smaller.",
        )


def budget(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield a budget that is smaller than one batch."""
    budget, batch_size = config.stopping.label_budget, config.acquisition.batch_size
    if budget is not None and budget < batch_size:
        yield Conflict(
            "stopping.label_budget",
            f"{quantity(budget, 'label is', 'labels are')} fewer than one batch of acquisition.batch_size {batch_size}",
            "Raise the budget or make the batches smaller.",
        )


def split(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield limits that leave too few items."""
    data = config.data
    if data.holdout is not None:
        limit = data.holdout.limit
        if limit is not None and limit <= data.calibration_size:
            yield Conflict(
                "data.holdout.limit",
                f"{limit} rows leave no holdout after data.calibration_size {data.calibration_size}",
                "Raise the limit or make the calibration split smaller.",
            )
        split, words = 0, "the pool"
    else:
        split, words = data.holdout_size + data.calibration_size, "the pool, holdout and calibration split off"
    if data.pool.limit is None:
        return
    left = data.pool.limit - split
    there = quantity(max(left, 0), "item is", "items are")
    if left < config.acquisition.batch_size:
        yield Conflict(
            "data.pool.limit",
            f"{there} left in {words}: fewer than one batch of {config.acquisition.batch_size}",
            "Raise the limit, or make the splits or the batches smaller.",
        )
    elif (budget := config.stopping.label_budget) is not None and budget > left:
        yield Conflict(
            "stopping.label_budget",
            f"{quantity(budget, 'label')} cannot be asked for where {there} left in {words}",
            "Lower the budget or raise data.pool.limit.",
        )


def labels(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield gold labels that are needed and not named, and a temperature that nothing has."""
    data, kind = config.data, get_kind(config.task.kind)
    if data.calibration_size and not kind.has_temperature:
        yield Conflict(
            "data.calibration_size",
            f"there is no temperature for {kind.name}, whose confidence is not that of one answer among several",
            "Leave it out.",
        )
    if data.columns.label is None:
        yield Conflict(
            "data.columns.label",
            "the holdout is measured against gold labels, and no column is named for them",
            "Name the label column. The pool may lack that column where data.holdout is given.",
        )
    if data.label_numbers is not None and not kind.numbered:
        yield Conflict("data.label_numbers", f"a {kind.name} task reads numbers by its own rules", "Leave it out.")


def steps(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield a batch that cannot be split into the passes asked for."""
    training = config.training
    if training.gradient_accumulation > training.batch_size:
        yield Conflict(
            "training.gradient_accumulation",
            f"a batch of {training.batch_size} cannot be split into {training.gradient_accumulation} passes",
            "Raise training.batch_size or lower it.",
        )


def gates(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield gates and targets in a measure that the task has not."""
    gates, stopping, kind = config.evaluation.gates, config.stopping, get_kind(config.task.kind)
    remedy = f"Use `{kind.gates[0]}`." if kind.gates else "Leave it out."
    for name in GATES:
        if name not in kind.gates and getattr(gates, name) is not None:
            yield Conflict(f"evaluation.gates.{name}", f"{kind.name} is not measured so", remedy)
    for name in ("target_accuracy", "target_ece", "plateau_rounds"):
        if name not in kind.targets and getattr(stopping, name) is not None:
            problem = f"it looks at accuracy or ECE, and {kind.name} has neither"
            yield Conflict(f"stopping.{name}", problem, "Leave it out.")


def plateau(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield a plateau that could never be seen."""
    stopping = config.stopping
    if stopping.plateau_rounds is None:
        if stopping.plateau_gain > 0:
            yield Conflict(
                "stopping.plateau_gain",
                "it says what counts as no gain, and stopping.plateau_rounds does not say over how many rounds",
                "Set plateau_rounds too (2 or 3 is usual), or leave plateau_gain out.",
            )
    elif stopping.plateau_rounds >= stopping.max_rounds:
        yield Conflict(
            "stopping.plateau_rounds",
            f"{stopping.plateau_rounds} rounds without a gain over an earlier one cannot be seen in "
            f"{stopping.max_rounds} (stopping.max_rounds)",
            "Lower it, plan more rounds, or leave it out.",
        )
