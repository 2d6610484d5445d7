"""A generator tuned to one person: its config, how long that takes, what it gained, and what there is to see of it."""
