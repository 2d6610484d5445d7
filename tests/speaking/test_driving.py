"""The speech of a dub, from a file or from a text."""

import dataclasses

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.dubbing.options import Options
from lpips_jax.dubbing.turns import Turn
from lpips_jax.media.speech import load_speech
from lpips_jax.speaking import Cue, driving, say
from lpips_jax.speaking.driving import SpeechSource, driving_speech, heard
from lpips_jax.storage import stores

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
      assert options.other_inputs == ([] if source.text_file is None else [source.text_file])
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


def test_texts_of_turns_are_said_and_their_subtitles_begin_with_the_turn(tmp_path):
  turns = [Turn(0.0, 1.0, 0, audio=tmp_path / 'a.wav'), Turn(2.0, 2.3, 1, text=TEXT), Turn(4.0, 9.0, 0, text='Yes.')]
  source = SpeechSource(voice='builtin', subtitles=tmp_path / 'out.srt')
  with driving_speech(source, Options(turns=turns)) as (sound, options):
    assert sound is None and options.synthetic_voice == say(TEXT).voice
    files = [turn.audio for turn in options.turns]
    assert files[0] == tmp_path / 'a.wav' and all(turn.text is None for turn in options.turns)
    assert [len(load_speech(file)) for file in files[1:]] == [len(say(text).samples) for text in (TEXT, 'Yes.')]
  assert not files[1].exists()
  shown = (tmp_path / 'out.srt').read_text()
  first, last = say(TEXT).cues[0], say('Yes.').cues[0]
  assert f'00:00:02,{round(1000 * first.begin):03d} --> 00:00:0' in shown and 'Yes.' in shown
  assert f'00:00:04,{round(1000 * last.begin):03d}' in shown


@pytest.mark.parametrize(
  ('source', 'options', 'line'),
  [
    ({}, {}, 'missing audio: give one of audio, text and text_file'),
    ({'audio': 'a.wav', 'text': TEXT}, {}, 'audio and text each say what is said'),
    ({'audio': 'a.wav', 'voice': 'espeak'}, {}, 'voice goes with text or text_file, not with audio'),
    ({'audio': 'a.wav', 'subtitles': 'out.srt'}, {}, 'subtitles goes with text'),
    ({'audio': 'a.wav', 'drive': 'visemes'}, {}, 'drive goes with text'),
    ({'text': TEXT, 'drive': 'lips'}, {}, 'drive must be'),
    ({'text': TEXT, 'subtitles': 'out.txt'}, {}, 'must end in .srt or .vtt'),
    ({'text': TEXT, 'subtitles': 'nowhere/out.srt'}, {}, 'nowhere does not exist'),
    ({'audio': 'a.wav'}, {'turns': 'turns.json'}, 'turns say themselves who says what: leave out audio'),
    ({}, {'turns': 'nowhere.json'}, 'the turns nowhere.json cannot be read'),
  ],
)
def test_sources_that_are_none(source, options, line):
  with pytest.raises(UserError, match=line), driving_speech(SpeechSource(**source), Options(**options)):
    pass


def test_texts_and_subtitles_may_be_remote(gs_bucket, tmp_path):
  url = gs_bucket.url
  stores.write(f'{url}/text.txt', TEXT.encode())
  local = SpeechSource(text=TEXT, subtitles=tmp_path / 'out.srt')
  remote = SpeechSource(text_file=f'{url}/text.txt', subtitles=f'{url}/out.srt')
  with driving_speech(local, Options()):
    pass
  with driving_speech(remote, Options()) as (sound, options):
    assert len(load_speech(sound)) == len(say(TEXT).samples)
    assert options.other_inputs == [remote.text_file] and options.other_outputs == [remote.subtitles]
  assert stores.read(f'{url}/out.srt') == (tmp_path / 'out.srt').read_bytes()
  with (
    pytest.raises(UserError, match=r'voice=gs://b/v\.onnx must be on this machine'),
    driving_speech(SpeechSource(text=TEXT, voice='gs://b/v.onnx'), Options()),
  ):
    pass


@pytest.mark.parametrize('drive', [None, 'sound', 'visemes'])
def test_a_voice_tells_its_phones_if_visemes_drive(drive):
  with driving_speech(SpeechSource(text=TEXT, drive=drive), Options()) as (_, options):
    assert options.said == (say(TEXT).phones if drive == 'visemes' else None)
  with driving_speech(SpeechSource(drive=drive), Options(turns=[Turn(0.0, 1.0, 0, text=TEXT)])) as (_, options):
    assert options.turns[0].said == (say(TEXT).phones if drive == 'visemes' else None)


def test_visemes_drive_where_the_voice_tells_its_sounds_alone(monkeypatch):
  silent = dataclasses.replace(say(TEXT), phones=None)
  monkeypatch.setattr(driving, 'say', lambda *_: silent)
  for source, options, problem in (
    (SpeechSource(text=TEXT, voice='a.onnx', drive='visemes'), {}, 'voice=a.onnx does not tell when'),
    (SpeechSource(drive='visemes'), {'turns': [Turn(0.0, 1.0, 0, audio='a.wav')]}, 'turn 1 has audio, whose sounds'),
  ):
    with pytest.raises(UserError, match=problem) as caught, driving_speech(source, Options(**options)):
      pass
    assert 'drive' in caught.value.options and '\n' not in str(caught.value)
