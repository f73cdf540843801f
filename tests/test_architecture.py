"""The house rules, as tests."""

import ast
import graphlib
import importlib
import importlib.metadata
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from activelora.moved import MOVED

ROOT = Path(__file__).parents[1]
PACKAGES = ("activelora", "components", "pipelines")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SLOW = ("torch", "transformers", "peft", "accelerate", "mlflow", "matplotlib", "scipy", "sklearn")


def imported_by(statement):
    """Return which of the slow packages a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*(name for name in {SLOW!r} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.split("\n")[-2].split()


def test_import_contracts_hold():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


LIGHT = [
    "activelora.config.file",
    "activelora.campaign.labels",
    "activelora.campaign.ledger",
    "activelora.campaign.s3",
    "activelora.acquisition.strategy",
    "activelora.kinds.registry",
    "activelora.acquisition.registry",
    "activelora.labeling.registry",
    "activelora.modeling.methods.registry",
    "activelora.pool.access",
    "activelora.rules.file",
    "pipelines.cli.main",
]


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_import_nothing_slow(module):
    assert imported_by(f"import {module}") == []


def test_light_packages_never_import_torch():
    """Not even the modules of these packages that the table above does not name."""
    packages = ("campaign", "tasks", "kinds", "acquisition", "labeling", "pool")
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in packages
        for path in (ROOT / "activelora" / package).rglob("*.py")
        if path.name != "__init__.py"
    ]
    assert "torch" not in imported_by("\n".join(f"import {module}" for module in sorted(modules)))


def test_help_imports_nothing_slow():
    code = "import sys\nsys.argv = ['activelora', '--help']\nfrom pipelines.cli.main import main\n"
    code += "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
    assert imported_by(code) == []


def test_there_is_no_drawer_for_everything():
    drawers = {"utils", "util", "common", "helpers", "helper", "misc"}
    assert [path for path in SOURCES if drawers & {path.stem, *path.relative_to(ROOT).parts}] == []


def test_no_other_distribution_owns_our_names():
    owners = importlib.metadata.packages_distributions()
    for name in PACKAGES:
        assert set(owners.get(name, ["activelora"])) == {"activelora"}, f"`{name}` also comes from {owners[name]}"


@pytest.mark.parametrize(
    "pattern",
    [
        r"trust_remote_code\s*=\s*True",
        r"\bimport (pickle|cloudpickle|dill|joblib|shelve|marshal)\b|\bfrom (pickle|cloudpickle|dill|joblib) import",
        r"\btorch\.load\(",
        r"allow_pickle\s*=\s*True",
        r"\byaml\.(unsafe_load|full_load|UnsafeLoader|FullLoader)\b",
        r"\b(eval|exec)\(",
        r"shell\s*=\s*True",
        r"verify\s*=\s*False",
    ],
)
def test_dangerous_calls_do_not_occur(pattern):
    # `model.eval()` and `.exec(` of others are no calls of the built-ins.
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern if "eval" not in pattern else rf"(?<!\.){pattern}", line)
    ]
    assert found == []


def test_kubeflow_is_known_to_declarations_and_pipelines_only():
    pattern = re.compile(r"^\s*(import|from) (kfp|kubernetes)\b", re.MULTILINE)
    allowed = {path for path in SOURCES if path.name == "component.py" or path.is_relative_to(ROOT / "pipelines")}
    assert [path for path in SOURCES if path not in allowed and pattern.search(path.read_text())] == []


def test_steps_have_the_six_names():
    from activelora.config.steps import STEPS

    folders = {path.name for path in (ROOT / "components").iterdir() if (path / "__init__.py").exists()}
    assert folders == {*STEPS, "plan", "tell_the_end", "predict_table"}


def imports_of(path, modules):
    """Return the project's modules that a module imports, also inside functions; imports for types only are not."""
    found, todo = set(), [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in inner}
        todo.extend(ast.iter_child_nodes(node))
    return found & modules


def test_no_two_files_import_each_other_in_a_circle():
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in SOURCES}
    graph = {name: imports_of(path, set(names)) - {name} for name, path in names.items()}
    assert sum(map(len, graph.values())) > 1000, "imports are not seen"
    sorter = graphlib.TopologicalSorter(graph)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


FORMS = {"choice", "number", "set", "text"}
DISPATCH = {
    "activelora/config/training_length.py",  # defaults by kind: its test compares the names with what kinds declare
    "activelora/labeling/label_studio/interface.py",
    "activelora/labeling/llm/prompt.py",
}
"""Where an answer's form is looked up: a table each, of how annotators are asked there, or how long is trained."""


def kind_switches(path, kinds):
    """Yield the lines where a module asks which kind a task is: comparisons, tables and lists of their names or forms.

    The same by hand: grep -nE 'kind (==|!=|in|not in)|form (==|!=|in|not in)|isinstance\\(.*(Regression|MultiLabel)'
    """
    for node in ast.walk(ast.parse(path.read_text())):
        said = {inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant)}
        if isinstance(node, ast.Compare):
            asks_form = any(isinstance(side, ast.Attribute) and side.attr == "form" for side in ast.walk(node))
            found = said & kinds or (asks_form and said & FORMS)
        elif isinstance(node, ast.Dict):
            keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            found = keys & kinds or len(keys & FORMS) > 1
        elif isinstance(node, ast.Tuple | ast.Set | ast.List):
            found = len({inner.value for inner in node.elts if isinstance(inner, ast.Constant)} & kinds) > 1
        else:
            found = isinstance(node, ast.ImportFrom) and re.match(r"activelora\.kinds\.(?!registry)", node.module or "")
        if found:
            yield f"{path.relative_to(ROOT).as_posix()}:{getattr(node, 'lineno', 0)}"


def test_only_a_kind_knows_which_kind_it_is():
    from activelora.kinds.registry import KINDS

    protocol = ROOT / "activelora" / "tasks" / "task.py"
    others = [path for path in SOURCES if not path.is_relative_to(ROOT / "activelora" / "kinds") and path != protocol]
    switches = [line for path in others for line in kind_switches(path, set(KINDS))]
    assert {line.partition(":")[0] for line in switches} == DISPATCH
    assert len(switches) == len(DISPATCH)
    pages = [page for package in PACKAGES for page in (ROOT / package).rglob("*.html")]
    assert [page.name for page in pages if re.search(r"task\.(kind|form)\b", page.read_text())] == []


def test_old_names_of_modules_are_importable_and_say_so():
    for old in MOVED:  # another test may have found it
        sys.modules.pop(old, None)
    for old, new in MOVED.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert importlib.import_module(old) is importlib.import_module(new)
        said = {str(one.message) for one in caught if one.category is DeprecationWarning}
        assert f"{old} is now {new}; the old name goes after ActiveLoRA 0.2" in said
        for name in (old, "pipelines.commands", "pipelines.wake"):  # no other test finds it without the warning
            sys.modules.pop(name, None)
