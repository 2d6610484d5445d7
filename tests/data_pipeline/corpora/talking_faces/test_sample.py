"""The sample command."""

import subprocess
import sys

import cv2


def test_the_command_writes_a_video_and_speech(tmp_path):
  output = tmp_path / 'new' / 'folder'
  options = f'--output={output}', '--seconds=0.4', '--size=128', '--speakers=1'
  subprocess.run([sys.executable, '-m', 'data_pipeline.corpora.talking_faces.sample', *options], check=True)
  assert sorted(path.name for path in output.iterdir()) == ['face.mp4', 'faces.png', 'speech.wav']
  video = cv2.VideoCapture(str(output / 'face.mp4'))
  assert video.get(cv2.CAP_PROP_FPS) == 25
  shapes = [frame.shape for found, frame in iter(video.read, (False, None)) if found]
  assert shapes == [(128, 128, 3)] * 10
