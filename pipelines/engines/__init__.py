"""Who runs the graph on this machine: in this process, in subprocesses or in containers."""

from typing import TYPE_CHECKING

from activelora.moved import find_names

if not TYPE_CHECKING:  # a checker of types knows the new names only
    __getattr__ = find_names(__name__)
