"""Every error and its remedy, read off the code that raises it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from activelora import errors
from docs.generate.markdown import cell, table

ROOT = Path(__file__).parents[2]
PACKAGES = ("activelora", "components", "pipelines")
_TITLES = {
    "ConfigError": "Settings (`activelora check` says most of these)",
    "DataError": "Data",
    "LabelError": "Labels",
    "StoreError": "The campaign's store",
    "ModelError": "Models and adapters",
    "LabelStudioError": "Label Studio",
    "TrainingError": "Training in several processes",
    "EngineError": "Running on this machine",
    "ComparisonError": "Comparisons",
    "ClusterError": "Kubeflow",
    "TrainJobError": "Kubeflow Trainer",
    "NoticeError": "Webhooks",
    "doctor": "`activelora doctor`",
}


@dataclass(frozen=True)
class Said:
    """One error as the code words it; what depends on the case is shown as an ellipsis.

    Attributes:
        kind: Name of its class, or ``doctor``.
        where: Setting or place that it names; empty where that depends on the case.
        problem: What is wrong.
        remedy: What to do; empty where the problem says it.
    """

    kind: str
    where: str
    problem: str
    remedy: str


def errors_and_remedies() -> str:
    """Return a table for every kind of error."""
    found = sorted(
        {said for said in all_errors() if said.problem.strip("… ")}, key=lambda said: (said.where, said.problem)
    )
    known = [kind for kind in _TITLES if any(said.kind == kind for said in found)]
    parts = []
    for kind in [*known, *sorted({said.kind for said in found} - set(_TITLES))]:
        rows = [[cell(said.where), cell(said.problem), cell(said.remedy)] for said in found if said.kind == kind]
        parts += [f"## {_TITLES.get(kind, kind)}", table(["where", "what it says", "what to do"], rows)]
    return "\n\n".join(parts)


def all_errors() -> Iterator[Said]:
    """Yield every error that the packages can raise, in the order of their files."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            constants = {
                target.id: text(node.value)
                for node in tree.body
                if isinstance(node, ast.Assign)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            constants["DIVERGED"] = errors.DIVERGED
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    yield from _said(node, node.func.id, path, constants)


def _said(call: ast.Call, name: str, path: Path, constants: dict[str, str]) -> Iterator[Said]:
    given = [text(argument, constants) for argument in call.args]
    named = {keyword.arg: text(keyword.value, constants) for keyword in call.keywords}
    if name == "Conflict" and len(given) == 3:
        yield Said("ConfigError", given[0], given[1], given[2])
    elif name in ("failed", "warning") and "doctor" in path.parts and len(given) == 3:
        yield Said("doctor", given[0], given[1], given[2])
    elif name == "ValueError" and "config" in path.parts and given:
        yield Said("ConfigError", path.stem, given[0], "")
    elif name in _TITLES and given:
        yield Said(name, named.get("where", named.get("key", "")), given[0], named.get("remedy", ""))


def text(node: ast.expr, constants: dict[str, str] | None = None) -> str:
    """Return what an expression says, with an ellipsis for what depends on the case."""
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=values):
            return "".join(text(value, constants) for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text(left, constants) + text(right, constants)
        case ast.IfExp(body=body, orelse=orelse):
            return " / ".join(dict.fromkeys(one for one in (text(body, constants), text(orelse, constants)) if one))
        case ast.Name(id=name) if constants and name in constants:
            return constants[name]
    return "…"
