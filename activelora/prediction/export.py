"""``activelora export``: a round's model as a folder for others, which needs nothing of this package.

It holds the adapter as peft loads it, or the whole model merged and dense; tokenizer, task, temperature and thresholds
(``task.json``), a model card, and a short ``predict.py``. It is a bundle too, so that predicting and serving take it.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from activelora.config import CampaignConfig
from activelora.errors import DIVERGED, ModelError
from activelora.kinds.registry import get_kind
from activelora.modeling import builtin
from activelora.modeling.arriving import arrive
from activelora.modeling.methods.registry import get_method
from activelora.prediction.base_files import base_note, check_base
from activelora.prediction.bundle import ADAPTER_NAME, BASE_NAME, BUNDLE_NAME, Bundle, read_bundle
from activelora.prediction.cost import campaign_of, cost_of_mean
from activelora.prediction.facts import FACTS_NAME, Facts, facts_of, read_facts
from activelora.prediction.model_card import CARD_NAME, Cost, Exported, model_card
from activelora.prediction.program import PROGRAM_NAME, program
from activelora.prediction.standalone import TASK_NAME, Layout, differs, task_document


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes:
        folder: The folder.
        cost: What the mean costs.
        no_program: Why there is no ``predict.py``; None where there is one.
        base: What of the base model the folder needs from elsewhere, in words; None where it needs nothing.
    """

    folder: Path
    cost: Cost
    no_program: str | None
    base: str | None


@dataclass(frozen=True)
class _Plan:
    bundle: Bundle
    merged: bool
    with_base: bool
    facts: Facts | None
    cost: Cost

    @property
    def config(self) -> CampaignConfig:
        return self.bundle.config


def export(bundle: Bundle, folder: Path, *, merged: bool = False, with_base: bool = False) -> Export:
    """Write a model into a new folder, which appears whole or not at all.

    Args:
        bundle: The model.
        folder: The folder; it must not exist, or be empty.
        merged: Whether the adapter is added into the base model's weights.
        with_base: Whether the base model is copied in.

    Raises:
        ModelError: The folder is taken, the model has no adapter, its method cannot be merged, or the base model here
            is another one.
    """
    _check(bundle, folder, merged=merged, with_base=with_base)
    check_base(bundle)
    campaign, _ = campaign_of(bundle)
    facts = read_facts(bundle.folder) if campaign is None else facts_of(campaign, bundle.round)
    plan = _Plan(bundle, merged, with_base, facts, cost_of_mean(bundle))
    reasons: list[str | None] = []
    if not arrive(folder, partial(_make, plan, reasons), BUNDLE_NAME):
        raise _taken(folder)
    return Export(folder, plan.cost, reasons[0], None if merged or with_base else _base_in_words(bundle))


def _check(bundle: Bundle, folder: Path, *, merged: bool, with_base: bool) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise _taken(folder)
    if bundle.adapter is None:
        problem = "round 0 is the base model alone: there is no adapter to export"
        raise ModelError(problem, where=str(bundle.provenance["campaign"]), remedy="Name a round with --round N.")
    if merged and with_base:
        problem = "--merged and --with-base do not go together: merged weights need no base model"
        raise ModelError(problem, where=str(folder), remedy="Leave one of them out.")
    method = bundle.config.adapter.method
    if merged and get_kind(bundle.config.task.kind).compares_answers:
        raise ModelError(
            "merged weights cannot be compared with the base model's, by which answers are read",
            where=f"--merged, task.kind: {bundle.config.task.kind}",
            remedy="Leave --merged out: the folder then holds the adapter, which `activelora serve` takes.",
        )
    if merged and not get_method(method).mergeable:
        raise ModelError(
            f"`{method}` cannot be merged: one set of weights cannot stand for what it predicts with",
            where="--merged",
            remedy="Leave --merged out: the folder then holds the adapter, which `activelora serve` takes.",
        )


