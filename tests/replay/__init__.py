"""`make replay BASE=<commit>`: what this tree and another emit, compared function by function."""
