"""What 0.1 had in a module whose rest is elsewhere now, or in one that is still there."""

from __future__ import annotations

import importlib
import sys
import warnings

import pytest

import activelora
from activelora.moved import MOVED, NAMES

ENTRIES = [(old, name, new) for old, homes in NAMES.items() for name, new in homes.items()]
DOCUMENTED = {
    "activelora.labeling.source": "Source Request Collected Rejected Known Ballot make_request",
    "activelora.labeling.conformance.checks": "Bench checks_for",
    "activelora.acquisition.strategy": "Strategy ScoredPool SelectionContext Pick",
    "activelora.modeling.posterior": "AdapterMethod",
}
"""What 0.1's README sends authors of other packages to."""


@pytest.fixture(autouse=True)
def _modules_as_nobody_has_found_them():
    """The old names are asked for as for the first time, and no other test finds what this one leaves."""

    def forget():
        for old in NAMES.keys() & MOVED.keys():
            sys.modules.pop(old, None)
            new = sys.modules.get(MOVED[old])
            if new is not None:
                vars(new).pop("__getattr__", None)

    forget()
    yield
    forget()


@pytest.mark.parametrize(("old", "name", "new"), ENTRIES, ids=[f"{old}.{name}" for old, name, _ in ENTRIES])
def test_an_old_name_is_what_the_new_one_is_and_says_where(old, name, new):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = importlib.import_module(old)
    said = f"^{old}.{name} is now {new}.{name}; the old name goes after ActiveLoRA 0.2$"
    with pytest.warns(DeprecationWarning, match=said.replace(".", r"\.")):
        found = getattr(module, name)
    assert found is getattr(importlib.import_module(new), name)
    assert name not in vars(module), "it is there without the table"


def test_every_module_of_the_table_finds_its_names():
    assert len(ENTRIES) > 40
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for old in NAMES:
            assert "__getattr__" in vars(importlib.import_module(old)), old


def test_a_statement_finds_a_name_of_a_module_that_moved():
    with pytest.warns(DeprecationWarning, match="config_file") as caught:
        from activelora.config_file import load_config, parse_config  # type: ignore[import-not-found]
    assert load_config is activelora.load_config
    assert parse_config.__module__ == "activelora.config.file"
    assert {str(one.message).partition(";")[0] for one in caught} == {
        "activelora.config_file is now activelora.config.file",
        "activelora.config_file.load_config is now activelora.load_config",
    }
    assert {one.filename for one in caught} == {__file__}


@pytest.mark.parametrize("old", ["activelora.config_file", "activelora.campaign.store", "pipelines.cli"])
@pytest.mark.filterwarnings("ignore:.*is now:DeprecationWarning")
def test_a_name_that_was_never_there_is_none(old):
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec(f"from {old} import nothing")  # noqa: S102 - the statement is what is tested


@pytest.mark.parametrize("module", DOCUMENTED)
@pytest.mark.filterwarnings("ignore:.*is now:DeprecationWarning")
def test_what_the_first_readme_sends_authors_to_is_there(module):
    home = importlib.import_module(module)
    assert [name for name in DOCUMENTED[module].split() if not callable(getattr(home, name, None))] == []
