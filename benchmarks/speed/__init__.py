"""Speed and memory, measured beside PyTorch or the straightforward way within one run."""
