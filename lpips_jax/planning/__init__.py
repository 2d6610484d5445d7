"""Estimates of what a compiled program needs, without running it: memory, arithmetic, traffic to memory and chips.

Programs can be compiled for devices that this machine does not have (`environment`, `topologies`, `programs`). Nothing
here knows how networks are trained: `lpips_jax.training.step_program` compiles the step that `estimates` describes.
"""
