"""Golden selections: the same items, in the same order, for the same seeds as when the goldens were taken.

A golden is a digest of the ids that a tiny campaign picks in a round, in order: one campaign for each adapter method,
strategy and kind of task. Scores are left out, since their last bits differ from processor to processor; ids are hashes
of the items' content, so no path, time or machine is in a golden.

Compare by hand, with any number of threads, or take the goldens anew after a change that is meant to pick others::

    python -m tests.test_golden_selections --check [--threads 2] [CASE ...]
    python -m tests.test_golden_selections --write [CASE ...]

Other rounding can be tried on one machine: ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE.

`--write` runs every case with one thread and with two, in different folders, and refuses a case whose picks are not the
same: such a case hangs on rounding, and needs another seed. Say in the commit why picks are meant to differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import pytest

from activelora.acquisition.registry import STRATEGIES
from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import next_plan
from activelora.campaign.manifest import Unit
from activelora.modeling.methods.registry import METHODS
from components.entry import run_unit
from tests.pipelines.tiny import LABELS, WORDS, tiny_config

GOLDENS = Path(__file__).with_name("golden_selections.json")
NUM_ROUNDS = 3
DIGEST_DIGITS = 16

ADAPTERS = {
    "lora": {},
    "ensemble": {"ensemble": {"members": 3}},
    "blob": {"blob": {"initial_std": 0.05}},
    "laplace": {},
    "tfb": {"tfb": {"std": 0.3}},
    "c_lora": {"dropout": 0.0, "c_lora": {"width": 8, "learning_rate": 0.05}},
}

VARIANTS = {
    "star_by_rank": {"strategy": "star", "scaling": "rank"},
    "exact_gradients": {"strategy": "expected_gradient_length", "gradient": "adapter"},
    "hybrid_then_badge": {"strategy": "hybrid", "then": "badge"},
    "exploration_and_floor": {"strategy": "entropy", "batch_size": 6, "exploration": 0.4, "per_class_floor": 1},
}

KINDS = {
    "yes_no": ({"prompt": "{text} ?"}, {}, lambda index: ("yes", "no")[index % 2]),
    "multiple_choice": (
        {"prompt": "{text}\n{choices}\nAnswer:", "answer": "letters"},
        {},
        lambda index: index % 2,
    ),
    "multiple_choice_text": (
        {"kind": "multiple_choice", "prompt": "{text}\nAnswer:", "answer": "text"},
        {},
        lambda index: index % 2,
    ),
    "multi_label": (
        {"prompt": "{text}\nIs it {label} ?", "labels": LABELS},
        {},
        lambda index: [name for place, name in enumerate(LABELS) if index >> place & 1],
    ),
    "regression": (
        {"prompt": "{text} is", "minimum": 0, "maximum": 12},
        {"measure": "epistemic_variance"},
        lambda index: index % 13,
    ),
    "generation": (
        {"prompt": "{text} is", "max_answer_tokens": 6},
        {"measure": "token_entropy"},
        lambda index: f"{index} + 1\n#### {index + 1}",
    ),
    "generation_by_meaning": (
        {"kind": "generation", "prompt": "{text} is", "max_answer_tokens": 6},
        {"strategy": "uncertainty", "measure": "likelihood_semantic_entropy"},
        lambda index: f"{index} + 1\n#### {index + 1}",
    ),
}

CASES = [
    *(f"adapter-{name}" for name in ADAPTERS),
    *(f"strategy-{name}" for name in sorted(STRATEGIES)),
    *(f"variant-{name}" for name in VARIANTS),
    *(f"kind-{name}" for name in KINDS),
]
QUICK = {
    *(f"adapter-{name}" for name in ADAPTERS),
    "strategy-batch_bald",
    "variant-exploration_and_floor",
    "kind-regression",
}


def sections_of(case, folder):
    """Return what a case changes in the tiny campaign's settings. Writes the pool of a kind of task."""
    group, name = case.split("-", 1)
    adapter = {"rank": 2, "dropout": 0.3}
    acquisition = {"batch_size": 4, "prefilter_factor": 3, "initial": "strategy"}
    sections = {
        "adapter": adapter,
        "acquisition": acquisition,
        "training": {"min_steps": 0, "warmup_fraction": 0.0, "epochs": 3, "batch_size": 4, "learning_rate": 0.01},
        "scoring": {"num_samples": 4},
        "stopping": {"max_rounds": NUM_ROUNDS},
    }
    if group == "adapter":
        adapter |= {"method": name, **ADAPTERS[name]}
        acquisition |= {"strategy": "star"}
    elif group == "strategy":
        acquisition |= {"strategy": name}
    elif group == "variant":
        acquisition |= VARIANTS[name]
    else:
        task, choice, label_of = KINDS[name]
        acquisition |= {"strategy": "star", **choice}
        sections["task"] = {"kind": name, "chat_template": "never", **task}
        sections["data"] = {
            "folder": str(folder),
            "pool": {"path": write_rows(folder, label_of).name},
            "holdout_size": 10,
            "shard_rows": 20,
        }
    return sections


