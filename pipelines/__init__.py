"""The graphs, the engines that run them, and the command line."""

from activelora.moved import install

install()
