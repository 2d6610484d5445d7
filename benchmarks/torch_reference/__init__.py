"""The project's networks, losses, training steps and input in PyTorch, to be measured against.

Networks are written from the layer tables. Nothing but the benchmarks and the tests uses any of it. Images are
(n, c, h, w) here, mels (n, 1, 80, 16).
"""
