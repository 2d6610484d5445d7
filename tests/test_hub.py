import os
import re
import shutil
import subprocess
import sys

import huggingface_hub
import pytest
from fake_hub import TOKEN, running
from huggingface_hub import constants
from networks import random_network

from lpips_jax import hub, pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.pretrained import checkpoint_dir, model_card
from lpips_jax.storage import transfer

REPO = 'anna/lips'


@pytest.fixture(scope='module')
def original(tmp_path_factory):
  """A generator's checkpoint directory of two steps, with its expert, and what only training needs."""
  directory = tmp_path_factory.mktemp('original') / 'checkpoint'
  network = random_network('generator')
  for step in 3, 5:
    checkpoint_dir.write(directory, network.config, network.variables, step)
  (directory / '5' / 'state').mkdir()
  (directory / '5' / 'state' / 'array').write_bytes(b'only training needs it')
  model_card.write(directory, network.config, network.variables, 5, {'loss': 1.5})
  pretrained.save(directory / 'sync_expert', random_network('sync_expert'))
  return directory


@pytest.fixture
def server(tmp_path, monkeypatch):
  """A hub at the address that huggingface_hub talks to, whose users are logged in."""
  with running() as server:
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, server.address)
    monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', template)
    monkeypatch.setattr(constants, 'ENDPOINT', server.address)
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(constants, 'HF_TOKEN_PATH', str(tmp_path / 'token'))
    monkeypatch.setattr(constants, 'HF_HUB_DISABLE_XET', True, raising=False)  # which has servers of its own
    monkeypatch.setenv('HF_TOKEN', TOKEN)
    yield server


def contents(directory):
  return {path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob('*') if path.is_file()}


def test_what_is_pushed_is_pulled_bit_for_bit(original, server, tmp_path, capsys):
  address = hub.push(REPO, original)
  assert re.search(r'anna/lips \(public, if new\), revision main:\n  README.md +0.00\d MB', capsys.readouterr().out)
  assert address == f'{server.address}/{REPO}/commit/{server.branches[REPO, "main"]}'
  report = hub.pull(REPO, tmp_path / 'theirs')
  pulled = contents(tmp_path / 'theirs')
  needed = {name: content for name, content in contents(original).items() if not name.startswith(('3/', '5/state'))}
  assert pulled == needed
  assert pretrained.load(tmp_path / 'theirs').fingerprint == pretrained.load(original).fingerprint
  assert pretrained.load_expert_of(tmp_path / 'theirs').config.task == 'sync_expert'
  assert report.splitlines()[0] == '# attn_wav2lip, generator'
  assert 'shows nobody' in report
  assert report.endswith(f'{tmp_path / "theirs"}: generator, step 5')
  assert server.large  # binary files go another way than text


def test_networks_that_taught_a_generator_are_pushed_with_it_under_their_terms(original, server, tmp_path):
  taught = shutil.copytree(original, tmp_path / 'taught')
  for name in 'lip_reader', 'av_expert':
    pretrained.save(taught / name, random_network(name))
    model_card.write(taught / name, random_network(name).config, random_network(name).variables, 3, None)
  hub.push(REPO, taught)
  hub.pull(REPO, tmp_path / 'theirs')
  pulled = contents(tmp_path / 'theirs')
  for name in 'sync_expert', 'lip_reader', 'av_expert':
    assert {file for file in pulled if file.startswith(f'{name}/')} == {
      f'{name}/{file}' for file in contents(taught / name)
    }
    assert pretrained.load_of_task(tmp_path / 'theirs' / name, name).step == 3

  config = checkpoint_dir.read_config(taught / 'av_expert')
  config.terms = 'For fun only.'  # as of converted weights
  (taught / 'av_expert' / 'config.json').write_text(config.to_json_best_effort())
  with pytest.raises(UserError, match=r'^For fun only\. If you have the right to publish'):
    hub.push(REPO, taught)
  (taught / model_card.FILE).unlink()
  card = hub.files_to_push(taught, all_steps=False, may_publish=True)['README.md'].decode()
  assert 'license: other' in card and '- lip_reader\n- av_expert: For fun only.\n' in card


@pytest.mark.slow
def test_buckets_are_pushed_from_and_pulled_to(original, server, gs_bucket, tmp_path):
  checkpoint = f'{gs_bucket.url}/checkpoint'
  transfer.upload(original, checkpoint)
  with pytest.raises(UserError, match=r'checkpoint=gs://.* must be on this machine'):
    hub.push(REPO, checkpoint, all_steps=True)
  hub.push(REPO, checkpoint)
  assert hub.pull(REPO, f'{gs_bucket.url}/theirs').endswith(f'{gs_bucket.url}/theirs: generator, step 5')
  assert pretrained.load(f'{gs_bucket.url}/theirs').fingerprint == pretrained.load(original).fingerprint
  with pytest.raises(UserError, match='theirs is there already'):
    hub.pull(REPO, f'{gs_bucket.url}/theirs')


