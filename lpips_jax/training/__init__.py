"""Training: state, steps, loop, checkpoints and what a person sees of them."""
