"""Packages that bring broken parts: each is refused, or blamed, by name, and nothing is a traceback."""

import pytest

from tests.other_packages import declare_package, said_by

PACKAGE = """
from dataclasses import replace
from activelora.acquisition.strategy import Pick, Strategy
from activelora.config import Section
from activelora.evaluation.headline import ACCURACY
from activelora.kinds.classification.task import Classification
from activelora.labeling.request import Collected
from activelora.modeling.posterior import AdapterMethod
from activelora.tasks.task import Kind
from activelora.uncertainty.measures import MEASURES

LABELS = ("bad", "fair")


class Required(Section):
    must: int


def first(pool, num, context):
    return [Pick(index, None, "first") for index in range(num)]


def strategy(name, select=first, **declared):
    return Strategy(name, "of another package", select, **declared)


def kind(name, **declared):
    usual = {
        "summary": "of another package",
        "implementation": "broken:make",
        "judge": "activelora.evaluation.judges:ChoiceJudge",
        "headline": ACCURACY,
        "measures": tuple(MEASURES),
        "fixed_labels": lambda config: LABELS,
    }
    return Kind(name=name, **{**usual, **declared})


def make(config):
    return Classification(config, KINDS[config.kind], LABELS)


def boom(*arguments):
    raise ValueError("boom")


class Source:
    def __init__(self, name, collect, publish=lambda request: None, instructions=lambda request: ""):
        self.name, self.summary = name, "of another package"
        self.collect, self.publish, self.instructions = collect, publish, instructions


STRATEGIES = {
    "fine": strategy("fine"),
    "none": strategy("none", lambda *arguments: None),
    "raises": strategy("raises", boom),
    "no_picks": strategy("no_picks", lambda pool, num, context: list(range(num))),
    "needs": strategy("needs", needs=frozenset({"embedings"})),
    "options": strategy("options", options=("measure", "nix")),
    "measures": strategy("measures", measures=("entropie",)),
    "forms": strategy("forms", forms=frozenset({"choise"})),
    "misnamed": strategy("other"),
    "odd_type": strategy("odd_type", measures=3),
    "rules": strategy("rules", conflicts=boom),
    "odd_rules": strategy("odd_rules", conflicts=lambda config, own: ["no"]),
    "odd_pick": strategy("odd_pick", lambda pool, num, context: [Pick("0", None, "first")] * num),
    "odd_details": strategy("odd_details", details=lambda context: {"odd": object()}),
}
KINDS = {
    "good": kind("good"),
    "no_maker": kind("no_maker", implementation="json:nothing"),
    "no_module": kind("no_module", implementation="broken_nowhere:make"),
    "no_task": kind("no_task", implementation="builtins:print"),
    "no_judge": kind("no_judge", judge="activelora.evaluation.judges:NoJudge"),
    "judge_raises": kind("judge_raises", judge="broken:boom"),
    "refuses": kind("refuses", refusal=boom),
    "refuses_oddly": kind("refuses_oddly", refusal=lambda config: 3),
    "odd_measure": kind("odd_measure", measures=("entropie",)),
    "odd_name": kind("another"),
    "odd_labels": kind("odd_labels", fixed_labels=lambda config: 3),
    "odd_headline": kind("odd_headline", headline="accuracy"),
}
SOURCES = {
    "no_answer": Source("no_answer", lambda request: None),
    "fails": Source("fails", boom, boom, boom),
    "stateless": Source("stateless", lambda request: Collected([], {}, [])),
    "odd_record": Source(
        "odd_record", lambda request: Collected([{"item_id": 3}], dict.fromkeys(request.reasons, "waiting"), [])
    ),
    "disguised": Source("plain", lambda request: None),
}
METHODS = {
    "no_fit": AdapterMethod("no_fit", "of another package", "broken:nothing"),
    "odd_same": AdapterMethod("odd_same", "of another package", "broken:make", same_samples=lambda config: "yes"),
    "odd_option": AdapterMethod("odd_option", "of another package", "broken:make", options=("nix",)),
}
globals().update({f"{name}_strategy": part for name, part in STRATEGIES.items()})
globals().update({f"{name}_kind": part for name, part in KINDS.items()})
globals().update({f"{name}_source": part for name, part in SOURCES.items()})
globals().update({f"{name}_method": part for name, part in METHODS.items()})


def __getattr__(name):
    if name == "required_strategy":
        return strategy("required", settings=Required)
    raise AttributeError(name)
"""
GROUPS = {
    "strategies": (
        "strategy",
        "fine none raises no_picks needs options measures forms misnamed odd_type rules required "
        "odd_rules odd_pick odd_details",
    ),
    "kinds": (
        "kind",
        "good no_maker no_module no_task no_judge judge_raises refuses refuses_oddly odd_measure odd_name "
        "odd_labels odd_headline",
    ),
    "label_sources": ("source", "no_answer fails disguised stateless odd_record"),
    "adapters": ("method", "no_fit odd_option odd_same"),
}
PROGRAM = """
import json, logging, sys
from pathlib import Path
from tempfile import TemporaryDirectory
from activelora.acquisition import exploration
from activelora.acquisition.registry import STRATEGIES, get_strategy
from activelora.errors import ActiveLoRAError
from activelora.labeling.asking import collected, instructions, published
from activelora.labeling.conformance.trial import begin
from activelora.labeling.registry import get_source
from activelora.modeling.methods.registry import get_method
from activelora.rules.file import checked_config
from broken import KINDS
from components.select_batch.step import _details
from pipelines.cli.checks import _check_task
from tests.acquisition.conftest import context_of, drawn_log_probs, pool_of

said, traces = {}, []


class Kept(logging.Handler):
    def emit(self, record):
        traces.append(logging.Formatter().format(record))


logging.getLogger("activelora").setLevel(logging.DEBUG)
logging.getLogger("activelora").addHandler(Kept())


def attempt(name, function, *arguments):
    try:
        function(*arguments)
        said[name] = "fine"
    except ActiveLoRAError as error:
        said[name] = str(error)
    except Exception as error:
        said[name] = f"TRACEBACK {type(error).__name__}: {error}"


def document(kind="classification", **settings):
    task = {"kind": kind, "prompt": "{text}", **({"labels": ["x", "y"]} if kind == "classification" else {})}
    return {"name": "a", "task": task, "data": {"pool": {"path": "p"}}, **settings}


def read(**settings):
    return checked_config(document(**settings), where="campaign.yaml")


def select(name):
    exploration.select(get_strategy(name), pool_of(drawn_log_probs(0)), 3, context_of("random", seed=1))


def through_hybrid(name):
    context = context_of("hybrid", then=name, prefilter_factor=3, seed=1)
    exploration.select(get_strategy("hybrid"), pool_of(drawn_log_probs(0)), 2, context)


for name in "fine none raises no_picks odd_pick".split():
    attempt(f"select {name}", select, name)
    attempt(f"hybrid {name}", through_hybrid, name)
for name in "fine needs options measures forms misnamed odd_type required rules odd_rules".split():
    attempt(f"strategy {name}", lambda: read(acquisition={"strategy": name}))
for name in KINDS:
    if name != "odd_labels":
        attempt(f"kind {name}", lambda: _check_task(read(kind=name)))
for name in "no_answer fails disguised".split():
    attempt(f"collect {name}", lambda: collected(get_source(name), None))
attempt("kind odd_labels", lambda: read(kind="odd_labels", acquisition={"per_class_floor": 1}))
attempt("method odd_same", lambda: read(adapter={"method": "odd_same"}, acquisition={"strategy": "bald"}))
with TemporaryDirectory() as folder:
    for name in ("stateless", "odd_record"):
        request = begin(Path(folder) / name, {"source": name}).request(0)
        attempt(f"collect {name}", lambda: collected(get_source(name), request))
attempt("details odd_details", lambda: _details(get_strategy("odd_details"), context_of("random", seed=1)))
attempt("publish fails", lambda: published(get_source("fails"), None))
attempt("instructions fails", lambda: instructions(get_source("fails"), None))
attempt("method no_fit", lambda: get_method("no_fit").implement())
attempt("method odd_option", lambda: read(adapter={"method": "odd_option"}))
said["traces"] = traces
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each use of each broken part ends with, by use."""
    site = tmp_path_factory.mktemp("site")
    (site / "broken.py").write_text(PACKAGE)
    points = {
        group: [f"{name} = broken:{name}_{suffix}" for name in names.split()]
        for group, (suffix, names) in GROUPS.items()
    }
    declare_package(site, "broken-parts", points, "1.2")
    return said_by(PROGRAM, site)


