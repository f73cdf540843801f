"""ActiveLoRA: the most accuracy and the best calibration out of the fewest labels."""

from importlib.metadata import PackageNotFoundError, version

from activelora.moved import install

try:
    __version__ = version("activelora")
except PackageNotFoundError:  # a checkout on the path that was never installed
    __version__ = "0.0.0+uninstalled"

__all__ = ["__version__"]

install()
