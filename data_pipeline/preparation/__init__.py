"""Preparation: raw videos become prepared clips.

`layouts` finds the raw clips of a corpus, `cutting` cuts each into records, `sync_filter` rejects or realigns records
whose lips and speech disagree, `store` writes the result, and `report` shows what there is. `local` runs this in
processes of one machine, `cluster` on many.
"""
