"""Procedural talking faces: the corpus that comes with the repository.

Speakers, their voices and their faces are drawn from random numbers, so that everything here can be tried, and
tested on speakers never seen, without a licence, a download or anybody's likeness.
"""