def test_the_card_begins_with_what_the_hub_reads(original, server):
  hub.push(REPO, original)
  card = server.files(REPO)['README.md'].decode()
  read = huggingface_hub.ModelCard(card)
  assert read.data.to_dict() == {
    'library_name': 'lpips-jax',
    'license': 'apache-2.0',
    'pipeline_tag': 'video-to-video',
    'tags': ['lip-sync', 'talking-head', 'jax', 'flax', 'generator'],
  }
  assert read.text.strip() == (original / 'MODEL_CARD.md').read_text().strip()


def test_a_second_push_takes_the_place_of_the_first(original, server, tmp_path):
  hub.push(REPO, original, all_steps=True)
  server.commit(REPO, server.files(REPO) | {'samples.png': b'a picture of the owner'})
  assert {'3', '5'} <= {name.partition('/')[0] for name in server.files(REPO)}
  hub.push(REPO, original / '3')
  assert '5' not in {name.partition('/')[0] for name in server.files(REPO)}
  assert 'samples.png' in server.files(REPO)
  assert hub.pull(REPO, tmp_path / 'theirs').endswith('step 3')
  card = (tmp_path / 'theirs' / 'MODEL_CARD.md').read_text()
  assert ' after 3 updates.' in card  # not the one of the newest step, nor its figures
  assert 'loss' not in card.partition('## Evaluation')[2]
  assert not (tmp_path / 'theirs' / 'samples.png').exists()


def test_a_new_repository_is_private_if_asked_for_and_a_branch_is_made(original, server, tmp_path):
  hub.push(REPO, original, revision='trial', private=True)
  assert server.private == {REPO}
  assert 'config.json' not in server.files(REPO)
  assert hub.pull(REPO, tmp_path / 'theirs', revision='trial').endswith('step 5')


def test_a_download_that_breaks_off_goes_on_where_it_ended(original, server, tmp_path, monkeypatch):
  hub.push(REPO, original)
  name, content = max(server.files(REPO).items(), key=lambda file: len(file[1]))
  server.cut.add(name)
  server.asked.clear()
  monkeypatch.setattr(constants, 'DOWNLOAD_CHUNK_SIZE', 1000)
  hub.pull(REPO, tmp_path / 'theirs')
  assert (tmp_path / 'theirs' / name).read_bytes() == content
  ranges = [asked for method, path, asked in server.asked if method == 'GET' and path.endswith(name)]
  assert len(ranges) == 2
  assert ranges[0] is None
  assert 0 < int(ranges[1].removeprefix('bytes=').partition('-')[0]) <= len(content) // 2


def test_a_second_pull_downloads_nothing(original, server, tmp_path):
  hub.push(REPO, original)
  hub.pull(REPO, tmp_path / 'first')
  server.asked.clear()
  hub.pull(REPO, tmp_path / 'second')
  assert not [path for method, path, _ in server.asked if method == 'GET' and '/resolve/' in path]
  assert contents(tmp_path / 'first') == contents(tmp_path / 'second')


def with_corpus(original, directory, name, part='.', **changes):
  copied = shutil.copytree(original, directory) / part
  config = checkpoint_dir.read_config(copied)
  config.data.name = name
  config.update(changes)
  (copied / 'config.json').write_text(config.to_json_best_effort())
  return directory


@pytest.mark.parametrize(
  ('name', 'part', 'changes', 'reason'),
  [
    ('lrs2', '.', {}, 'LRS2 is licensed by the BBC for research only'),
    ('talking_faces/quickstart:1,lrw:3', '.', {}, 'LRW is licensed by the BBC'),
    ('lrs3', 'sync_expert', {}, 'CC BY-NC-ND'),
    ('folder', '.', {}, 'Only whoever trained these weights knows'),
    ('talking_faces', '.', {'init_from': 'runs/other'}, 'Only whoever trained these weights knows'),
  ],
)
def test_weights_under_terms_are_published_by_those_who_may(original, server, tmp_path, name, part, changes, reason):
  bound = with_corpus(original, tmp_path / 'bound', name, part, **changes)
  with pytest.raises(UserError, match=rf'{reason}.*add may_publish=True') as error:
    hub.push(REPO, bound)
  assert '\n' not in str(error.value)
  assert not server.asked
  assert (
    b'license: other\nlicense_name: terms' in hub.files_to_push(bound, all_steps=False, may_publish=True)['README.md']
  )


def test_no_checkpoint_is_pushed_as_one(server, tmp_path):
  with pytest.raises(UserError, match='is not a checkpoint directory'):
    hub.push(REPO, tmp_path)
  (tmp_path / 'model.stablehlo').write_bytes(b'a program')
  with pytest.raises(UserError, match='is exported StableHLO'):
    hub.push(REPO, tmp_path)
  assert not server.asked


