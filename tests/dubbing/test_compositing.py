"""Compositing: the generator sees the right crops and references, and its faces end up in the frames."""

import cv2
import numpy as np
from painter import BOX, Painter, write_clip, write_speech

from lpips_jax.dubbing import dub
from lpips_jax.faces.cropping import crop
from lpips_jax.media.video_reader import probe, read_frames


def test_the_generator_sees_the_masked_crop_and_its_reference(media):
  model = Painter()
  dub(**media, checkpoint=model, length='video', batch_size=20)
  first = crop(next(read_frames(media['face'])), BOX, 32) / 255
  np.testing.assert_allclose(model.faces[0, :16, :, :3], first[:16], atol=1.01 / 255)
  np.testing.assert_array_equal(model.faces[:, 16:, :, :3], 0)
  np.testing.assert_allclose(model.faces[0, ..., 3:], first, atol=1.01 / 255)


def test_the_generator_sees_padded_boxes(media):
  model = Painter()
  dub(**media, checkpoint=model, length='video', batch_size=20, pads=(1, 2, 3, 4))
  grown = (BOX[0] - 3, BOX[1] - 1, BOX[2] + 4, BOX[3] + 2)
  np.testing.assert_allclose(
    model.faces[0, ..., 3:], crop(next(read_frames(media['face'])), grown, 32) / 255, atol=1.01 / 255
  )


def test_sharpening_sharpens(media):
  edges = []
  for sharpen in (0.0, 2.0):
    dub(**media, checkpoint=Painter(), sharpen=sharpen, length='video', crf=2)
    grey = cv2.cvtColor(next(read_frames(media['output'])), cv2.COLOR_RGB2GRAY)
    edges.append(np.abs(np.diff(grey[50:84, 40:80].astype(float), axis=0)).max())
  assert edges[1] > edges[0] + 2


class Recorder(Painter):
  """A painter that keeps the references that it sees, and the windows that it hears."""

  def __call__(self, faces, mels):
    self.references = getattr(self, 'references', [])
    self.references += list(np.asarray(faces)[..., 3:])
    self.heard = [*getattr(self, 'heard', []), *np.asarray(mels)]
    return super().__call__(faces, mels)


def test_in_pauses_a_closed_mouth_is_the_reference(media):
  """0.8 s of silence, then speech: pauses get one reference, and silence to speak; speech gets each frame's own."""
  model, closed = Recorder(), Recorder()
  dub(**media, checkpoint=model, length='video', batch_size=20)
  dub(**media, checkpoint=closed, length='video', batch_size=20, silence='closed')
  rests = [k for k in range(20) if not np.array_equal(model.references[k], closed.references[k])]
  assert rests and set(rests) <= set(range(18)) and 10 in rests
  assert len({closed.references[k].tobytes() for k in rests}) == 1
  assert all((closed.heard[k] == -4).all() for k in rests)
  assert np.array_equal(model.heard[19], closed.heard[19])


def test_a_face_may_hang_over_the_edge(tmp_path):
  face = write_clip(tmp_path / 'face.mp4', 8)
  for box in ([-30, 20, 30, 84], [90, 50, 150, 114], [-20, -60, 40, 4], [200, 200, 260, 260]):
    (tmp_path / 'boxes.json').write_text(str([box] * 8))
    speech = write_speech(tmp_path / 'speech.wav', 0, 0.32)
    dub(face, speech, tmp_path / 'out.mp4', Painter(), boxes=tmp_path / 'boxes.json', length='video')
    assert probe(tmp_path / 'out.mp4').frames == 8
