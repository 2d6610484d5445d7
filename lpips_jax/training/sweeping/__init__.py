"""Sweeps: many training runs of one config, with every combination of some values, and one table of what came out.

`grids` reads the values, `combinations` makes a sweep of them, `sweeps` keeps it in its workdir, `running` trains its
runs one after the other, `results` reads what they logged, and `tables` shows it. The command is
`python -m lpips_jax.sweep`.
"""
