"""The Python API: signatures and docstrings of the public names, and of the two functions that run a campaign."""

from __future__ import annotations

import inspect
from typing import Any

import activelora
from docs.generate.markdown import prose
from pipelines.engines import inline


def python_api() -> str:
    """Return a section for every public name."""
    names = [name for name in activelora.__all__ if name != "__version__"]
    functions = [name for name in names if inspect.isfunction(getattr(activelora, name))]
    classes = [name for name in names if name not in functions]
    parts = [_entry(f"activelora.{name}", getattr(activelora, name)) for name in functions]
    running = (inline.tick, inline.run_campaign, inline.TickResult)
    parts += [_entry(f"pipelines.engines.inline.{one.__name__}", one) for one in running]
    parts += [_entry(f"activelora.{name}", getattr(activelora, name)) for name in classes]
    return "\n\n".join(parts)


def _entry(name: str, thing: Any) -> str:
    documentation = prose(inspect.getdoc(thing) or "")
    if not inspect.isfunction(thing):
        return f"## `{name}`\n\n{documentation}"
    signature = str(inspect.signature(thing)).replace("'", "").replace("pd.DataFrame", "pandas.DataFrame")
    return f"## `{name}`\n\n```python\n{thing.__name__}{signature}\n```\n\n{documentation}"
