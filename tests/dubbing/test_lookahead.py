"""A look ahead: people are distinguished, and each gets a mouth at rest, wherever in the film it is."""

import cv2
import numpy as np

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.dubbing.lookahead import MAX_CROPS, KnownPerson, PersonMatcher, mouth_at_rest
from lpips_jax.faces.cropping import crop


def test_people_are_distinguished_by_place_and_by_looks():
  rng = np.random.default_rng(0)
  one, other = (rng.integers(0, 256, (12, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(2))
  here, there = np.array([0.0, 0, 50, 50, 0]), np.array([200.0, 0, 250, 50, 0])
  people = PersonMatcher()
  first, second = people.see([here, there], [one, other])
  assert people.see([there, here], [other, one]) == [second, first]
  [after_a_cut] = people.see([here], [other])
  assert after_a_cut is not first


def test_kept_crops_are_from_all_over_the_film():
  person = KnownPerson(0, np.zeros(5))
  kept = []
  for frame in range(1000):
    if person.seen % person.spacing == 0:
      person.keep(np.full((2, 2, 3), frame % 256, np.uint8))
      kept.append(frame)
    person.seen += 1
  assert len(person.crops) <= MAX_CROPS
  assert kept[0] == 0 and kept[-1] > 900 and person.spacing > 10


def _known(number, crops):
  return KnownPerson(number, np.zeros(5), crops=list(crops), missing=[0.0] * len(crops))


def test_a_mouth_at_rest_comes_from_another_shot_of_the_same_person_if_need_be():
  drawn = draw_clip(3, 'test', 0, 0, 4.0)
  crops = [crop(frame, box, 96) for box, frame in zip(drawn.boxes, drawn.scene(), strict=True)]
  stranger = draw_clip(3, 'test', 1, 0, 1.0)
  others = [crop(frame, box, 96) for box, frame in zip(stranger.boxes, stranger.scene(), strict=True)]
  order = np.argsort(drawn.mouth_opening)
  speaking = _known(0, [crops[k] for k in order[-4:]])  # a short shot in which the mouth is wide open
  everybody = [speaking, _known(1, crops[::3]), _known(2, others[::3])]
  found = mouth_at_rest(speaking, everybody)
  openings = [o for o, c in zip(drawn.mouth_opening, crops, strict=True) if np.array_equal(c, found)]
  assert openings and min(openings) < 0.3 * drawn.mouth_opening.max()
  alone = mouth_at_rest(speaking, [speaking, everybody[2]])
  assert any(np.array_equal(alone, c) for c in speaking.crops)  # a stranger's mouth is nobody else's


def test_a_face_that_is_cut_off_is_not_shown_where_others_are_whole():
  drawn = draw_clip(3, 'test', 0, 0, 4.0)
  crops = list(drawn.crops(96))[::3]
  alone = _known(0, crops)
  chosen = next(k for k, c in enumerate(crops) if c is mouth_at_rest(alone, [alone]))
  cut_off = KnownPerson(0, np.zeros(5), crops=crops, missing=[0.1 * (k == chosen) for k in range(len(crops))])
  assert mouth_at_rest(cut_off, [cut_off]) is not crops[chosen]
  always = KnownPerson(0, np.zeros(5), crops=crops, missing=[0.1] * len(crops))
  assert mouth_at_rest(always, [always]) is crops[chosen]


def test_a_larger_crop_serves_as_well():
  drawn = draw_clip(3, 'test', 2, 0, 2.0)
  crops = [cv2.resize(c, (200, 200)) for c in drawn.crops(96)]
  found = mouth_at_rest(_known(0, crops), [_known(0, crops)])
  [k] = [k for k, c in enumerate(crops) if np.array_equal(c, found)]
  assert drawn.mouth_opening[k] < 0.35 * drawn.mouth_opening.max()
