"""The steps of a round, one folder each."""

from activelora.moved import install

install()
