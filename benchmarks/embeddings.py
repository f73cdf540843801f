"""Which of a prompt's states are an item's embedding, and what the strategies that read embeddings gain by it.

    python -m benchmarks.embeddings --data FOLDER

SmolLM2-135M-Instruct without an adapter reads items of the TRAIN parts once, one at a time. First table: how often an
item's five nearest neighbours have its label, for means over different parts of the prompt, as they are and about
their mean. Second table: what a probe learns from the items that strategies pick (:mod:`benchmarks.embedding_picks`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from activelora.config import ModelConfig
from activelora.modeling.base import BaseModel, load_base
from activelora.modeling.encoding import Encoder
from activelora.modeling.own_tokens import OwnTokens
from benchmarks.embedding_picks import COLD, STRATEGIES, Drawn, curve, draws
from benchmarks.training_length import Rows

RESULT = Path(__file__).parent / "results" / "embeddings.md"
SETS = (("trec6", "never"), ("agnews", "never"), ("clinc150", "never"), ("trec6", "always"), ("clinc150", "always"))
"""Sets, and whether the chat template is around the prompt."""
MEANS = ("prompt", "item", "item_to_end", "after_item", "last")
BEFORE, NOW = ("prompt", False), ("after_item", True)
NUM_COMPARED, NEIGHBORS = 600, 5
Array = NDArray[np.float64]
States = dict[str, NDArray[np.float32]]


def states(base: BaseModel, rows: Rows, num: int) -> States:
    """Return the means over the parts of each prompt, (N, D) each, by the plain computation.

    Args:
        base: The model.
        rows: The set.
        num: N, items to read.
    """
    encoder = Encoder(base.tokenizer, rows.task)
    own_tokens = OwnTokens(encoder)
    found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in MEANS}
    for encoded in encoder.encode(rows.items(rows.rows[:num])):
        ids = encoded.prompt_ids
        with torch.no_grad():
            hidden_TD = base.model.get_decoder()(input_ids=torch.tensor([ids])).last_hidden_state[0].float().numpy()
        own, after = own_tokens.of(0, ids), own_tokens.after(0, ids)
        parts = (range(len(ids)), own, range(own.start, len(ids)), after, range(len(ids) - 1, len(ids)))
        for name, part in zip(MEANS, parts, strict=True):
            found[name].append(hidden_TD[part.start : part.stop].mean(axis=0))
    return {name: np.array(states_ND) for name, states_ND in found.items()}


def kept_states(base: BaseModel, rows: Rows, num: int, path: Path | None) -> States:
    """Return :func:`states`, from a file if they are in one, which is written otherwise."""
    if path is not None and path.exists():
        with np.load(path) as kept:
            return {name: kept[name] for name in MEANS}
    found = states(base, rows, num)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **found)  # type: ignore[arg-type]
    return found


def agreement(states_ND: NDArray[np.float32], labels_N: NDArray[np.int64], centered: bool) -> tuple[float, float]:
    """Return the mean cosine of two items, and the share of nearest neighbours by cosine that have the same label."""
    rows_ND = states_ND.astype(np.float64) - states_ND.mean(axis=0, dtype=np.float64) * centered
    rows_ND /= np.linalg.norm(rows_ND, axis=1, keepdims=True)
    cosines_NN = rows_ND @ rows_ND.T
    mean = float(cosines_NN[~np.eye(len(labels_N), dtype=np.bool_)].mean())
    np.fill_diagonal(cosines_NN, -np.inf)
    return mean, _same(-cosines_NN, labels_N)


def euclidean(states_ND: NDArray[np.float32], labels_N: NDArray[np.int64]) -> float:
    """Return the share of nearest neighbours by distance that have the same label."""
    rows_ND = states_ND.astype(np.float64) - states_ND.mean(axis=0, dtype=np.float64)
    squares_N = (rows_ND**2).sum(axis=1)
    distances_NN = squares_N[:, None] + squares_N[None] - 2.0 * rows_ND @ rows_ND.T
    np.fill_diagonal(distances_NN, np.inf)
    return _same(distances_NN, labels_N)


def _same(distances_NN: Array, labels_N: NDArray[np.int64]) -> float:
    nearest_Nk = np.argsort(distances_NN, axis=1, kind="stable")[:, :NEIGHBORS]
    return float((labels_N[nearest_Nk] == labels_N[:, None]).mean())


def neighbors_table(found: dict[tuple[str, str], tuple[States, NDArray[np.int64]]]) -> list[str]:
    """Return the first table's lines."""
    lines = [
        "| set | template | mean over | cosine | same label | cosine, centred | same label, centred | by distance |"
    ]
    lines += ["| --- |" * 1 + " --- |" * 7]
    for (task, template), (means, labels_N) in found.items():
        for name in MEANS:
            states_ND, told_N = means[name][:NUM_COMPARED], labels_N[:NUM_COMPARED]
            raw, centered = (agreement(states_ND, told_N, about_mean) for about_mean in (False, True))
            values = [*raw, *centered, euclidean(states_ND, told_N)]
            cells = [task, template, f"`{name}`", *(f"{value:.3f}" for value in values)]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def picks_table(
    found: dict[tuple[str, str], tuple[States, NDArray[np.int64]]], options: argparse.Namespace
) -> list[str]:
    """Return the second table's lines: mean accuracy over the rounds, before and now, and the paired difference."""
    lines = ["| set | strategy | random | before | now | now − before (points) | now − random (points) |"]
    lines += ["|" + " --- |" * 7]
    for (task, template), (means, labels_N) in found.items():
        if template == "always":
            continue
        drawn = draws(len(labels_N), options.pool, options.test, options.seeds)
        probe_ND = means["last"]
        random_S = _areas("random", (probe_ND, False), probe_ND, labels_N, drawn)
        for strategy in STRATEGIES:
            before_S, now_S = (
                _areas(strategy, (means[name], centers), probe_ND, labels_N, drawn) for name, centers in (BEFORE, NOW)
            )
            areas = [f"{areas_S.mean():.3f}" for areas_S in (random_S, before_S, now_S)]
            cells = [task, f"`{strategy}`", *areas, _difference(now_S - before_S), _difference(now_S - random_S)]
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    return lines


