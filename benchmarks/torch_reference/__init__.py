"""The project's networks, losses and training steps in PyTorch, written from the layer tables, to be measured against.

Nothing but the benchmarks and the tests uses it. Images are (n, c, h, w) here, mels (n, 1, 80, 16).
"""
