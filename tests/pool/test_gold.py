import ast
from pathlib import Path

import activelora

ROOT = Path(activelora.__file__).parents[1]
ALLOWED = {
    "activelora/labeling/oracle.py",
    "activelora/pool/access.py",
    "components/score_pool/step.py",  # `oracle_nll`, for replication; without the oracle there is no file to read
}


def mentions(path, name):
    """Tell whether a file uses a name in any way: called, imported, as an attribute or in a string."""
    for node in ast.walk(ast.parse(path.read_text())):
        used = {
            ast.Name: lambda node: node.id,
            ast.Attribute: lambda node: node.attr,
            ast.alias: lambda node: node.name,
            ast.Constant: lambda node: node.value,
        }.get(type(node))
        if used is not None and used(node) == name:
            return True
    return False


def users(*names):
    folders = [ROOT / folder for folder in ("activelora", "components", "pipelines")]
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(paths) > 20
    return {str(path.relative_to(ROOT)) for path in paths if any(mentions(path, name) for name in names)}


def test_only_the_oracle_and_its_measure_read_the_pools_gold_labels():
    assert users("gold_labels") <= ALLOWED


def test_only_ingest_pool_writes_them():
    assert users("gold_name") <= {
        "activelora/pool/access.py",
        "activelora/pool/deletion.py",  # removes them with their items
        "activelora/labeling/conformance/trial.py",  # makes a small pool for the checks of label sources
        "components/ingest_pool/step.py",
        "components/ingest_pool/refresh.py",
    }