def _make(plan: _Plan, reasons: list[str | None], scratch: Path) -> Path:
    """Write all of it into a folder below ``scratch``; the reason why there is no program is put into the list."""
    from activelora.modeling.base import load_base
    from activelora.modeling.encoding import Encoder
    from activelora.modeling.length_limit import length_limit

    bundle, folder = plan.bundle, scratch / "model"
    base = load_base(plan.config.model)
    check_base(bundle)  # again, as it may have been fetched just now
    encoder = Encoder(base.tokenizer, plan.config.task, length_limit(base.model.config))
    _copy_bundle(bundle, folder)
    if plan.facts is not None:
        text = json.dumps(plan.facts, indent=1, sort_keys=True, ensure_ascii=False)
        (folder / FACTS_NAME).write_text(text, encoding="utf-8")
    base.tokenizer.save_pretrained(folder)
    dtype = str(base.model.dtype).removeprefix("torch.")
    layout = Layout(*_named_base(bundle), () if plan.merged else _adapters(folder), dtype)
    document = task_document(plan.config, base.tokenizer, encoder, bundle.readings, layout)
    (folder / TASK_NAME).write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")
    reason = _no_program(plan, document, encoder, folder)
    reasons.append(reason)
    if reason is None:
        text = program(
            document,
            by_text=encoder.scores_text,
            asks_each_label=encoder.task.kind.asks_each_label,
            with_base=plan.with_base,
            name=f"{plan.config.name}, round {bundle.round}",
        )
        (folder / PROGRAM_NAME).write_text(text, encoding="utf-8")
    exported = Exported(plan.merged, layout.base, dtype, reason)
    card = model_card(read_bundle(folder), plan.facts, plan.cost, exported)
    (folder / CARD_NAME).write_text(card, encoding="utf-8")
    if plan.with_base:
        _copy_base(plan.config, folder / BASE_NAME)
    if plan.merged:
        _merge(plan.config, folder)
    return folder


def _copy_bundle(bundle: Bundle, folder: Path) -> None:
    """Copy the model, and note the digest of its base model where that was not computed yet."""
    folder.mkdir()
    document = json.loads((bundle.folder / BUNDLE_NAME).read_text(encoding="utf-8"))
    base = document["provenance"]["base"]
    if base["sha256"] is None:
        base |= base_note(bundle.config)
    (folder / BUNDLE_NAME).write_text(json.dumps(document, indent=1, sort_keys=True), encoding="utf-8")
    shutil.copytree(bundle.folder / ADAPTER_NAME, folder / ADAPTER_NAME)


def _copy_base(config: CampaignConfig, folder: Path) -> None:
    from activelora.modeling.locating import folder_of
    from activelora.modeling.published import PATTERNS

    source = folder_of(config.model)
    folder.mkdir()
    for path in sorted({path for pattern in PATTERNS for path in source.glob(pattern) if path.is_file()}):
        shutil.copy(path, folder / path.name)


def _merge(config: CampaignConfig, folder: Path) -> None:
    """Add the adapter into the base model's weights and save them: floating point, as they are computed with."""
    from activelora.modeling import lora
    from activelora.modeling.base import load_base

    base: Any = load_base(config.model)
    load_base.cache_clear()  # the weights are changed in place: nobody may have them as the base model's
    if getattr(base.model.config, "quantization_config", None) is not None:
        problem = "the base model's weights are quantised, and cannot be merged into dense ones"
        raise ModelError(problem, where=f"model.base: {config.model.base}", remedy="Leave --merged out.")
    try:
        merged = lora.load(base, folder / ADAPTER_NAME).merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise ModelError(f"the merged weights are not numbers: {error}", where="--merged", remedy=DIVERGED) from None
    merged.save_pretrained(folder)


def _adapters(folder: Path) -> tuple[str, ...]:
    """Return the folders of peft's adapters: the adapter, or its members."""
    found = sorted((folder / ADAPTER_NAME).rglob("adapter_config.json"))
    return tuple(path.parent.relative_to(folder).as_posix() for path in found)


def _no_program(plan: _Plan, document: dict[str, Any], encoder: Any, folder: Path) -> str | None:
    """Return why no program of transformers and peft alone would answer alike, in words; None where one does."""
    from transformers import AutoTokenizer

    config = plan.config
    method = get_method(config.adapter.method)
    if not method.plain:
        return f"peft alone does not know the method `{method.name}`"
    if not plan.merged and not document["adapters"]:
        return f"the method `{method.name}` has saved no adapter that peft could load"
    if encoder.task.kind.compares_answers:
        return "answers are read against the base model's own likelihoods"
    if config.model.quantization != "none":
        return f"the base model is quantised when it is loaded ({config.model.quantization})"
    if document["kind"] and encoder.task.kind.writes and len(document["adapters"]) > 1:
        return "several adapters cannot write one answer"
    if differs(document, AutoTokenizer.from_pretrained(folder), encoder):
        return "the tokenizer that was saved does not give the tokens that the model was trained on"
    return None


def _named_base(bundle: Bundle) -> tuple[str, str | None]:
    """Return the base model's name and revision as the campaign has them, and transformers knows them."""
    base = bundle.provenance["base"]
    return (builtin.HUB_ID if base["id"] == builtin.NAME else str(base["id"])), base["revision"]


def _base_in_words(bundle: Bundle) -> str:
    base = bundle.provenance["base"]["id"]
    if base == builtin.NAME:
        return (
            f"{base}, as ActiveLoRA converts it: {builtin.HUB_ID}'s own weights are not rounded, and answer otherwise"
        )
    return str(base)


def _taken(folder: Path) -> ModelError:
    problem = "the folder is there already, and not empty"
    return ModelError(problem, where=str(folder), remedy="Name another folder with --out.")
