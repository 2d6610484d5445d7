"""Writes the raw material of a dubbing: the video of one procedural speaker, and the speech of another.

python -m data_pipeline.corpora.talking_faces.sample --output=runs/demo --seed=7
"""
