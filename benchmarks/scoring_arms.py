"""The sides of the benchmark `scoring`, in one process and in turn: ours, plain peft + transformers, and baal.

Letters: N items, K samples, B batch, C answers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from activelora.campaign.records import Item
from activelora.config import AdapterConfig, ModelConfig, ScoringConfig, TaskConfig
from activelora.modeling import lora
from activelora.modeling.base import BaseModel, load_base
from activelora.modeling.encoding import Encoder
from activelora.modeling.sampling import MergedSamples, TokenSamples, UnmergedSamples
from activelora.scoring.batch_size import batch_tokens
from activelora.scoring.engine import Engine
from activelora.uncertainty.measures import MEASURES
from benchmarks.measuring import ROOT, Clock

DATA = ROOT.parent / "shared" / "data"
DROPOUT = 0.1
SEED = 3
BATCH = 16
TASKS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "trec6": (
        "Question: {text}\nAnswer type:",
        "You route questions to the team that can answer them. Read the question and decide what kind of answer it "
        "asks for: a description is a meaning, a reason or a manner; an entity is a thing such as an animal, a "
        "color or a food; an abbreviation is a short form or what it stands for; a human is a person or a group; a "
        "number is a count, a date or a price; a location is a place. Answer with one word.\n",
        ("description", "entity", "abbreviation", "human", "number", "location"),
    ),
    "agnews": (
        "News: {text}\nTopic:",
        "You route news to the desk that writes about them. Read the text and decide what it is about: world is "
        "politics, war and diplomacy between countries; sports is games, players and clubs; business is companies, "
        "markets, prices and the economy; technology is computers, science, software and the internet. Where two of "
        "them fit, choose the one that the first sentence is about. Answer with one word.\n",
        ("world", "sports", "business", "technology"),
    ),
    "agnews_topics": (
        "News: {text}\nIs it about {label}?",
        "",
        ("war", "elections", "sports", "companies", "prices", "computers", "space", "health"),
    ),
}


@dataclass(frozen=True)
class Case:
    """What is scored.

    Attributes:
        data: A task of TASKS.
        prefix: Whether prompts begin with the same instructions.
        last_layers: Layers with an adapter, from the top; None is all.
        num_items: N, that ours scores.
        num_slow: Questions that the other sides answer: an item each, or one for each of its labels.
        num_samples: K of ours; the other sides run one, and count K times.
    """

    data: str
    prefix: bool
    last_layers: int | None
    num_items: int
    num_slow: int
    num_samples: int


class Bench:
    """A model with an adapter, and the items."""

    def __init__(self, case: Case, dtype: Literal["auto", "float32", "bfloat16"] = "auto") -> None:
        self.case = case
        self.base: BaseModel = load_base(ModelConfig(dtype=dtype))
        prompt, instructions, labels = TASKS[case.data]
        prompt = instructions + prompt if case.prefix else prompt
        kind = "multi_label" if "{label}" in prompt else "classification"
        config = TaskConfig(kind=kind, prompt=prompt, labels=labels, chat_template="never", max_prompt_tokens=400)
        self.encoder = Encoder(self.base.tokenizer, config)
        path = DATA / case.data.partition("_")[0] / "train.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines()[: case.num_items]
        self.items = [Item(row["id"], {"text": row["text"]}) for row in map(json.loads, lines)]
        self.adapted: Any = lora.attach(self.base, AdapterConfig(last_layers=case.last_layers, dropout=DROPOUT), SEED)
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            for parameter in lora.b_parameters(self.adapted):
                parameter.data.normal_(0.0, 0.02)  # as after training: samples must differ
        self.adapted.eval()
        self.first_top_layer = lora.first_adapted_layer(self.base.model, AdapterConfig(last_layers=case.last_layers))
        encoded = self.encoder.encode(self.items)
        self.prompts = [list(one.prompt_ids) for one in encoded]
        self.answers = [ids[0] for ids in encoded[0].answer_ids]

    def ours(self, items: list[Item], num_samples: int, sampler: Any = None) -> NDArray[np.float64]:
        """Return log_probs_NKC by the engine; nothing is kept from run to run."""
        engine = Engine(self.base, self.encoder, self.first_top_layer, batch_tokens(ScoringConfig(), self.base))
        sampler = sampler or MergedSamples(self.adapted, DROPOUT, SEED)
        return engine.log_probs(items, sampler, list(range(num_samples)), "scoring")

    def padded(self, num_prompts: int | None = None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield ids and mask, 16 prompts at a time as they come, padded on the left, as generation scripts do.

        Args:
            num_prompts: How many; None is the case's ``num_slow``.
        """
        prompts = self.prompts[: num_prompts or self.case.num_slow]
        for begin in range(0, len(prompts), BATCH):
            part = prompts[begin : begin + BATCH]
            length = max(len(ids) for ids in part)
            ids_BT = torch.tensor([[0] * (length - len(ids)) + ids for ids in part])
            mask_BT = torch.tensor([[0] * (length - len(ids)) + [1] * len(ids) for ids in part])
            yield ids_BT, mask_BT

    def plain(self) -> NDArray[np.float64]:
        """Return log_probs_NC by one pass of the model with its adapter, whatever mode it is in: full logits."""
        found = []
        with torch.no_grad():
            for ids_BT, mask_BT in self.padded():
                logits_BTV = self.adapted(input_ids=ids_BT, attention_mask=mask_BT).logits
                found.append(torch.log_softmax(logits_BTV[:, -1, self.answers].double(), dim=-1).numpy())
        return np.concatenate(found)

    def peft(self) -> NDArray[np.float64]:
        """Return one Monte-Carlo sample as peft makes it: dropout modules in training mode, unmerged."""
        with TokenSamples(self.adapted, SEED).activate(0):
            return self.plain()

    def forward(self) -> NDArray[np.float64]:
        """Return one plain forward pass without an adapter."""
        with self.adapted.disable_adapter():
            return self.plain()

    def baal(self) -> NDArray[np.float64]:
        """Return one iteration of baal's ``predict_on_dataset``."""
        from baal.bayesian.dropout import patch_module, unpatch_module
        from baal.modelwrapper import ModelWrapper, TrainingArgs

        rows = [(torch.stack(pair), 0) for both in self.padded() for pair in zip(*both, strict=True)]
        patch_module(self.adapted)
        try:
            arguments = TrainingArgs(
                batch_size=BATCH, workers=0, use_cuda=False, replicate_in_memory=False, collate_fn=_together
            )
            wrapper = ModelWrapper(_Answers(self.adapted, self.answers), arguments)
            logits_NC1 = wrapper.predict_on_dataset(rows, iterations=1, verbose=False)
        finally:
            unpatch_module(self.adapted)
        return np.asarray(logits_NC1[..., 0], dtype=np.float64)


