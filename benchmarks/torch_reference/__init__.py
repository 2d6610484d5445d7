"""PyTorch counterparts of the networks, losses, training steps and input pipeline, for comparison.

The networks follow the layer tables. Only benchmarks and tests use this package. Images are (n, c, h, w) here, mels
(n, 1, 80, 16).
"""
