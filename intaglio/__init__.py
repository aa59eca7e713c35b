"""Engraved language models. The rooms beside this folder are its packages: see `runtime`, `cli`."""

__version__ = "0.1.0"
