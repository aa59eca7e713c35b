"""The OpenAI-compatible server: needs the extra `intaglio[serve]`."""
