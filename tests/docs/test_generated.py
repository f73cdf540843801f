"""What is generated for the pages says what the code says, and is on a page."""

import re

import activelora
from activelora.acquisition.registry import STRATEGIES
from activelora.config import CampaignConfig
from activelora.config.file import json_schema
from activelora.modeling.methods.registry import METHODS
from docs.generate.errors import all_errors
from docs.generate.markdown import cell, prose
from docs.generate.parts import GENERATORS
from tests.docs.blocks import PAGES, ROOT


def test_readme_is_one_page():
    assert len((ROOT / "README.md").read_bytes()) <= 7000


def test_every_part_stands_on_one_page():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert sorted(re.findall(r"<!-- generated: ([\w-]+) -->", text)) == sorted(GENERATORS)


def test_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_pages_that_docstrings_name_exist():
    named = {
        page
        for package in ("activelora", "benchmarks", "components", "pipelines")
        for path in (ROOT / package).rglob("*.py")
        for page in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8"))
    }
    assert "docs/methods.md" in named
    assert [page for page in named if not (ROOT / page).is_file()] == []


def test_every_setting_is_listed_and_explained():
    text = GENERATORS["settings"]()
    for section in [json_schema(), *json_schema()["$defs"].values()]:
        for name, field in section.get("properties", {}).items():
            row = re.search(rf"^\| `{re.escape(name)}` \| [^|]+ \| .+ \| .{{4,}} \|$", text, re.MULTILINE)
            assert row, f"{section['title']}.{name}"
            assert field.get("description") or "$ref" in field
    assert f"| `{next(iter(CampaignConfig.model_fields))}` | text | required |" in text


def test_every_command_strategy_and_adapter_has_a_section():
    import typer

    from pipelines.cli.main import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert [name for name in commands if f"## `activelora {name}`" not in GENERATORS["commands"]()] == []
    ours = [name for name, strategy in STRATEGIES.items() if strategy.select.__module__.startswith("activelora.")]
    assert len(ours) > 20
    assert [name for name in ours if f"## `{name}`" not in GENERATORS["strategies"]()] == []
    ours = [name for name, method in METHODS.items() if method.implementation.startswith("activelora.")]
    assert [name for name in ours if f"## `{name}`" not in GENERATORS["adapters"]()] == []


def test_every_error_is_found_and_most_have_a_remedy():
    found = list(all_errors())
    assert len(found) > 250
    remedied = [said for said in found if said.remedy and said.kind != "LabelError"]
    assert len(remedied) > 150
    words = GENERATORS["errors"]()
    assert "`activelora run FILE` creates one." in words


def test_public_names_have_a_section():
    text = GENERATORS["python-api"]()
    names = [name for name in activelora.__all__ if name != "__version__"]
    assert [name for name in names if f"## `activelora.{name}`" not in text] == []
    assert "## `pipelines.engines.inline.tick`" in text


def test_docstrings_become_markdown():
    text = prose(
        "Return ``a|b`` of :class:`~activelora.config.Section`.\n\nArgs:\n    a: First,\n        still.\n    b: Second."
    )
    assert text == "Return `a|b` of `Section`.\n\n\n**Arguments**\n\n- `a`: First,\n  still.\n- `b`: Second."
    assert cell("x < y | `a<b|c`\n  z") == "x &lt; y \\| `a<b|c` z"