@pytest.mark.parametrize("use", ["select fine", "hybrid fine", "strategy fine", "kind good"])
def test_what_is_right_is_fine(said, use):
    assert said[use] == "fine"


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        (
            "strategy needs",
            "`needs` declares the need `embedings`, which there is not, but: `embeddings`, `features`, `gradients`",
        ),
        ("strategy options", "`nix`"),
        ("strategy measures", "`entropie`"),
        ("strategy forms", "`choise`"),
        ("strategy misnamed", "`misnamed` calls itself `other`"),
        ("strategy odd_type", "`odd_type` cannot be loaded: TypeError"),
        ("strategy required", "`required` cannot be loaded: ValueError: setting `must` of `required` has no default"),
        ("strategy rules", "`conflicts` of `rules` raised ValueError: boom"),
        ("kind no_maker", "`implementation` of `no_maker` raised AttributeError: module 'json' has no attribute"),
        ("kind no_module", "`implementation` of `no_module` raised ModuleNotFoundError: No module named 'broken_no"),
        ("kind no_task", "`implementation` of `no_task` returned None"),
        ("kind no_judge", "`judge` of `no_judge` raised AttributeError: module 'activelora.evaluation.judges' has no"),
        ("kind judge_raises", "`judge` of `judge_raises` raised ValueError: boom"),
        ("kind refuses_oddly", "`refusal` of `refuses_oddly` returned int"),
        ("kind refuses", "`refusal` of `refuses` raised ValueError: boom"),
        ("kind odd_measure", "`entropie`"),
        ("kind odd_name", "`odd_name` calls itself `another`"),
        ("select none", "`select` of `none` returned None"),
        ("hybrid none", "`select` of `none` returned None"),
        ("select raises", "`select` of `raises` raised ValueError: boom"),
        ("hybrid raises", "`select` of `raises` raised ValueError: boom"),
        ("select no_picks", "`select` of `no_picks` returned int"),
        ("hybrid no_picks", "`select` of `no_picks` returned int"),
        ("strategy odd_rules", "`conflicts` of `odd_rules` returned str, which it must not"),
        ("kind odd_headline", "the headline of `odd_headline` is no Headline, but str"),
        ("kind odd_labels", "`fixed_labels` of `odd_labels` returned int"),
        ("method odd_same", "`same_samples` of `odd_same` returned str"),
        ("select odd_pick", "`select` of `odd_pick` returned Pick that is no index, score and reason"),
        ("details odd_details", "`details` of `odd_details` raised TypeError: Object of type object is not JSON"),
        ("collect stateless", "`collect` of `stateless` returned Collected whose states are not those of the round's"),
        ("collect odd_record", "`collect` of `odd_record` returned Collected whose records do not fit LABEL_SCHEMA"),
        ("collect no_answer", "`collect` of `no_answer` returned None"),
        ("collect fails", "`collect` of `fails` raised ValueError: boom"),
        ("publish fails", "`publish` of `fails` raised ValueError: boom"),
        ("instructions fails", "`instructions` of `fails` raised ValueError: boom"),
        ("collect disguised", "`disguised` calls itself `plain`"),
        ("method no_fit", "`implementation` of `no_fit` raised AttributeError"),
        ("method odd_option", "`nix`"),
    ],
)
def test_what_is_broken_is_told_with_its_package_and_the_remedy(said, use, problem):
    text = said[use]
    assert problem in text
    assert "entry point activelora." in text
    assert "(broken-parts 1.2)" in text
    assert "package" in text.rpartition("broken-parts 1.2)")[2]


def test_the_original_error_is_in_the_log_of_verbose_runs(said):
    assert any("Traceback" in trace and 'raise ValueError("boom")' in trace for trace in said["traces"])
