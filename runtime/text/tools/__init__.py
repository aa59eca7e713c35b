"""Calls of tools in a model's text: their formats, what reads them, and the grammars of them."""
