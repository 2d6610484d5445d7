"""app.py as people meet it: in a real browser, by the examples of docs/page.md, and on the command line."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import random_network
from painter import write_speech
from videos import face_frames, write_mp4

from lpips_jax import pretrained
from lpips_jax.media.video_reader import probe, read_frames

pytest.importorskip('gradio', reason='the page needs Gradio')

ROOT = Path(__file__).parents[1]
BROWSERS = 'chromium', 'chromium-browser', 'google-chrome'
BROWSER = next((path for path in map(shutil.which, BROWSERS) if path), None)
BROWSER_FLAGS = (
  '--headless=new',
  '--no-sandbox',
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
)
LONG = 60.0  # seconds of speech: a dub that does not end by itself in a test
PATIENCE = 30_000  # milliseconds
in_a_browser = pytest.mark.skipif(BROWSER is None, reason=f'none of {", ".join(BROWSERS)} is here')


class Server:
  """A page in a process of its own, and its temporary files."""

  def __init__(self, directory: Path):
    pretrained.save(directory / 'checkpoint', random_network('generator'))
    (directory / 'tmp').mkdir()
    command = [sys.executable, str(ROOT / 'app.py'), '--checkpoint=checkpoint', '--port=0', '--detector=cascade']
    command.append('--max_megabytes=10')
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'TMPDIR': str(directory / 'tmp')}
    self.log = directory / 'log'
    with self.log.open('w') as log:
      self.process = subprocess.Popen(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
      )
    self.url = re.search(r'http://[\d.:]+', self.process.stdout.readline())[0]
    [self.root] = (directory / 'tmp').glob('lpips-jax-page-*')

  def kept(self, folder: str) -> list[str]:
    """The names of the files in a folder of the page."""
    return sorted(path.name for path in (self.root / folder).rglob('*') if path.is_file() and path.stat().st_size)

  def close(self) -> None:
    self.process.send_signal(signal.SIGTERM)
    self.process.communicate(timeout=30)


@pytest.fixture(scope='module')
def server(tmp_path_factory):
  server = Server(tmp_path_factory.mktemp('page'))
  yield server
  server.close()
  assert not server.root.exists()
  assert 'Traceback' not in server.log.read_text()


@pytest.fixture(scope='module')
def chromium():
  sync_api = pytest.importorskip('playwright.sync_api')
  with sync_api.sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=BROWSER, args=[*BROWSER_FLAGS])
    yield browser
    browser.close()


@pytest.fixture(scope='module')
def files(tmp_path_factory):
  """A film of somebody, and short and long speech."""
  directory = tmp_path_factory.mktemp('files')
  frames, sound = face_frames(0, 2.0, 256)
  write_mp4(directory / 'me.mp4', frames, sound)
  write_speech(directory / 'speech.wav', 0.2, 0.8)
  write_speech(directory / 'long.wav', 0.0, LONG)
  (directory / 'notes.mp4').write_text('no film at all\n' * 100)
  return directory


class Visitor:
  """Somebody with a browser at the page; complains about errors in its console and requests to others."""

  def __init__(self, chromium, url: str, width: int = 1280):
    self.context = chromium.new_context(viewport={'width': width, 'height': 900}, accept_downloads=True)
    self.page = self.context.new_page()
    self.page.set_default_timeout(PATIENCE)
    self.complaints = []
    self.page.on('console', lambda line: line.type == 'error' and self.complaints.append(line.text))
    self.page.on('pageerror', lambda error: self.complaints.append(str(error)))
    self.page.on('request', lambda request: self._see(request.url, url))
    self.page.goto(url)
    self.page.wait_for_selector('#dub')

  def _see(self, address: str, url: str) -> None:
    if not address.startswith((url, 'data:', 'blob:')):
      self.complaints.append(f'asked {address}')

  def gives(self, face: Path | None = None, speech: Path | None = None) -> None:
    if face is not None:
      self.page.set_input_files('#face-file input[type=file]', face)
      self.page.wait_for_selector('#sight .face')
    if speech is not None:
      self.page.set_input_files('#speech-file input[type=file]', speech)
      self.page.wait_for_selector('#heard audio')

  def consents(self) -> None:
    self.page.get_by_label('has agreed').check()

  def says(self, selector: str = '#status') -> str:
    return self.page.inner_text(selector)

  def waits_for(self, text: str, selector: str = '#status') -> None:
    self.page.wait_for_selector(f'{selector}:has-text("{text}")')

  def leaves(self) -> None:
    self.context.close()
    assert not self.complaints


@in_a_browser
def test_from_an_example_to_the_download(server, chromium, files, tmp_path):
  visitor = Visitor(chromium, server.url)
  page = visitor.page
  page.click('#dub')
  visitor.waits_for('There is no face yet')
  page.locator('#step-face').get_by_role('tab', name='Examples').click()
  page.click('#face-examples .example:has-text("Two people")')
  page.wait_for_selector('#sight .face')
  page.wait_for_selector('#status .bad', state='detached')
  page.locator('#sight .face').nth(1).press('Enter')
  assert page.get_by_label('Face 2', exact=True).is_checked()
  assert page.get_attribute('#sight .face >> nth=1', 'aria-pressed') == 'true'
  pressed = '#face-examples .example[aria-pressed=true]'
  assert page.inner_text(pressed) == 'Two people'
  with page.expect_download() as download:
    page.click('#sight a:has-text("Save this example")')
  assert probe(download.value.path()).width == 640
  page.click('#dub')
  visitor.waits_for('There is no speech yet')
  page.locator('#step-speech').get_by_role('tab', name='Examples').click()
  page.click('#speech-examples .example >> nth=0')
  page.wait_for_selector('#heard audio')
  page.click('#preview')
  visitor.waits_for('Tick the box')
  visitor.consents()
  page.click('#preview')
  visitor.waits_for('The preview from 0 s on is ready', '#result')
  page.click('.play')
  page.wait_for_function("document.querySelector('#result figure:last-child video').currentTime > 0.5")
  before, after = page.evaluate("[...document.querySelectorAll('#result video')].map((video) => video.currentTime)")
  assert abs(before - after) < 0.3
  with page.expect_download() as download:
    page.click('text=Download the video')
  download.value.save_as(tmp_path / 'dubbed.mp4')
  info = probe(tmp_path / 'dubbed.mp4')
  assert (info.width, info.height, info.frames) == (640, 320, 50)
  command = page.inner_text('.command code')
  assert '--face=two-people.mp4 --audio=a-voice.wav' in command and '--only=0,2 --label=corner' in command
  assert re.search(r'--face_at=\d+', command)
  with page.expect_download() as download:
    page.click('text=Boxes of the face')
  assert len(json.loads(Path(download.value.path()).read_text())) >= 50
  page.set_input_files('#face-file input[type=file]', files / 'me.mp4')
  page.wait_for_selector(pressed, state='detached')
  page.fill('#from input', '1000')
  page.click('#preview')
  visitor.waits_for('There is nothing to make at 1000 s')
  assert visitor.says('#result').startswith('The video will be here')
  visitor.leaves()


@in_a_browser
def test_what_cannot_be_used_is_refused_where_one_looks(server, chromium, files):
  visitor = Visitor(chromium, server.url)
  page = visitor.page
  page.set_input_files('#face-file input[type=file]', files / 'notes.mp4')
  visitor.waits_for('notes.mp4 is not a media file', '#sight .bad')
  page.set_input_files('#speech-file input[type=file]', files / 'notes.mp4')
  visitor.waits_for('notes.mp4 is not a media file', '#heard .bad')
  assert 'notes.mp4' not in server.kept('uploads')
  visitor.leaves()


@in_a_browser
def test_a_text_is_spoken_at_a_phones_width(server, chromium, files):
  visitor = Visitor(chromium, server.url, width=390)
  page = visitor.page
  visitor.gives(face=files / 'me.mp4')
  page.locator('#step-speech').get_by_role('tab', name='Text').click()
  page.fill('#text textarea', 'Good morning.')
  visitor.waits_for('The text will be spoken', '#heard')
  visitor.consents()
  page.click('#dub')
  visitor.waits_for('The whole dub is ready', '#result')
  assert "--text='Good morning.' --output=dubbed.mp4" in page.inner_text('.command code')
  assert page.locator('.download:has-text(".srt")').count() == 1
  assert page.evaluate('document.documentElement.scrollWidth') <= 390
  nameless = page.evaluate(
    """[...document.querySelectorAll('button, input, select, textarea, video, audio, img')]
    .filter((element) => element.checkVisibility() && !element.closest('[aria-hidden=true]'))
    .filter((element) => !(element.ariaLabel || element.textContent.trim() || element.labels?.length || element.alt
      || element.hasAttribute('alt') || element.title))
    .map((element) => element.outerHTML.slice(0, 200))"""
  )
  assert not nameless
  visitor.leaves()


@in_a_browser
def test_others_wait_in_order_and_stop_and_leaving_free_the_line(server, chromium, files):
  first, second, third = (Visitor(chromium, server.url) for _ in range(3))
  for visitor in first, second:
    visitor.gives(files / 'me.mp4', files / 'long.wav')
  third.gives(files / 'me.mp4', files / 'speech.wav')
  for visitor in first, second, third:
    visitor.consents()
  first.page.click('#dub')
  first.waits_for('of 1500 frames')
  second.page.click('#dub')
  second.waits_for('One dub is before yours: you are number 2')
  third.page.click('#preview')
  third.waits_for('2 dubs are before yours: you are number 3')
  first.page.click('#stop')
  first.waits_for('Stopped')
  second.waits_for('frames a second')
  third.waits_for('you are number 2')
  second.leaves()
  third.waits_for('is ready', '#result')
  assert first.says('#result').startswith('The video will be here')
  made = third.page.get_attribute('#result figure:last-child video', 'src')
  assert first.page.request.get(f'{server.url}/{made.replace("dubbed.mp4", "../")}').status == 403
  first.leaves()
  third.leaves()


@in_a_browser
def test_a_face_from_the_webcam_and_speech_from_the_microphone(server, chromium):
  visitor = Visitor(chromium, server.url)
  page = visitor.page
  page.get_by_role('tab', name='Webcam').click()
  page.get_by_text('Click to Access Webcam').click()
  page.get_by_label('start recording').click()
  page.wait_for_timeout(1000)
  page.get_by_label('start recording').click()  # which it is still called
  visitor.waits_for('No face is found', '#sight')  # Chromium's fake camera films none
  assert not page.get_by_label('Trim video to selection').is_visible()
  page.get_by_role('tab', name='Microphone').click()
  page.get_by_role('button', name='Record').click()
  page.wait_for_timeout(1000)
  page.locator('#microphone').get_by_role('button', name='Stop').first.click()
  visitor.waits_for('The recording will be spoken', '#heard')
  visitor.leaves()


@in_a_browser
def test_a_file_that_is_too_large_does_not_travel(server, chromium, tmp_path):
  visitor = Visitor(chromium, server.url)
  with (tmp_path / 'large.mp4').open('wb') as file:
    file.truncate(11_000_000)
  visitor.page.set_input_files('#face-file input[type=file]', tmp_path / 'large.mp4')
  visitor.waits_for('large.mp4 is larger than 10 MB', '#step-face .bad')
  visitor.leaves()


@pytest.mark.slow
def test_the_command_makes_the_same(server, files, tmp_path):
  from gradio_client import Client, handle_file

  given = {'face': handle_file(files / 'me.mp4'), 'audio': None, 'text': "It's me.", 'only': '0.2,0.6', 'consent': True}
  video, *_, command, _ = Client(server.url, verbose=False).predict(api_name='/dub', **given)
  shutil.copy(files / 'me.mp4', tmp_path)
  shutil.copytree(server.log.with_name('checkpoint'), tmp_path / 'checkpoint')
  python, infer, *words = shlex.split(command)
  assert python == 'python'
  environment = os.environ | {'PYTHONPATH': str(ROOT)}
  subprocess.run([sys.executable, str(ROOT / infer), *words], cwd=tmp_path, env=environment, check=True, timeout=100)
  ours, theirs = (np.array(list(read_frames(path))) for path in (video, tmp_path / 'dubbed.mp4'))
  assert ours.shape == (10, 256, 256, 3)
  np.testing.assert_array_equal(ours, theirs)


def test_the_examples_of_the_documentation_work(server, files, tmp_path):
  blocks = dict(re.findall(r'```(python|sh)\n(.*?)```', (ROOT / 'docs' / 'page.md').read_text(), re.DOTALL))
  for name in 'me.mp4', 'speech.wav':
    shutil.copy(files / name, tmp_path)
  python, shell = (blocks[name].replace('http://127.0.0.1:7860', server.url) for name in ('python', 'sh'))
  assert server.url in python and server.url in shell
  made = subprocess.run([sys.executable, '-c', python], cwd=tmp_path, capture_output=True, text=True, timeout=100)
  assert made.returncode == 0 and 'frames' in made.stdout, made.stderr
  if shutil.which('curl'):
    subprocess.run(['bash', '-eu', '-c', shell], cwd=tmp_path, check=True, timeout=100)
    assert probe(tmp_path / 'dubbed.mp4').frames == 25


def test_programs_need_consent_and_get_one_line(server, files):
  from gradio_client import Client, handle_file
  from gradio_client.exceptions import AppError

  client = Client(server.url, verbose=False)
  face, speech = handle_file(files / 'me.mp4'), handle_file(files / 'speech.wav')

  def refusal(**given) -> str:
    with pytest.raises(AppError) as refused:
      client.predict(**{'face': face, 'audio': speech, 'consent': True, 'api_name': '/dub'} | given)
    return str(refused.value)

  assert refusal(consent=False).startswith('consent=True says that the person who is shown has agreed')
  assert refusal(face_at='1,2') == 'face_at must be three numbers, x,y,t: a place in pixels and a time in seconds'
  assert refusal(face_at='1,2,0').startswith('There is no face at 1,2 after 0 s')
  assert refusal(audio=None, text='hello', voice='/etc/passwd').startswith('Voice must be one of builtin, espeak')
  assert refusal(face=handle_file('http://127.0.0.1:1/me.mp4')) == 'give a file, not an address'


@pytest.mark.slow
def test_what_cannot_be_served_is_one_line(server, tmp_path):
  (tmp_path / 'checkpoint').mkdir()

  def run(*flags: str, without: str = '') -> str:
    code = f'import sys, runpy; sys.modules.update({{name: None for name in {[without]}}}); sys.argv.pop(0)'
    command = [sys.executable, '-c', f'{code}; runpy.run_path(sys.argv[0], run_name="__main__")', str(ROOT / 'app.py')]
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'TMPDIR': str(tmp_path)}
    ended = subprocess.run(
      [*command, '--checkpoint=checkpoint', *flags],
      cwd=tmp_path,
      env=environment,
      capture_output=True,
      text=True,
      timeout=100,
    )
    assert ended.returncode == 2 and not list(tmp_path.glob('lpips-jax-page-*'))
    [line] = ended.stderr.splitlines()
    return line

  assert run('--max_queue=0').endswith('--max_queue must be more than 0')
  assert 'checkpoint is not a checkpoint directory' in run('--port=0')
  taken = server.url.rpartition(':')[2]
  assert f"--host '127.0.0.1' has no --port {taken} to listen at" in run(f'--port={taken}')
  assert 'give others' in run('--host=no.such.host.invalid')
  assert run(without='gradio').endswith("the page needs Gradio: pip install 'lpips-jax[web]'")
