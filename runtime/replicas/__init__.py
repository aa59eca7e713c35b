"""Engines in several processes behind one server: what crosses between them, and who gets it."""
