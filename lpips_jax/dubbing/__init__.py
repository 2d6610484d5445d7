"""Dubbing: a face and speech in, a video out in which the face speaks it.

A frame passes through five steps, each in a thread of its own (`stages`), put together by `engine.Dubber`:

  decode      `media.playback` reads the frames of the face video, forwards, or forwards and backwards
  find        `boxes` reads the faces' boxes from a file, or asks a detector; `selection` follows people, and decides
              who is dubbed
  generate    `compositing` cuts faces out (`cutout`), chooses their references, and gives them to the network
              (`generator`) with the windows of the speech (`speech`)
  composite   `compositing` puts the generated mouths into the frames, shows them to `preview`, and `label` writes "AI
              MODIFIED" into them if asked
  encode      `media.video_writer` writes the output with its sound track

`lookahead` runs decode and find once before, where mouths at rest are to be shown: it finds one for each person.
`speakers` finds out who speaks in the film, from the motion of lips (`lip_motion`) and a model of taking turns
(`turn_taking`); `turns` reads a transcript that gives each person a speech of their own. `inputs` opens the face and
the speech, `options` are the choices of one dub, and `jobs` runs a list of dubs.
"""

from lpips_jax.dubbing.engine import Dubber, dub
from lpips_jax.dubbing.options import Options

__all__ = ['Dubber', 'Options', 'dub']