def _areas(
    strategy: str,
    reads: tuple[NDArray[np.float32], bool],
    probe_ND: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    drawn: list[Drawn],
) -> Array:
    return np.array([curve(strategy, *reads, probe_ND, labels_N, one).mean() for one in drawn])


def _difference(differences_S: Array) -> str:
    """Return the mean and its 95 % interval by the paired t-test over the seeds, in points."""
    from scipy import stats

    mean, error = differences_S.mean(), differences_S.std(ddof=1) / np.sqrt(len(differences_S))
    reach = float(stats.t.ppf(0.975, len(differences_S) - 1)) * error
    return f"{100 * mean:+.1f} ({100 * (mean - reach):+.1f} to {100 * (mean + reach):+.1f})"


_HEAD = """# Embeddings of items

    {command}

SmolLM2-135M-Instruct without an adapter, TRAIN parts, thirty intents of CLINC150. `item` is the item's own tokens,
`after_item` what follows them in the prompt, `item_to_end` both, `last` the last token, `prompt` all. Centred: about
the mean of all items.

## Whose neighbours have the same label

{compared} items; the mean cosine of two items, and the share of the five nearest neighbours that have the item's label,
by cosine and by Euclidean distance. `template`: whether the model's chat template is around the prompt.
"""
_PICKS = """
## What a probe learns from the picks

Mean accuracy after 25, 50 and 75 picks of a logistic regression on the last tokens' states, the same probe whatever the
strategy reads: no adapter is trained. Before: the mean over the prompt, not centred. Now: over what follows the item,
centred. {seeds} pools of {pool}, the same {test} items judge them all: the intervals (paired t over the pools, 95 %)
are of the draw of the pool, and pools overlap. {cold} pick from the first
round on; the others begin with a random batch.
"""


def main() -> None:
    """Measure, print both tables and write them down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embeddings", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with TASK/train.jsonl")
    parser.add_argument(
        "--sets", default=",".join(f"{task}:{template}" for task, template in SETS), help="SET:TEMPLATE"
    )
    parser.add_argument("--items", type=int, default=1200, help="items of each set")
    parser.add_argument("--pool", type=int, default=400, help="items of a pool")
    parser.add_argument("--test", type=int, default=400, help="items to judge by")
    parser.add_argument("--seeds", type=int, default=20, help="pools that are drawn")
    parser.add_argument("--keep", type=Path, help="folder for the model's states, so that they are not computed again")
    options = parser.parse_args()
    base, found = load_base(ModelConfig()), {}
    for task, template in (one.split(":") for one in options.sets.split(",")):
        rows = Rows.read(options.data, task)
        rows = Rows(rows.task.model_copy(update={"chat_template": template}), rows.names, rows.rows)
        num = options.items if template == "never" else min(options.items, NUM_COMPARED)
        kept = options.keep and options.keep / f"{task}-{template}-{num}.npz"
        found[task, template] = (kept_states(base, rows, num, kept), rows.labels(rows.rows[:num]))
    told = "".join(f" --{name} {getattr(options, name)}" for name in ("items", "pool", "test", "seeds"))
    head = _HEAD.format(command=f"python -m benchmarks.embeddings --data FOLDER{told}", compared=NUM_COMPARED)
    cold = ", ".join(f"`{name}`" for name in COLD)
    second = _PICKS.format(seeds=options.seeds, pool=options.pool, test=options.test, cold=cold)
    page = "\n".join([head, *neighbors_table(found), second, *picks_table(found, options), ""])
    RESULT.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