@pytest.mark.parametrize(
  ('name', 'reason'),
  [
    ('../evil', 'no path inside it'),
    ('5/../../evil', 'no path inside it'),
    ('/etc/evil', 'no path inside it'),
    ('5\\..\\evil', 'no path inside it'),
    ('5//evil', 'no path inside it'),
    ('5/\x1b[2Jevil', 'no path inside it'),
    ('5/model/weights.pkl', 'a pickle, which may execute code'),
    ('pytorch_model.BIN', 'a pickle, which may execute code'),
  ],
)
def test_names_that_lead_out_and_pickles_are_refused(server, tmp_path, name, reason):
  server.commit(REPO, {'config.json': b'{}', '5/model/x': b'', name: b'evil'})
  with pytest.raises(UserError, match=f'{reason}.*nothing was downloaded') as error:
    hub.pull(REPO, tmp_path / 'theirs')
  assert str(error.value).isprintable()
  assert not [path for _, path, _ in server.asked if '/resolve/' in path]


def test_only_files_of_a_checkpoint_are_downloaded(server, tmp_path):
  names = ['config.json', 'README.md', '5/model/d/0a', 'sync_expert/config.json', 'sync_expert/3/model/d/0a']
  others = ['setup.py', 'model.py', '5/a b', 'state/array', 'sync_expert/run.py', '.gitattributes', 'best/model/x']
  assert [*hub.files_to_pull(REPO, dict.fromkeys(names + others, 1))] == names
  server.commit(REPO, dict.fromkeys(others, b''))
  with pytest.raises(UserError, match='holds no checkpoint of this project'):
    hub.pull(REPO, tmp_path / 'theirs')


def test_a_damaged_checkpoint_leaves_nothing(original, server, tmp_path):
  hub.push(REPO, original)
  server.commit(REPO, {name: content for name, content in server.files(REPO).items() if '_METADATA' not in name})
  with pytest.raises(UserError, match=r'^anna/lips cannot be used: anna/lips is damaged or incomplete') as error:
    hub.pull(REPO, tmp_path / 'theirs')
  assert str(tmp_path) not in str(error.value)
  assert [path.name for path in tmp_path.iterdir()] == ['cache']


def test_the_report_holds_nothing_that_controls_a_terminal(original, server, tmp_path):
  hub.push(REPO, original)
  card = server.files(REPO)['README.md'].replace(b'# attn', b'# \x1b]0;evil\x07attn')
  server.commit(REPO, server.files(REPO) | {'README.md': card})
  report = hub.pull(REPO, tmp_path / 'theirs')
  assert report.replace('\n', '').isprintable()
  assert report.startswith('# ]0;evilattn')


def test_errors_of_the_hub_are_one_line(original, server, tmp_path, monkeypatch):
  def refused(match, act, *arguments, **options):
    with pytest.raises(UserError, match=match) as error:
      act(*arguments, **options)
    assert '\n' not in str(error.value)
    assert not (tmp_path / 'theirs').exists()

  refused('repo must be NAME/REPO', hub.pull, 'lips', tmp_path / 'theirs')
  refused('is not on the hub, or not for you', hub.pull, 'anna/nothing', tmp_path / 'theirs')
  hub.push(REPO, original)
  refused('has no revision v9', hub.pull, REPO, tmp_path / 'theirs', revision='v9')
  server.gated.add(REPO)
  refused(f'accept its terms: do so at {server.address}/{REPO}', hub.pull, REPO, tmp_path / 'theirs')
  monkeypatch.setenv('HF_TOKEN', 'hf_of_somebody_else')
  refused('the hub refused anna/new: you are not logged in', hub.push, 'anna/new', original)
  monkeypatch.delenv('HF_TOKEN')
  refused('log in with `hf auth login`', hub.push, REPO, original)
  monkeypatch.setattr(constants, 'ENDPOINT', 'http://127.0.0.1:9')
  refused('127.0.0.1:9 cannot be reached.*check the network', hub.pull, REPO, tmp_path / 'theirs')
  with pytest.raises(UserError, match='is there already'):
    hub.pull(REPO, tmp_path)


def test_the_command_talks_to_the_hub_that_the_environment_names(tmp_path):
  with running() as server:
    environment = os.environ | {'HF_ENDPOINT': server.address, 'HF_HOME': str(tmp_path), 'HF_TOKEN': TOKEN}
    command = [sys.executable, '-m', 'lpips_jax.hub', 'pull', 'anna/nothing', f'--output={tmp_path / "theirs"}']
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
  assert ended.returncode == 2
  assert (
    ended.stderr == 'hub.py: anna/nothing is not on the hub, or not for you: check its name, and log in (HF_TOKEN)\n'
  )
  assert ('GET', '/api/models/anna/nothing', None) in server.asked
