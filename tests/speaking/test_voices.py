"""One function for all voices."""

import subprocess
import sys

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.speaking import say


def test_the_built_in_voice_is_the_default():
  utterance = say('Hello\r\nthere, \x00world! 🙂')
  assert ''.join(cue.text for cue in utterance.cues) == 'Hello there, world! 🙂'
  assert utterance.voice == 'the built-in voice: a simple synthesiser'


def test_voices_are_chosen_by_name():
  pytest.importorskip('espeakng_loader')
  assert say('Hello.', 'espeak:f3', 'en-gb').voice.endswith('en-gb+f3')
  with pytest.raises(UserError, match=r'needs the files v.onnx and v.onnx.json'):
    say('Hello.', 'v.onnx')


@pytest.mark.parametrize('voice', ['', 'Builtin', 'v.wav', 'espeaks', 'espeak-f3'])
def test_other_names_are_refused(voice):
  with pytest.raises(UserError, match='voice must be builtin, espeak, espeak:VARIANT or a file'):
    say('Hello.', voice)


@pytest.mark.parametrize('voice', ['builtin', 'espeak', 'v.onnx'])
@pytest.mark.parametrize('text', ['', ' \r\n', '?!', '🙂', '\x07'])
def test_nothing_to_say_is_one_line_for_all_voices(voice, text):
  with pytest.raises(UserError, match='nothing to say'):
    say(text, voice)


def test_importing_the_package_loads_neither_jax_nor_ffmpeg_nor_tensorflow_datasets():
  heavy = "{'jax', 'av', 'tensorflow_datasets', 'cv2', 'librosa', 'onnxruntime', 'piper'}"
  code = f'import sys, lpips_jax.speaking; print(sorted({heavy} & set(sys.modules)))'
  assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout == '[]\n'
