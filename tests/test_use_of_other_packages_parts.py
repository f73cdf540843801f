"""Parts of another package that fail where the engine uses them: told with part, package, file and line."""

import json
import re

import pytest

from tests.labeling.conftest import LABELS, write_rows
from tests.other_packages import declare_package, said_by

PACKAGE = '''
from contextlib import contextmanager

from pydantic import field_validator

from activelora.config import Section
from activelora.errors import LabelError
from activelora.evaluation.headline import ACCURACY
from activelora.evaluation.judges import ChoiceJudge
from activelora.kinds.classification.task import Classification
from activelora.modeling.posterior import AdapterMethod, Fit
from activelora.tasks.task import Kind
from activelora.uncertainty.measures import MEASURES

LABELS = ("entity", "human", "number")


def boom(*arguments, **options):
    raise ZeroDivisionError("boom")


def stop(*arguments):
    raise KeyboardInterrupt


def no_label(task, raw, item):
    raise LabelError("words of the package itself")


def made(kind, **methods):
    """Return what makes a classification with other methods."""
    return lambda config: type("Made", (Classification,), methods)(config, globals()[f"{kind}_kind"], LABELS)


def judge(**methods):
    """Return what makes a judge with other methods; it gets the package's own task, not one that is like it."""

    def make(task):
        assert isinstance(task, Classification)
        return type("Judging", (ChoiceJudge,), methods)(task)

    return make


TASKS = {
    "fine": {},
    "parse_raises": {"parse_label": boom},
    "parse_none": {"parse_label": lambda task, raw, item: None},
    "parse_refuses": {"parse_label": no_label},
    "parse_stops": {"parse_label": stop},
    "reading_raises": {"reading": property(boom)},
    "queries_text": {"queries": lambda task, item: 3},
}
JUDGES = {
    "evaluate_raises": {"evaluate": boom},
    "evaluate_list": {"evaluate": lambda judge, *arguments: []},
    "evaluate_empty": {"evaluate": lambda judge, *arguments: {}},
    "evaluate_other": {"evaluate": lambda judge, *arguments: {"metrics": {"nix": 1.0}, "intervals": {}}},
    "predictions_none": {"predictions": lambda judge, *arguments: None},
    "conformal_raises": {"conformal": boom},
    "conformal_list": {"conformal": lambda judge, *arguments: []},
    "conformal_odd": {"conformal": lambda judge, *arguments: (1,)},
    "judge_fine": {},
}
for name in (*TASKS, *JUDGES):
    globals()[f"{name}_maker"] = made(name, **TASKS.get(name, {}))
    globals()[f"{name}_judge"] = judge(**JUDGES.get(name, {}))
    globals()[f"{name}_kind"] = Kind(
        name=name,
        summary="of another package",
        implementation=f"wrong:{name}_maker",
        judge=f"wrong:{name}_judge",
        headline=ACCURACY,
        measures=tuple(MEASURES),
        answers=("words", "text"),
        fixed_labels=lambda config: LABELS,
    )


class Odd(Section):
    share: int = 1

    @field_validator("share")
    @classmethod
    def check(cls, value):
        return 1 // (value - 2)


def method(name, fit=None, load=None, **declared):
    class Implementation:
        pass

    def usual():
        from activelora.modeling.methods.mc_dropout import McDropout

        return McDropout

    Implementation.fit = staticmethod(fit or (lambda job: usual().fit(job)))
    Implementation.load = staticmethod(load or (lambda folder, setting: usual().load(folder, setting)))
    globals()[f"{name}_implementation"] = Implementation
    return AdapterMethod(name, "of another package", f"wrong:{name}_implementation", **declared)


def posterior(predict):
    @contextmanager
    def load(folder, setting):
        yield type("Posterior", (), {"predict": predict})()

    return load


@contextmanager
def left_wrongly(folder, setting):
    from activelora.modeling.methods.mc_dropout import McDropout

    with McDropout.load(folder, setting) as found:
        yield found
    boom()


def half(posterior, engine, items, *arguments):
    from activelora.modeling.posterior import Prediction
    import numpy as np

    return Prediction(np.zeros((len(items), 3)))


METHODS = {
    "method_fine": method("method_fine"),
    "fit_raises": method("fit_raises", boom),
    "fit_none": method("fit_none", lambda job: None),
    "fit_nothing": method("fit_nothing", lambda job: Fit([])),
    "fit_odd": method("fit_odd", lambda job: Fit([1.0], details={"odd": object()})),
    "load_raises": method("load_raises", load=boom),
    "load_none": method("load_none", load=lambda folder, setting: None),
    "left_wrongly": method("left_wrongly", load=left_wrongly),
    "predict_raises": method("predict_raises", load=posterior(boom)),
    "predict_none": method("predict_none", load=posterior(lambda *arguments: None)),
    "predict_half": method("predict_half", load=posterior(half)),
    "odd_settings": method("odd_settings", settings=Odd),
}
globals().update({f"{name}_method": part for name, part in METHODS.items()})


class Source:
    publish = collect = instructions = boom
    summary = "of another package"

    def __init__(self, name, delete_item):
        self.name, self.delete_item = name, delete_item


delete_raises_source = Source("delete_raises", boom)
delete_text_source = Source("delete_text", lambda campaign, item_id: "three")
'''
PROGRAM = """
import json, sys
from pathlib import Path
from activelora.campaign.campaign import Campaign
from activelora.errors import ActiveLoRAError
from activelora.labeling.deletion import delete_item
from activelora.pool.access import shard_items
from activelora.rules.file import checked_config
from activelora.scoring.predict import Predictor
from components.evaluate_adapter import step as evaluate_adapter
from components.ingest_pool import step as ingest_pool
from components.train_adapter import step as train_adapter
from tests.labeling.conftest import LABELS, select
from tests.test_posteriors import label
from wrong import JUDGES, METHODS, TASKS

folder, model, said = Path(sys.argv[1]), sys.argv[2], {}


def attempt(use, function, *arguments):
    try:
        function(*arguments)
        said[use] = "fine"
    except ActiveLoRAError as error:
        said[use] = str(error)
    except BaseException as error:
        said[use] = f"TRACEBACK {type(error).__name__}: {error}"


def campaign(name, kind="classification", labeling=None, **adapter):
    task = {"kind": kind, "prompt": "{text}", "answer": "text", "chat_template": "never"}
    if kind == "classification":
        task["labels"] = LABELS
    config = checked_config({
        "name": "wrong",
        "task": task,
        "data": {"folder": str(folder), "pool": {"path": "pool.jsonl"}, "holdout": {"path": "holdout.jsonl"},
                 "calibration_size": 18 if kind.startswith(("conformal", "judge")) else 0,
                 "known_labels": "ignore"},
        "model": {"base": model},
        "acquisition": {"strategy": "random", "batch_size": 4},
        "adapter": {"rank": 2, **adapter},
        "training": {"epochs": 1, "min_steps": 1},
        "scoring": {"num_samples": 2},
        "evaluation": {"bootstrap_samples": 100, "num_samples": 2},
        "labeling": {"source": "files", **(labeling or {})},
        "tracking": {"enabled": False},
    }, where="campaign.yaml")
    made = Campaign.create(str(folder / name), config)
    ingest_pool.run(made)
    return made


def evaluated(kind):
    evaluate_adapter.run(campaign(f"kind-{kind}", kind), 0)


def trained(name):
    made = campaign(f"method-{name}", method=name)
    label(made)
    train_adapter.run(made, 1)
    evaluate_adapter.run(made, 1)
    return made


def used_wrongly(error):
    '''What goes wrong beside a method, while it is loaded, is no fault of its.'''
    with Predictor.load(Campaign.open(str(folder / "method-method_fine")), 1):
        raise error


def deleted(name):
    made = campaign(f"source-{name}", labeling={"source": name})
    select(made)
    delete_item(made, shard_items(made, 0)[0].item_id, "asked to")


for name in TASKS:
    attempt(f"task {name}", evaluated, name)
for name in JUDGES:
    attempt(f"judge {name}", evaluated, name)
for name in METHODS:
    if name != "odd_settings":
        attempt(f"method {name}", trained, name)
attempt("method odd_settings", lambda: campaign("odd-settings", method="odd_settings", odd_settings={"share": 2}))
attempt("beside a method", used_wrongly, ValueError("another's"))
attempt("stopped in a method", used_wrongly, KeyboardInterrupt("now"))
for name in ("delete_raises", "delete_text"):
    attempt(f"source {name}", deleted, name)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory, tiny_model_path):
    """What each use of each part ends with, by use."""
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("data")
    write_rows(folder / "pool.jsonl", 30)
    write_rows(folder / "holdout.jsonl", 27)
    (site / "wrong.py").write_text(PACKAGE)
    names = {**NAMES, "source": re.findall(r"^(\w+)_source =", PACKAGE, re.M)}
    groups = {"kinds": "kind", "adapters": "method", "label_sources": "source"}
    points = {group: [f"{name} = wrong:{name}_{suffix}" for name in names[suffix]] for group, suffix in groups.items()}
    declare_package(site, "wrong-parts", points, "1.2")
    return said_by(PROGRAM, site, str(folder), str(tiny_model_path))


def _keys(table):
    return re.findall(r'^    "(\w+)": ', PACKAGE.partition(f"{table} = {{")[2].partition("\n}\n")[0], re.M)


NAMES = {"kind": [*_keys("TASKS"), *_keys("JUDGES")], "method": _keys("METHODS")}


@pytest.mark.parametrize("use", ["task fine", "judge judge_fine", "method method_fine"])
def test_what_is_right_is_fine(said, use):
    assert said[use] == "fine"


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        ("task parse_raises", "`parse_label` of `parse_raises` raised ZeroDivisionError: boom"),
        ("task reading_raises", "`reading` of `reading_raises` raised ZeroDivisionError: boom"),
        ("judge evaluate_raises", "`evaluate` of `evaluate_raises` raised ZeroDivisionError: boom"),
        ("judge conformal_raises", "`conformal` of `conformal_raises` raised ZeroDivisionError: boom"),
        ("method fit_raises", "`fit` of `fit_raises` raised ZeroDivisionError: boom"),
        ("method load_raises", "`load` of `load_raises` raised ZeroDivisionError: boom"),
        ("method left_wrongly", "`load` of `left_wrongly` raised ZeroDivisionError: boom"),
        ("method predict_raises", "`predict` of `predict_raises` raised ZeroDivisionError: boom"),
        ("method odd_settings", "`settings` of `odd_settings` raised ZeroDivisionError: integer"),
        ("source delete_raises", "`delete_item` of `delete_raises` raised ZeroDivisionError: boom"),
    ],
)
def test_an_error_is_told_with_package_file_line_and_remedy(said, use, problem):
    before, _, after = said[use].partition(problem)
    assert after, said[use]
    assert "entry point activelora." in before
    assert "(wrong-parts 1.2), " in before
    line = int(re.search(r"wrong\.py line (\d+): $", before)[1])
    assert re.search(r"raise ZeroDivisionError|1 // ", PACKAGE.splitlines()[line - 1])
    assert "Fix the package that brings it, or choose another one" in after


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        ("task parse_none", "`parse_label` of `parse_none` returned None, which it must not"),
        ("task queries_text", "`queries` of `queries_text` returned int"),
        ("judge evaluate_list", "`evaluate` of `evaluate_list` returned list"),
        ("judge evaluate_empty", "`evaluate` of `evaluate_empty` raised KeyError: 'metrics'"),
        ("judge evaluate_other", "`evaluate` of `evaluate_other` raised KeyError: 'accuracy'"),
        ("judge conformal_list", "`conformal` of `conformal_list` returned list"),
        ("judge conformal_odd", "`conformal` of `conformal_odd` raised AttributeError"),
        ("judge predictions_none", "`predictions` of `predictions_none` returned None"),
        ("method fit_none", "`fit` of `fit_none` returned None"),
        ("method fit_nothing", "`fit` of `fit_nothing` returned list"),
        ("method fit_odd", "`fit` of `fit_odd` raised TypeError: Object of type object is not JSON"),
        ("method load_none", "`load` of `load_none` returned None"),
        ("method predict_none", "`predict` of `predict_none` returned None"),
        ("method predict_half", "`predict: log_probs_NKC` of `predict_half` returned ndarray of shape (27, 3)"),
        ("source delete_text", "`delete_item` of `delete_text` returned str"),
    ],
)
def test_a_result_of_a_wrong_kind_is_told_with_the_package(said, use, problem):
    assert problem in said[use]
    assert "(wrong-parts 1.2)" in said[use].partition(problem)[0]
    assert "Fix the package that brings it, or choose another one" in said[use].partition(problem)[2]


def test_what_a_part_says_in_words_is_passed_on(said):
    assert "words of the package itself" in said["task parse_refuses"]
    assert "raised" not in said["task parse_refuses"]


def test_an_interrupt_is_never_caught(said):
    assert said["task parse_stops"] == "TRACEBACK KeyboardInterrupt: "
    assert said["stopped in a method"] == "TRACEBACK KeyboardInterrupt: now"


def test_an_error_beside_a_part_is_not_blamed_on_it(said):
    assert said["beside a method"] == "TRACEBACK ValueError: another's"


def test_labels_of_the_test_are_those_of_the_package():
    assert f"LABELS = {json.dumps(LABELS)}".replace("[", "(").replace("]", ")") in PACKAGE
