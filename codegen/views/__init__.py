"""What templates see: every name, size and type they may ask for. They compute none."""
