"""Tokens one after another: sequences, schedules, sampling."""
