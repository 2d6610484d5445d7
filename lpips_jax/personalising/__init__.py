"""Tuning a generator to one person, which `personalise.py` does.

`recipe` has the config of the run, `estimate` its duration, `scoring` its gain, and `preview` videos from before and
after; `page` shows the result.
"""
