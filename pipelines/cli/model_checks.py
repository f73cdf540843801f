"""Whether a campaign's model is there, takes its prompts and its adapter, and fits into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activelora.config import CampaignConfig
from activelora.errors import ModelError
from activelora.quantities import quantity

if TYPE_CHECKING:
    from activelora.modeling.encoding import Encoder
    from pipelines.cli.findings import Findings


def check_model(config: CampaignConfig, findings: Findings, runs_here: bool) -> None:
    """Check the answers against the tokenizer and the adapter against the layers, and estimate the memory."""
    from activelora.modeling.base import check_cached, is_local

    name = config.model.base
    find_model(config)
    if not is_local(config.model) and not runs_here:
        check_cached(config.model)
        findings.facts.append(("model", f"{name}: not on this machine, so answers and memory are not checked"))
        findings.warnings.append(f"model {name} is fetched by the first run; run this check again after it")
        return
    from activelora.modeling.base import check_here, check_stored, load_skeleton, load_tokenizer
    from activelora.modeling.encoding import Encoder
    from activelora.modeling.fidelity import paths_of_kind
    from activelora.modeling.length_limit import length_limit
    from activelora.modeling.lora import check_adapter
    from activelora.modeling.vocabulary import check_vocabulary
    from activelora.pool.survey import first_items
    from pipelines.cli.prompt_checks import NUM_EXAMINED, look_at_prompts
    from pipelines.cli.stored_form import as_stored

    skeleton = load_skeleton(config.model)
    try:
        check_here(config.model, skeleton)
    except ModelError as error:
        if runs_here:
            raise
        findings.warnings.append(f"the campaign cannot run on this machine: {error}")
    tokenizer = load_tokenizer(config.model)
    if left_out := check_adapter(skeleton, config.adapter):
        findings.facts.append(("no adapter on", "; ".join(left_out)))
    check_stored(config.model, skeleton)
    check_vocabulary(tokenizer, skeleton)
    if off := paths_of_kind(skeleton).off:
        findings.facts.append(("speed", f"runs without {', '.join(off)}: its numbers would be others"))
    config = as_stored(config, skeleton, findings.facts)
    encoder = Encoder(tokenizer, config.task, length_limit(skeleton.config))
    num_tokens = _longest_tokens(config, encoder, findings)
    own_tokens = config.task.max_answer_tokens if encoder.task.kind.writes else encoder.num_label_tokens
    apart = "" if encoder.task.kind.writes else "its tokens tell the answers apart; "
    fact = f"{name}: {apart}the longest item has about {quantity(num_tokens, 'token')}"
    if encoder.num_label_tokens:
        fact += f", and {encoder.num_label_tokens} more for all answers together"
    findings.facts.append(("model", fact))
    items = [] if findings.data is None else first_items(config, encoder.task, NUM_EXAMINED)
    facts, warnings = look_at_prompts(config.task, encoder, skeleton, items, num_answer_tokens=own_tokens)
    findings.facts += facts
    findings.warnings += warnings
    _estimate_memory(config, num_tokens + own_tokens, findings)


def find_model(config: CampaignConfig) -> None:
    """Check that there is a model where the name says, as far as can be told without torch."""
    from activelora.modeling.base import check_folder, check_name

    check_name(config.model)
    check_folder(config.model)
    if config.model.base.startswith("s3://"):
        _check_published(config.model.base)


def _check_published(uri: str) -> None:
    from activelora.modeling.published import find

    if find(uri) is None:
        remedy = "Publish it with: activelora model push FOLDER s3://bucket/prefix."
        raise ModelError("no model is published here", where=f"model.base: {uri}", remedy=remedy)


def _longest_tokens(config: CampaignConfig, encoder: Encoder, findings: Findings) -> int:
    """Estimate the tokens of the longest item from one item's tokens per character."""
    limit = config.task.max_prompt_tokens
    if findings.data is None:
        return limit
    sample = findings.data.sample
    length = sum(map(len, sample.fields.values())) + sum(map(len, sample.choices))
    num_tokens = len(encoder.encode([sample])[0].prompt_ids)
    longest = round(num_tokens + max(0, findings.data.longest_chars - length) / 4)
    if longest > limit:
        findings.warnings.append(
            f"the longest item has about {longest} tokens and is cut to task.max_prompt_tokens {limit}"
        )
    return min(longest, limit)


def _estimate_memory(config: CampaignConfig, num_tokens: int, findings: Findings) -> None:
    from activelora.modeling.locating import local_folder
    from pipelines.cli.memory import GIB, estimate_bytes, machine_bytes, model_size

    folder = local_folder(config.model)
    size = None if folder is None else model_size(folder)
    if size is None:
        findings.facts.append(("memory", "cannot be estimated for this model"))
        return
    dtypes = ("float32", "bfloat16") if config.model.dtype == "auto" else (config.model.dtype,)
    needed = {dtype: estimate_bytes(size, config, num_tokens, dtype=dtype) for dtype in dtypes}
    shown = ", ".join(f"{count / GIB:.1f} GiB in {dtype}" for dtype, count in needed.items())
    findings.facts.append(("memory", f"about {shown}, for {_parameters(size.num_parameters)}"))
    if needed[dtypes[0]] > machine_bytes():
        findings.warnings.append(
            f"this machine has {machine_bytes() / GIB:.1f} GiB of memory, and about {needed[dtypes[0]] / GIB:.1f} GiB "
            "are needed: lower training.batch_size or scoring.batch_tokens, or use a smaller model"
        )


def _parameters(number: int) -> str:
    """Return a number of parameters with two or three digits, such as 135 million."""
    for size, word in ((10**9, " billion"), (10**6, " million")):
        if number >= size:
            return f"{number / size:.{1 if number < 10 * size else 0}f}{word} parameters"
    return quantity(number, "parameter")
