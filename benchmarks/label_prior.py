"""How far the label prior of few items may be believed, and where it does harm: the untrained model's answers.

    python -m benchmarks.label_prior --data FOLDER

The model answers items of the TRAIN parts once. Then the prior is estimated from n of them, drawn anew each time, and
divided out to the power n / (n + n0); the accuracy and NLL on the others are the mean over the draws. n0 is chosen on
AG News, SST-2 and ten intents of CLINC150 by the NLL, and TREC-6 judges. The second table draws pools in which one
label is most: there a prior correction takes the labels' true shares for the model's bias.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from activelora.campaign.records import Item
from activelora.config import CampaignConfig
from activelora.config.file import parse_config
from activelora.scoring.predict import Predictor
from activelora.uncertainty import label_prior

RESULT = Path(__file__).parent / "results" / "label-prior.md"
PROMPTS = {
    "agnews": "News: {text}\nTopic:",
    "sst2": "Review: {text}\nSentiment:",
    "clinc150": "Request: {text}\nIntent:",
    "trec6": "Question: {text}\nAnswer type:",
}
WORDS = {"Sci/Tech": "technology"}
NUM_INTENTS = 10
SIZES = (3, 5, 10, 20, 50, 100, 200)
STRENGTHS = (0, 1, 2, 3, 5, 10, 20)
TOLD = (3, 20, 200)
POOL = 200
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
Array = NDArray[np.float64]
_HEAD = """# The label prior of an untrained model

    {command}

SmolLM2-135M-Instruct, TRAIN parts. The power n / (n + n0) is chosen on the first three sets; TREC-6 judges.
"""


def answers(folder: Path, task: str, num: int) -> tuple[Array, NDArray[np.int64]]:
    """Return the untrained model's log_probs_NC of the first items of a TRAIN part, and their labels_N."""
    rows = [json.loads(line) for line in (folder / task / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    names = list(dict.fromkeys(row["label_name"] for row in sorted(rows, key=lambda row: row["label"])))
    if task == "clinc150":
        names = sorted(names)[:: len(names) // NUM_INTENTS][:NUM_INTENTS]
    rows = [row for row in rows if row["label_name"] in names]
    rows = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))[:num]]
    words = [WORDS.get(name, name).lower().replace("_", " ") for name in names]
    items = [Item(row["id"], {"text": row["text"]}) for row in rows]
    with Predictor.of(_config(PROMPTS[task], words), None, 0) as predictor:
        log_probs_NC = predictor.log_probs(items, 0, task)[:, 0]
    return log_probs_NC, np.array([names.index(row["label_name"]) for row in rows])


def _config(prompt: str, labels: list[str]) -> CampaignConfig:
    task = {"kind": "classification", "prompt": prompt, "labels": labels, "chat_template": "never"}
    task["max_prompt_tokens"] = 112  # type: ignore[assignment]
    document = {
        "name": "label-prior",
        "task": task,
        "data": {"pool": {"path": "-"}},
        "resources": {"trunk_cache_gb": 0},
    }
    return parse_config(document, where="benchmark", is_frozen=True)


def measured(log_probs_NC: Array, labels_N: NDArray[np.int64]) -> tuple[float, float]:
    """Return accuracy and NLL."""
    right_N = log_probs_NC.argmax(axis=1) == labels_N
    return float(right_N.mean()), float(-log_probs_NC[np.arange(len(labels_N)), labels_N].mean())


