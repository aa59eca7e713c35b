"""The one exception that is a user's to fix."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in what the user gave: one line saying what is wrong, where, and what to do.

    The command line prints it and exits with 2; anything else that escapes is our bug.
    """
