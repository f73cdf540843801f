"""What labels of preferences are worth by how they are picked: a simulation with a log-linear model in place of DPO.

    python -m benchmarks.preference_search --data FOLDER --out FOLDER

FOLDER holds `trec6/train.jsonl` and `trec6/test.jsonl`, lines with `id`, `text`, `label_name`. No data set of
people's preferences is read: a pair is an item's text with its right label and a wrong one, drawn at random and in
random order, as answers. SmolLM2-135M-Instruct, without an adapter, reads all pairs once. A logistic regression without
intercept on what the answers' states differ by is fitted to the labels so far: the log-linear policy that d_optimal is
derived for. Round 0 is a random draw, the same for all strategies of a seed; every further batch is picked by the
strategy's own code. The regression's strength was chosen with random draws alone. What DPO does with the labels,
campaigns have to show.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.registry import get_strategy, own_settings
from activelora.acquisition.strategy import ScoredPool, SelectionContext
from activelora.campaign.records import Item
from activelora.config import AcquisitionConfig
from activelora.config.file import parse_config
from activelora.scoring.predict import Predictor
from activelora.uncertainty.measures import MEASURES

RESULTS = Path(__file__).parent / "results"
PROMPTS = {"trec6": "Question: {text}\nIt asks for:"}
NUM_POOL, NUM_TEST, BATCH, ROUNDS = 1200, 500, 20, 8
INVERSE_STRENGTH = 1.0
ARMS: dict[str, dict[str, object]] = {
    "random": {"strategy": "random"},
    "entropy (and margin)": {"strategy": "entropy"},
    "badge": {"strategy": "badge"},
    "d_optimal": {"strategy": "d_optimal"},
    "d_optimal, ridge 0.1": {"strategy": "d_optimal", "d_optimal": {"ridge": 0.1}},
    "d_optimal, ridge 10": {"strategy": "d_optimal", "d_optimal": {"ridge": 10.0}},
}
Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
_HEAD = """# Picking preferences

    python -m benchmarks.preference_search --data FOLDER --out FOLDER

Accuracy on {tests} held-out pairs by labels, mean over {seeds} seeds (standard error), batches of {batch} out of {pool}
pairs; and the mean difference from `random` over all rounds but the first, seed by seed. Round 0 is the same
random draw for all. With two answers, `margin` and `least_confidence` rank as `entropy` does.

This is no data set of people's preferences: a pair is a text of a labelled set with its right label and a wrong one as
answers. And it is a simulation: a logistic regression on what the answers' states differ by under
SmolLM2-135M-Instruct, without an adapter, in place of one trained by DPO. That is the log-linear model that `d_optimal`
is derived for. `ridge` is 1 by default, set before these runs.
"""


def pairs(folder: Path, split: str, num: int) -> tuple[list[Item], Bools]:
    """Return pairs of answers and whether the first one is the better."""
    rows = [json.loads(line) for line in (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
    labels = sorted({row["label_name"] for row in rows})
    rng = np.random.default_rng(0)
    items, firsts = [], []
    for index in rng.permutation(len(rows))[:num]:
        row = rows[index]
        wrong = rng.choice([label for label in labels if label != row["label_name"]])
        first = bool(rng.integers(2))
        one, two = (row["label_name"], wrong) if first else (wrong, row["label_name"])
        items.append(Item(row["id"], {"text": row["text"], "first": one, "second": two}))
        firsts.append(first)
    return items, np.array(firsts)


def differences(data: Path, out: Path, name: str) -> tuple[Floats, Bools, Floats, Bools]:
    """Return what the answers' states differ by and which one is better, of pool and test; kept in a folder."""
    (pool, firsts_N), (test, firsts_M) = pairs(data / name, "train", NUM_POOL), pairs(data / name, "test", NUM_TEST)
    kept = out / f"{name}.npy"
    if not kept.exists():
        document = {
            "name": name,
            "task": {"kind": "preference", "prompt": PROMPTS[name], "chat_template": "never"},
            "data": {"pool": {"path": "pool.jsonl"}},
            "model": {"base": "smollm2-135m-instruct"},
            "resources": {"trunk_cache_gb": 0},
        }
        with Predictor.of(parse_config(document, where="benchmark"), None, 0) as predictor:
            _, both_ND = predictor.of_differences().log_probs_and_embeddings([*pool, *test], 0, name)
        out.mkdir(parents=True, exist_ok=True)
        np.save(kept, both_ND)
    both_ND = np.load(kept)
    both_ND /= np.sqrt(np.square(both_ND[: len(pool)]).mean())
    return both_ND[: len(pool)], firsts_N, both_ND[len(pool) :], firsts_M