def by_size(log_probs_NC: Array, labels_N: NDArray[np.int64], draws: int) -> dict[tuple[int, int], tuple[float, float]]:
    """Return accuracy and NLL for each n and n0."""
    found = {}
    for size in SIZES:
        found_at: dict[int, list[tuple[float, float]]] = {strength: [] for strength in STRENGTHS}
        for draw in range(draws):
            drawn = np.random.default_rng([size, draw]).permutation(len(labels_N))
            prior_C = label_prior.estimate_prior(log_probs_NC[drawn[:size], None])
            rest = drawn[size:]
            for strength in STRENGTHS:
                flat_C = label_prior.shrunk(prior_C, size, strength)
                fixed_NC = label_prior.correct(log_probs_NC[rest, None], flat_C)[:, 0]
                found_at[strength].append(measured(fixed_NC, labels_N[rest]))
        for strength in STRENGTHS:
            found[size, strength] = tuple(np.mean(found_at[strength], axis=0))
    return found


def lopsided(
    log_probs_NC: Array, labels_N: NDArray[np.int64], share: float, draws: int
) -> tuple[float, float, float, float]:
    """Return accuracy and NLL without and with the correction in pools of POOL items, one label having a share.

    Every label is the largest in turn.
    """
    rows: list[tuple[float, float, float, float]] = []
    for largest in range(log_probs_NC.shape[1]):
        own, others = np.flatnonzero(labels_N == largest), np.flatnonzero(labels_N != largest)
        for draw in range(draws):
            generator = np.random.default_rng([largest, draw])
            chosen = [generator.choice(own, round(share * POOL)), generator.choice(others, POOL - round(share * POOL))]
            pool_N = np.concatenate(chosen)
            prior_C = label_prior.shrunk(label_prior.estimate_prior(log_probs_NC[pool_N, None]), POOL)
            fixed_NC = label_prior.correct(log_probs_NC[pool_N, None], prior_C)[:, 0]
            rows.append((*measured(log_probs_NC[pool_N], labels_N[pool_N]), *measured(fixed_NC, labels_N[pool_N])))
    return tuple(np.mean(rows, axis=0))


def main() -> None:
    """Measure, print both tables and write them down."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.label_prior", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with TASK/train.jsonl")
    parser.add_argument("--items", type=int, default=700, help="items of each set")
    parser.add_argument("--draws", type=int, default=40, help="draws of each size and share")
    options = parser.parse_args()
    said = {task: answers(options.data, task, options.items) for task in PROMPTS}
    command = f"python -m benchmarks.label_prior --data FOLDER --items {options.items} --draws {options.draws}"
    page = "\n".join(
        [_HEAD.format(command=command), *_sizes(said, options.draws), "", *_shares(said, options.draws), ""]
    )
    RESULT.write_text(page, encoding="utf-8")
    print(page)


def _sizes(said: dict[str, tuple[Array, NDArray[np.int64]]], draws: int) -> list[str]:
    lines = ["## Few items", "", "NLL (nats), mean over draws.", ""]
    lines += [
        "| n0 | " + " | ".join(f"{task}, n = {size}" for task in said for size in TOLD) + " | mean of the first three |"
    ]
    lines += ["| --- |" + " --- |" * (len(said) * len(TOLD) + 1)]
    found = {task: by_size(*pair, draws) for task, pair in said.items()}
    for strength in STRENGTHS:
        cells = [found[task][size, strength][1] for task in said for size in TOLD]
        mean = np.mean([found[task][size, strength][1] for task in list(said)[:3] for size in SIZES])
        lines.append(f"| {strength} | " + " | ".join(f"{cell:.3f}" for cell in cells) + f" | {mean:.3f} |")
    return lines


def _shares(said: dict[str, tuple[Array, NDArray[np.int64]]], draws: int) -> list[str]:
    lines = ["## Lopsided pools", "", f"Accuracy without → with the correction, {POOL} items.", ""]
    lines += ["| largest label's share | " + " | ".join(said) + " |", "| --- |" + " --- |" * len(said)]
    for share in SHARES:
        cells = [lopsided(*pair, share, draws) for pair in said.values()]
        lines.append(f"| {share:.0%} | " + " | ".join(f"{cell[0]:.3f} → {cell[2]:.3f}" for cell in cells) + " |")
    return lines


if __name__ == "__main__":
    main()
