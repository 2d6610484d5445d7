"""Preparation: raw videos become prepared clips.

Rejected are clips that cannot be read, that have no sound or no face, or that keep fewer than `min_frames` frames
(`cutting`); that crash their worker (`local`); whose names cannot be file names, or whose speaker is held out in
another split (`layouts`); and, with a sync expert, records of low confidence or too large an offset (`sync_filter`).

`layouts` finds the raw clips of a corpus, `cutting` cuts each into records, `sync_filter` rejects or realigns records
whose lips and speech disagree, `store` writes the result, and `report` shows what there is. `local` runs this in
processes of one machine, `cluster` on many.
"""