def search(acquisition: AcquisitionConfig, read: tuple[Floats, Bools, Floats, Bools], seed: int) -> tuple[float, ...]:
    """Return the accuracy on the test's pairs after each batch."""
    points_ND, firsts_N, tests_MD, firsts_M = read
    strategy, accuracies = get_strategy(acquisition.strategy), []
    known = np.random.default_rng(seed).permutation(len(points_ND))[:BATCH]
    for round_ in range(ROUNDS):
        probs_NC, probs_MC = fitted(points_ND[known], firsts_N[known], points_ND, tests_MD)
        accuracies.append(float(((probs_MC[:, 0] > 0.5) == firsts_M).mean()))
        free = np.setdiff1d(np.arange(len(points_ND)), known)
        measures = {name: one(np.log(np.maximum(probs_NC[free], 1e-12))[:, None]) for name, one in MEASURES.items()}
        pool = ScoredPool(
            tuple(f"{index:06d}" for index in free),
            measures,
            measures,
            probs_NC[free],
            ("first", "second"),
            labeled_probs_LC=probs_NC[known],
            features_ND=points_ND[free],
            labeled_features_LD=points_ND[known],
        )
        settings = own_settings(strategy, acquisition)
        context = SelectionContext(1000 * seed + round_, round_ + 1, ROUNDS, acquisition, None, settings)
        known = np.concatenate([known, free[[pick.index for pick in strategy.picks(pool, BATCH, context)]]])
    return tuple(accuracies)


def fitted(points_LD: Floats, firsts_L: Bools, *others: Floats) -> list[Array]:
    """Return P(first ≻ second) and its complement of other pairs, by a logistic regression on labelled ones.

    Each is fitted both ways round, as without an intercept it can be: so there are always two classes.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=INVERSE_STRENGTH / 2, fit_intercept=False, max_iter=1000)
    model.fit(np.concatenate([points_LD, -points_LD]), np.concatenate([firsts_L, ~firsts_L]))
    return [model.predict_proba(points_MD)[:, ::-1] for points_MD in others]


def page(found: dict[str, dict[str, list[tuple[float, ...]]]], seeds: int) -> str:
    """Return the tables."""
    lines = [_HEAD.format(tests=NUM_TEST, seeds=seeds, batch=BATCH, pool=NUM_POOL)]
    for name, arms in found.items():
        labels = [str(BATCH * (round_ + 1)) for round_ in range(ROUNDS)]
        lines += [f"## {name}", "", f"| strategy | {' | '.join(labels)} | − random |"]
        lines.append(f"| --- |{' ---: |' * (ROUNDS + 1)}")
        control = np.array(arms["random"])
        for arm, runs in arms.items():
            values, gains_S = np.array(runs), (np.array(runs) - control)[:, 1:].mean(axis=1)
            means, errors = values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))
            cells = [f"{mean:.3f} ({error:.3f})" for mean, error in zip(means, errors, strict=True)]
            error = gains_S.std(ddof=1) / np.sqrt(len(gains_S))
            lines.append(f"| {arm} | {' | '.join(cells)} | {gains_S.mean():+.3f} ({error:.3f}) |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the table and its numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of trec6")
    parser.add_argument("--out", type=Path, required=True, help="folder for what the model reads")
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds")
    parser.add_argument("--arms", nargs="*", default=list(ARMS), help="strategies")
    arguments = parser.parse_args()
    found = {}
    for name in PROMPTS:
        read = differences(arguments.data, arguments.out, name)
        found[name] = {
            arm: [search(AcquisitionConfig.model_validate(ARMS[arm]), read, seed) for seed in range(arguments.seeds)]
            for arm in arguments.arms
        }
        print(page({name: found[name]}, arguments.seeds), flush=True)
    if set(arguments.arms) == set(ARMS):
        (RESULTS / "preference-search.json").write_text(json.dumps(found) + "\n", encoding="utf-8")
        (RESULTS / "preference-search.md").write_text(page(found, arguments.seeds), encoding="utf-8")


if __name__ == "__main__":
    main()