def write_rows(folder, label_of, num_rows=40):
    """Write a pool that is labelled for some kind of task; only one of choices reads the choices."""
    rows = [
        {
            "text": f"{WORDS[index % 10]} or {WORDS[index * 7 // 5 % 10]} {index}",
            "choices": WORDS[: 2 + index % 3],
            "label": label_of(index),
        }
        for index in range(num_rows)
    ]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def selections(case, folder, model_path):
    """Run a case's campaign in an empty folder and return a digest of each round's picks."""
    config = tiny_config(folder, model_path, **sections_of(case, folder))
    campaign = Campaign.create(str(folder / "campaign"), config)
    run_to_the_last_selection(campaign)
    return [digest(picked(campaign, round_)) for round_ in range(NUM_ROUNDS)]


def run_to_the_last_selection(campaign):
    """Do what an engine does, without the report, whose plots take most of a tiny campaign's time."""
    last = Unit("select_batch", NUM_ROUNDS - 1)
    while campaign.manifest(last) is None:
        for unit in next_plan(campaign).units:
            assert run_unit(campaign, unit) is not None


def picked(campaign, round_):
    table = campaign.read_table(campaign.require(Unit("select_batch", round_)), "selection.parquet")
    rows = sorted(table.to_pylist(), key=lambda row: row["position"])
    assert len(rows) == campaign.config.acquisition.batch_size
    return [row["item_id"] for row in rows]


def digest(item_ids):
    return hashlib.sha256("\n".join(item_ids).encode()).hexdigest()[:DIGEST_DIGITS]


def read_goldens():
    return json.loads(GOLDENS.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_the_same_items_are_picked_as_ever(tmp_path, tiny_model_path, case):
    assert selections(case, tmp_path, tiny_model_path) == read_goldens()[case]


def test_every_built_in_part_has_a_golden():
    assert set(read_goldens()) == set(CASES)
    assert set(METHODS) == set(ADAPTERS)


def test_goldens_tell_adapters_and_strategies_apart():
    """One that ignored its adapter or its strategy would pick another's items."""
    goldens = {case: tuple(found) for case, found in read_goldens().items()}
    adapters = [goldens[f"adapter-{name}"][1:] for name in ADAPTERS]
    assert len(set(adapters)) == len(adapters)
    for name, other in (("uncertainty", "entropy"), ("consensus_kl", "bald")):  # by their formulas
        assert goldens[f"strategy-{name}"] == goldens[f"strategy-{other}"]
    assert len({goldens[f"strategy-{name}"] for name in STRATEGIES}) == len(STRATEGIES) - 2


def run_apart(case, num_threads, model_path):
    """Run a case in a folder of its own with a number of threads."""
    import torch

    torch.set_num_threads(num_threads)
    with tempfile.TemporaryDirectory() as folder:
        return selections(case, Path(folder), model_path)


def main():
    from tests.tiny_model import write_tiny_model

    parser = argparse.ArgumentParser(description="Compare or write golden selections.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="name the cases that pick other items")
    action.add_argument("--write", action="store_true", help="write the goldens of the cases")
    parser.add_argument("--threads", type=int, default=1, help="for --check")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="cases; none means all")
    arguments = parser.parse_args()
    if unknown := set(arguments.cases) - set(CASES):
        parser.error(f"there is no case {sorted(unknown)[0]}; there are {', '.join(CASES)}")
    goldens = read_goldens() if GOLDENS.exists() else {}
    bad = []
    with tempfile.TemporaryDirectory() as folder:
        model_path = write_tiny_model(Path(folder))
        for case in arguments.cases or CASES:
            found = run_apart(case, arguments.threads if arguments.check else 1, model_path)
            expected = goldens.get(case) if arguments.check else run_apart(case, 2, model_path)
            print(f"{case}: {'same' if found == expected else f'{found} and {expected} differ'}", flush=True)
            if found != expected:
                bad.append(case)
            elif arguments.write:
                goldens[case] = found
                kept = {case: goldens[case] for case in CASES if case in goldens}
                GOLDENS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    raise SystemExit(f"not the same: {', '.join(bad)}" if bad else 0)


if __name__ == "__main__":
    main()
