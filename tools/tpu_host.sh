# shellcheck shell=bash disable=SC2154  # tools/tpu_pod.sh puts the values of code, ended and flags before this
# The startup script of a TPU host: installs the project and trains; a run that was there before goes on.
# Every host of a pod runs it, as root, whenever it starts.
set -eu
export HOME=/root
mkdir -p /opt/lip-sync
cd /opt/lip-sync
if [ ! -e installed ]; then
  gcloud storage cat "$code" | tar -xz
  # The Python of TPU images is too old for this project; uv brings another.
  python3 -m pip install --quiet --target=uv uv
  uv/bin/uv venv --quiet --clear --python=3.12 .venv
  uv/bin/uv pip install --quiet --python=.venv/bin/python --editable '.[tpu]'
  touch installed
fi
if [ -z "$flags" ] || systemctl is-active --quiet lip-sync; then
  exit
fi

# A unit of its own gets SIGTERM while there is still a network, and two minutes to save. The status of a run that goes
# on no more (done, bad input, no such command) goes to the bucket.
train="tools/until_done.sh .venv/bin/python train.py $flags
case \$? in 0 | 2 | 126 | 127) echo \$? | gcloud storage cp - '$ended' ;; esac"
systemd-run --unit=lip-sync --collect --property=After=network-online.target --property=TimeoutStopSec=120 \
  --property=WorkingDirectory="$PWD" --setenv=HOME=/root --setenv=PYTHONUNBUFFERED=1 bash -c "$train"
