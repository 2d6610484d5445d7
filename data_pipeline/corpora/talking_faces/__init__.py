"""Procedural talking faces: the corpus that comes with the repository.

Faces, voices and speech are drawn from random numbers, so that everything can be tried, and tested on unseen speakers,
without a licence, a download or anybody's likeness. `appearance` draws a face and `portrait`, `features` and `canvas`
paint it; `articulation` draws speech, which `voice` makes audible and `face` visible; `clips` puts them together.
"""
