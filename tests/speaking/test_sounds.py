"""The table from phones to the sounds of the corpus."""

from data_pipeline.corpora.talking_faces.articulation import BILABIALS, CONSONANTS, VOWELS
from lpips_jax.audio.phones import PHONES
from lpips_jax.audio.visemes import OF_PHONE, OF_SOUND
from lpips_jax.speaking.sounds import SOUNDS, mean_seconds


def test_every_phone_has_sounds_that_the_corpus_makes():
  assert set(PHONES) - {''} <= set(SOUNDS)
  assert {sound.name for sounds in SOUNDS.values() for sound in sounds} <= {*VOWELS, *CONSONANTS}
  assert all(0 < mean_seconds(sound.name) * sound.length < 0.3 for sounds in SOUNDS.values() for sound in sounds)


def test_lips_meet_for_bilabials_and_for_nothing_else():
  for phone, sounds in SOUNDS.items():
    assert any(sound.name in BILABIALS for sound in sounds) == (phone in ('P', 'B', 'M'))


# Phones that sound like sounds of the corpus which look different: ng like n, and lax vowels and o like vowels of about
# their formants.
DIFFERENT = {'AH1', 'HH', 'IH', 'NG', 'OW', 'UH'}


def test_phones_look_as_their_sounds_do():
  looks = {phone: tuple(OF_SOUND[part.name] for part in parts) for phone, parts in SOUNDS.items()}
  assert {phone for phone, shown in looks.items() if shown != OF_PHONE.get(phone)} == DIFFERENT