class _Answers(nn.Module):
    def __init__(self, model: nn.Module, answers: list[int]) -> None:
        super().__init__()
        self.model = model
        self.answers = answers

    def forward(self, both_B2T: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=both_B2T[:, 0], attention_mask=both_B2T[:, 1]).logits
        return logits[:, -1, self.answers]


def _together(rows: list[tuple[torch.Tensor, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    length = max(both.shape[1] for both, _ in rows)
    padded = [nn.functional.pad(both, (length - both.shape[1], 0)) for both, _ in rows]
    return torch.stack(padded), torch.zeros(len(rows))


def cpu_seconds(function: Callable[[], Any]) -> float:
    """Return what a function takes, in seconds of this process's CPU time."""
    begin = time.process_time()
    function()
    return time.process_time() - begin


def compare(clock: Clock, case: dict[str, Any], repetitions: int, with_baal: bool) -> dict[str, Any]:
    """Return every side's CPU seconds for N items and K samples (``forward``: one pass), a repetition each."""
    bench = Bench(Case(**case))
    # The others' passes are all alike: one over some of the items tells what K over all of them take, by the tokens.
    share = num_padded(bench, len(bench.prompts)) / num_padded(bench, bench.case.num_slow)
    sides: dict[str, tuple[Callable[[], Any], float]] = {
        "ours": (lambda: bench.ours(bench.items, bench.case.num_samples), 1.0),
        "peft": (bench.peft, share * bench.case.num_samples),
        "forward": (bench.forward, share),
    }
    if with_baal:
        sides["baal"] = (bench.baal, share * bench.case.num_samples)
    bench.ours(bench.items[:8], 1)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    with clock.running():
        for _ in range(repetitions):
            for name, (function, times) in sides.items():
                seconds[name].append(cpu_seconds(function) * times)
    return {"seconds": seconds, **facts(bench), "difference": difference(bench)}


def difference(bench: Bench) -> float:
    """Return the largest difference between ours and the slow computation for the same masks, in nats."""
    few = bench.items[: bench.case.num_slow // bench.encoder.rows_per_item]
    fast_NC = bench.ours(few, 1)[:, 0]
    with UnmergedSamples(bench.adapted, DROPOUT, SEED).activate(0):
        slow_NC = bench.plain()
    return float(np.abs(fast_NC - slow_NC).max())


def facts(bench: Bench) -> dict[str, float]:
    """Return token counts, operations of ours and of the plain loop, and what else ours spends time on."""
    begin = time.process_time()
    engine = Engine(bench.base, bench.encoder, bench.first_top_layer, batch_tokens(ScoringConfig(), bench.base))
    listing = engine._listing(bench.items)
    tokenise = time.process_time() - begin
    chunk = listing.chunk(0, len(listing.encoded), bench.encoder.scoring, engine.batch_tokens, packing=True)
    if chunk is None:
        raise ValueError("there are no items")
    tokens = chunk.prefix_length + sum(len(pack.ids) for batch in chunk.batches for pack in batch)
    layers = bench.base.model.get_decoder().layers
    weights = [_linear_weights(layer) for layer in layers]
    passes = [bench.case.num_samples if index >= bench.first_top_layer else 1 for index in range(len(layers))]
    sampler = MergedSamples(bench.adapted, DROPOUT, SEED)
    merge = cpu_seconds(lambda: _touch(sampler))
    padded = num_padded(bench, len(bench.prompts))
    head = bench.base.model.get_output_embeddings().weight.numel()
    return {
        "tokens": tokens,
        "prefix": chunk.prefix_length,
        "gflop": 2e-9 * tokens * sum(one * times for one, times in zip(weights, passes, strict=True)),
        "plain_gflop": 2e-9 * padded * bench.case.num_samples * (sum(weights) + _lora_weights(bench.adapted) + head),
        "tokenise_seconds": tokenise,
        "merge_seconds": merge * bench.case.num_samples,
        "matmul_gflops": matmul_rate(bench.base),
    }


def num_padded(bench: Bench, num_prompts: int) -> int:
    """Return the tokens of some prompts as the plain loop runs them."""
    return sum(ids_BT.numel() for ids_BT, _ in bench.padded(num_prompts))


def _touch(sampler: MergedSamples) -> None:
    with sampler.activate(0):
        pass


def _linear_weights(layer: nn.Module) -> int:
    kinds = [module for name, module in layer.named_modules() if isinstance(module, nn.Linear) and "lora_" not in name]
    return sum(module.weight.numel() for module in kinds)


def _lora_weights(adapted: nn.Module) -> int:
    return sum(parameter.numel() for name, parameter in adapted.named_parameters() if "lora_" in name)


def matmul_rate(base: BaseModel, num_tokens: int = 256, repetitions: int = 8) -> float:
    """Return GFLOP/s of plain matmuls of one layer's shapes, the best of some repetitions each."""
    seconds, operations = 0.0, 0
    layer = base.model.get_decoder().layers[-1]
    for name, module in layer.named_modules():
        if not isinstance(module, nn.Linear) or "lora_" in name:
            continue
        inputs = torch.randn(num_tokens, module.weight.shape[1])
        weight = module.weight.detach()
        seconds += min(cpu_seconds(partial(torch.mm, inputs, weight.T)) for _ in range(repetitions))
        operations += 2 * num_tokens * weight.numel()
    return operations / seconds / 1e9


def mask_correlation(clock: Clock, case: dict[str, Any]) -> dict[str, float]:
    """Return the rank correlation over items between K fixed masks and K draws of peft's own, by measure."""
    bench = Bench(Case(**case))
    with clock.running():
        fixed = bench.ours(bench.items, bench.case.num_samples)
        fresh = bench.ours(bench.items, bench.case.num_samples, TokenSamples(bench.adapted, SEED))
    return rank_correlations(fixed, fresh)


def precision_correlation(clock: Clock, case: dict[str, Any]) -> dict[str, float]:
    """Return the rank correlation over items between K samples in float32 and the same ones in bfloat16, by measure."""
    with clock.running():
        whole, half = (_by_dtype(Case(**case), dtype) for dtype in ("float32", "bfloat16"))
    return rank_correlations(whole, half)


def _by_dtype(case: Case, dtype: Literal["float32", "bfloat16"]) -> NDArray[np.float64]:
    bench = Bench(case, dtype)
    return bench.ours(bench.items, case.num_samples)


def rank_correlations(one_NKC: NDArray[np.float64], other_NKC: NDArray[np.float64]) -> dict[str, float]:
    """Return Spearman's correlation between two ways to compute log-probabilities, by measure."""
    from scipy.stats import spearmanr

    names = ("predictive_entropy", "bald")
    return {name: float(spearmanr(MEASURES[name](one_NKC), MEASURES[name](other_NKC)).statistic) for name in names}
