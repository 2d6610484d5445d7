"""The speech of a dub, from a file or from a text."""

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.dubbing.options import Options
from lpips_jax.media.speech import load_speech
from lpips_jax.speaking import Cue, say
from lpips_jax.speaking.driving import SpeechSource, driving_speech, heard

TEXT = 'Good morning.'


def test_a_file_is_used_as_it_is(tmp_path):
  options = Options()
  with driving_speech(SpeechSource(audio=tmp_path / 'speech.wav'), options) as opened:
    assert opened == (tmp_path / 'speech.wav', options)


def test_a_text_is_said_into_a_file_for_the_time_of_the_dub(tmp_path):
  (tmp_path / 'text.txt').write_text(TEXT)
  for source in (SpeechSource(text=TEXT), SpeechSource(text_file=tmp_path / 'text.txt', voice='builtin')):
    with driving_speech(source, Options(sharpen=0.5)) as (sound, options):
      assert len(load_speech(sound)) == len(say(TEXT).samples)
      assert options.synthetic_voice == say(TEXT).voice and options.sharpen == 0.5
    assert not sound.exists() and not sound.parent.exists()


def test_subtitles_are_written_after_a_dub_that_succeeded(tmp_path):
  source = SpeechSource(text=TEXT, subtitles=tmp_path / 'out.srt')
  with pytest.raises(UserError, match='the dub'), driving_speech(source, Options()):
    raise UserError('the dub failed')
  assert not (tmp_path / 'out.srt').exists()
  with driving_speech(source, Options()):
    assert not (tmp_path / 'out.srt').exists()
  assert TEXT in (tmp_path / 'out.srt').read_text()


def test_subtitles_are_of_the_part_that_is_dubbed():
  cues = [Cue(0.0, 1.0, 'one '), Cue(1.0, 2.0, 'two '), Cue(3.0, 4.0, 'three')]
  assert heard(cues, Options()) == cues
  assert heard(cues, Options(audio_part=(1.5, 9))) == [Cue(0.0, 0.5, 'two '), Cue(1.5, 2.5, 'three')]
  assert heard(cues, Options(audio_part=(1, 9), only=(0.5, 2.5))) == [Cue(0.0, 0.5, 'two '), Cue(1.5, 2.0, 'three')]


@pytest.mark.parametrize(
  ('source', 'line'),
  [
    ({}, 'missing audio: give one of audio, text and text_file'),
    ({'audio': 'a.wav', 'text': TEXT}, 'audio and text each say what is said'),
    ({'audio': 'a.wav', 'voice': 'espeak'}, 'voice goes with text or text_file, not with audio'),
    ({'audio': 'a.wav', 'subtitles': 'out.srt'}, 'subtitles goes with text'),
    ({'text': TEXT, 'subtitles': 'out.txt'}, 'must end in .srt or .vtt'),
    ({'text': TEXT, 'subtitles': 'nowhere/out.srt'}, 'nowhere does not exist'),
  ],
)
def test_sources_that_are_none(source, line):
  with pytest.raises(UserError, match=line):
    SpeechSource(**source)
