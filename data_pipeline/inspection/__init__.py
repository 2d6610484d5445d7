"""Inspection of a corpus before training: `summary` measures its clips and finds problems, `page` shows them."""
