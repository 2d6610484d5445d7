"""Voice files of piper: a tiny random network in their form stands for them."""

import itertools
import json
import sys

import numpy as np
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.speaking import piper

TEXT = 'Hello, Mr. Smith! It is <b>[[late]]</b> 🙂. Bye'
HOP = 64


@pytest.fixture(scope='module')
def voices(tmp_path_factory):
  """A voice without alignments and one with them; both last three to six hops a phoneme, and draw noise."""
  pytest.importorskip('piper', reason='needs piper-tts')
  onnx = pytest.importorskip('onnx', reason='needs onnx, to make a voice')
  directory = tmp_path_factory.mktemp('voices')
  for name in 'plain', 'aligned':
    onnx.save(network(onnx, aligned=name == 'aligned'), directory / f'{name}.onnx')
    (directory / f'{name}.onnx.json').write_text(json.dumps(description()))
  return directory


def network(onnx, aligned):
  """A network from phonemes to sound: each repeats its own wave, and noise is added."""
  rng = np.random.default_rng(0)
  values = {
    'table': rng.normal(0, 0.5, (256, 8)).astype(np.float32),
    'lengths': rng.uniform(2.1, 5.9, (256, 1)).astype(np.float32),
    'waves': rng.normal(0, 0.3, (8, HOP)).astype(np.float32),
    'steps': np.arange(8, dtype=np.float32)[None],
    'flat': np.array([-1]),
    'shape': np.array([1, 1, -1]),
    'first': np.array(0),
    'second': np.array(1),
  }
  node = onnx.helper.make_node
  nodes = [
    node('Reshape', ['input', 'flat'], ['ids']),
    node('Gather', ['scales', 'second'], ['slowness']),
    node('Gather', ['lengths', 'ids'], ['usual']),
    node('Mul', ['usual', 'slowness'], ['long']),
    node('Ceil', ['long'], ['hops']),
    node('Reshape', ['hops', 'shape'], ['w_ceil']),
    node('Less', ['steps', 'hops'], ['mask']),
    node('NonZero', ['mask'], ['places']),
    node('Gather', ['places', 'first'], ['rows']),
    node('Gather', ['table', 'ids'], ['letters']),
    node('Gather', ['letters', 'rows'], ['frames']),
    node('Gather', ['scales', 'first'], ['loudness']),
    node('RandomNormalLike', ['frames'], ['noise']),
    node('Mul', ['noise', 'loudness'], ['scaled']),
    node('Add', ['frames', 'scaled'], ['noisy']),
    node('MatMul', ['noisy', 'waves'], ['blocks']),
    node('Reshape', ['blocks', 'shape'], ['output']),
  ]
  info = onnx.helper.make_tensor_value_info
  whole, real = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
  inputs = [info('input', whole, [1, None]), info('input_lengths', whole, [1]), info('scales', real, [3])]
  outputs = [info(name, real, [1, 1, None]) for name in ('output', 'w_ceil')[: 1 + aligned]]
  constants = [onnx.numpy_helper.from_array(value, name) for name, value in values.items()]
  graph = onnx.helper.make_graph(nodes, 'voice', inputs, outputs, constants)
  model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)])
  model.ir_version = 8
  return model


def description(**changes):
  from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

  return {
    'audio': {'sample_rate': 22050},
    'espeak': {'voice': 'en-us'},
    'language': {'code': 'en_US', 'family': 'en', 'name_english': 'English'},
    'inference': {'noise_scale': 0.667, 'length_scale': 1, 'noise_w': 0.8},
    'num_symbols': 256,
    'num_speakers': 1,
    'hop_length': HOP,
    'phoneme_id_map': dict(DEFAULT_PHONEME_ID_MAP),
    **changes,
  }


def test_sentences_have_exact_times(voices):
  utterance = piper.say(TEXT, f'{voices}/plain.onnx')
  assert [cue.text for cue in utterance.cues] == ['Hello, Mr. Smith! ', 'It is <b>[[late]]</b> 🙂. ', 'Bye']
  assert utterance.voice == 'piper voice plain, en-us' and utterance.sample_rate == 22050
  covered = np.zeros(len(utterance.samples), bool)
  for cue in utterance.cues:
    covered[round(cue.begin * 22050) : round(cue.end * 22050)] = True
  assert np.all(utterance.samples[~covered] == 0) and (utterance.samples[covered] == 0).mean() < 0.1
  assert (~covered).sum() == 3 * round(piper.PAUSE * 22050)


def test_words_have_times_where_the_voice_tells(voices):
  plain, aligned = (piper.say('Hello there, Smith! Bye', f'{voices}/{name}.onnx') for name in ('plain', 'aligned'))
  np.testing.assert_array_equal(plain.samples, aligned.samples)
  assert [cue.text for cue in aligned.cues] == ['Hello ', 'there, ', 'Smith! ', 'Bye']
  assert aligned.cues[0].begin == plain.cues[0].begin and aligned.cues[2].end == plain.cues[0].end
  assert all(a.end <= b.begin for a, b in itertools.pairwise(aligned.cues))


def test_the_same_text_gives_the_same_samples(voices):
  first = piper.say(TEXT, f'{voices}/plain.onnx')
  piper.say('Something else.', f'{voices}/plain.onnx')
  np.testing.assert_array_equal(piper.say(TEXT, f'{voices}/plain.onnx').samples, first.samples)


@pytest.mark.parametrize('language', [None, 'en', 'en-us', 'en_US', 'english'])
def test_its_own_language_is_accepted(voices, language):
  assert piper.say('Hello.', f'{voices}/plain.onnx', language).cues


@pytest.mark.parametrize('language', ['de', 'en-gb'])
def test_another_language_is_told(voices, language):
  with pytest.raises(UserError, match=f'speaks en-us, not language={language}'):
    piper.say('Hello.', f'{voices}/plain.onnx', language)


def test_files_that_are_no_voice_are_one_line(voices, tmp_path):
  (tmp_path / 'v.onnx').write_bytes(b'no network')
  cases = [
    ('', 'is no description of it'),
    ('[]', 'is no description of it'),
    ('[' * 100_000, 'is no description of it'),
    (json.dumps(description(language='x')), 'is no description of it'),
    (json.dumps(description(espeak=3)), 'is no description of it'),
    ('{}', 'is no description of it'),
    (json.dumps(description(audio={'sample_rate': 0})), 'is no description of it'),
    (json.dumps(description(phoneme_type='pinyin')), 'fetches further networks'),
    (json.dumps(description()), 'is no voice of piper'),
  ]
  for text, problem in cases:
    (tmp_path / 'v.onnx.json').write_text(text)
    with pytest.raises(UserError, match=problem) as error:
      piper.say('Hello.', f'{tmp_path}/v.onnx')
    assert '\n' not in str(error.value)


def test_without_the_description_one_line_says_so(tmp_path):
  (tmp_path / 'v.onnx').write_bytes(b'')
  with pytest.raises(UserError, match=r'needs the files v.onnx and v.onnx.json: .*json is not there'):
    piper.say('Hello.', f'{tmp_path}/v.onnx')


def test_without_the_package_one_line_says_what_to_install(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, 'piper', None)
  (tmp_path / 'v.onnx').write_bytes(b'')
  (tmp_path / 'v.onnx.json').write_text('{"audio": {"sample_rate": 22050}}')
  with pytest.raises(UserError, match=r"pip install 'lpips-jax\[piper\]'"):
    piper.say('Hello.', f'{tmp_path}/v.onnx')
