"""Speed and perplexity."""
