"""The families of models that the tests run, and how each runs: the table that the tests hold to be true."""

from __future__ import annotations

from activelora.modeling.fast_paths import FastPaths
from docs.generate.markdown import cell, table
from tests.modeling.matrix import FAMILIES, Family


def models() -> str:
    """Return a table of the families, in the order of their names."""
    rows = [[f"`{one.name}`", *map(cell, _words(one))] for one in sorted(FAMILIES, key=lambda one: one.name)]
    refused = sum(1 for one in FAMILIES if one.refused)
    summary = f"{len(FAMILIES) - refused} families run, {refused} refused."
    return "\n\n".join([summary, table(["`model_type`", "runs", "without", "because it"], rows)])


def _words(family: Family) -> tuple[str, str, str]:
    """Return how a family runs, what saves no time for it, and why."""
    if family.refused:
        return "refused", "", family.why
    off = FastPaths(**dict.fromkeys(family.off, False)).off
    how = "exactly, by the model's own forward pass" if len(off) == len(vars(FastPaths())) else "exactly"
    return how, "; ".join(off), family.why
