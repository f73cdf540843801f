#!/usr/bin/env bash
# Dawid-Skene turns unanimous votes round, where annotators have used one label only.
#
# crowd-kit 1.4.2 (https://github.com/Toloka/crowd-kit), crowdkit.aggregation.DawidSkene.
# Item t0 was called `b` by three annotators, and nobody said anything else of it; t1 and t2 `a` by one of them; t3 `b`
# by a fourth, alone. All answers agree, so any label model should give them back, as MajorityVote does. DawidSkene gives
# t3 the label `a`, which nobody gave it: an annotator with answers of one kind only has a confusion matrix that says
# nothing about the other kind, the prior decides, and rows without any answer are filled without smoothing. With two
# annotators of one answer each, both items get the same label.
source "$(dirname "$0")/lib.sh"
environment crowd-kit==1.4.2
program_prints "four annotators: {'t0': 'b', 't1': 'a', 't2': 'a', 't3': 'a'}
majority:        {'t0': 'b', 't1': 'a', 't2': 'a', 't3': 'b'}
two annotators:  {'t0': 'b', 't1': 'b'}" <<'PYTHON'
import pandas as pd
from crowdkit.aggregation import DawidSkene, MajorityVote

NAMES = ["task", "worker", "label"]


def labels(model, answers):
    found = model.fit_predict(pd.DataFrame(answers, columns=NAMES))
    return dict(sorted(found.to_dict().items()))


answers = [("t0", "x", "b"), ("t0", "y", "b"), ("t0", "w", "b"), ("t1", "x", "a"), ("t2", "x", "a"), ("t3", "z", "b")]
print("> four annotators:", labels(DawidSkene(n_iter=100), answers))
print("> majority:       ", labels(MajorityVote(), answers))
print("> two annotators: ", labels(DawidSkene(n_iter=100), [("t0", "y", "b"), ("t1", "z", "a")]))
PYTHON
