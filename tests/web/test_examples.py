"""The examples: films, a picture and speech that the page can be tried with."""

from lpips_jax.media.speech import load_speech
from lpips_jax.media.video_reader import probe
from lpips_jax.web import examples


def test_the_examples_can_be_dubbed(tmp_path, monkeypatch):
  monkeypatch.setattr(examples, 'SECONDS', 0.4)
  monkeypatch.setattr(examples, 'SIDE', 64)
  drawn = examples.draw(tmp_path)
  film, pair, still = (probe(example.file) for example in drawn.faces)
  assert (film.width, pair.width, film.frames, pair.frames) == (64, 128, 10, 10)
  assert still.still and not film.still
  assert all(probe(example.picture).still for example in drawn.faces)
  assert [len(load_speech(example.file)) for example in drawn.speeches] == [6400, 6400]
  assert drawn.all()['two-people.mp4'] is drawn.faces[1]
