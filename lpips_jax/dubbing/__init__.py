"""Dubbing: a face and speech in, a video out in which the face speaks it.

A frame passes through five steps, each in a thread of its own (`stages`), put together by `engine.Dubber`:

  decode       media.playback   reads the frames of the face video, forwards, or forwards and backwards
  find         boxes            takes the boxes of the faces from a file, or from a detector by way of `selection`,
                                which follows people and decides who is dubbed
  generate     compositing      cuts faces out (`cutout`), chooses their references, and passes them with the windows of
                                `speech` to the network (`generator`)
  composite    compositing      puts generated mouths into the frames, and shows each frame to `preview`
  encode       media            writes the output with its sound track

`lookahead` runs decode and find once before, where mouths at rest are to be shown: it finds one for each person.
`options` are the choices of one dub, and `jobs` runs a list of dubs.
"""

from lpips_jax.dubbing.engine import Dubber, dub
from lpips_jax.dubbing.options import Options

__all__ = ['Dubber', 'Options', 'dub']
