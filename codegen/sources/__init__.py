"""Where models come from: Hugging Face folders, GGUF files, the hub."""
