#!/bin/bash
# Trains on a TPU, of one host or a pod, without further care. From the root of the repository, with gcloud:
#
#   export ZONE=us-west4-a NAME=lips TYPE=v5litepod-16 BUCKET=gs://BUCKET ACCOUNT=lips@PROJECT.iam.gserviceaccount.com
#   tools/tpu_pod.sh create --config=… --workdir=$BUCKET/runs/lrs2 …    # what is committed is installed, and trains
#   tools/tpu_pod.sh keep --config=… --workdir=$BUCKET/runs/lrs2 …      # the same, again after each preemption
#   tools/tpu_pod.sh create                                             # only installs
#   tools/tpu_pod.sh watch | state | ssh COMMAND | delete
#
# `keep` stays in the foreground, on any machine, and deletes the TPU once the run has ended. CAPACITY= asks for a TPU
# on demand instead of --spot, CAPACITY=--reserved for a reserved one. DRY_RUN=1 prints the commands.
set -eu
. tools/common.sh

CAPACITY=${CAPACITY---spot}
WAIT=${WAIT:-60} # seconds between two looks at the TPU

main() {
  local verb=${1:-}
  [ $# = 0 ] || shift
  case $verb in
    create | keep)
      need ZONE NAME TYPE BUCKET ACCOUNT
      case $BUCKET in gs://?*) ;; *) refuse "BUCKET=$BUCKET: give gs://BUCKET" ;; esac
      code=$BUCKET/tpu/$NAME.tar.gz ended=$BUCKET/tpu/$NAME.ended
      software=$(software)
      upload
      if [ -n "${DRY_RUN:-}" ]; then verb=create; fi # `keep` waits for answers
      "$verb" "$@"
      ;;
    state | watch | delete)
      need ZONE NAME
      "$verb"
      ;;
    ssh)
      need ZONE NAME
      [ $# = 1 ] || refuse 'ssh wants one command, in quotes'
      on_hosts all "$1"
      ;;
    *) refuse 'give create, keep, watch, state, ssh or delete' ;;
  esac
}

upload() {
  git archive --format=tar.gz --output="$temporary/code.tar.gz" HEAD
  run gcloud storage cp "$temporary/code.tar.gz" "$code"
  run gcloud storage rm "$ended" 2>/dev/null || true # of an earlier run
}

create() {
  {
    echo '#!/bin/bash'
    printf '%s=%q\n' code "$code" ended "$ended" flags "$([ $# = 0 ] || printf '%q ' "$@")"
    cat tools/tpu_host.sh
  } >"$temporary/startup.sh"
  [ -z "${DRY_RUN:-}" ] || cat "$temporary/startup.sh"
  run gcloud compute tpus queued-resources create "$NAME" --node-id="$NAME" --zone="$ZONE" \
    --accelerator-type="$TYPE" --runtime-version="$software" ${CAPACITY:+"$CAPACITY"} \
    --service-account="$ACCOUNT" --metadata-from-file=startup-script="$temporary/startup.sh"
}

keep() {
  while ! has_ended; do
    case $(state || true) in
      '') create "$@" || true ;; # nothing there yet, or no answer: then this fails, too
      SUSPENDED)                 # preempted, and served no more
        delete || true
        create "$@" || true
        ;;
      FAILED) refuse "the request failed: gcloud compute tpus queued-resources describe $NAME --zone=$ZONE says why" ;;
    esac
    sleep "$WAIT"
  done
  delete
  echo "$NAME is deleted: the run has ended with status $(gcloud storage cat "$ended")"
}

has_ended() {
  gcloud storage ls "$ended" >/dev/null 2>&1
}

state() {
  run gcloud compute tpus queued-resources describe "$NAME" --zone="$ZONE" --format='value(state.state)' 2>/dev/null
}

watch() {
  on_hosts 0 'sudo journalctl --follow --lines=100 --unit=google-startup-scripts --unit=lip-sync'
}

delete() {
  run gcloud compute tpus queued-resources delete "$NAME" --zone="$ZONE" --force --quiet
}

on_hosts() {
  run gcloud compute tpus tpu-vm ssh "$NAME" --zone="$ZONE" --worker="$1" --command="$2"
}

software() {
  case $TYPE in
    v5litepod-*) echo v2-alpha-tpuv5-lite ;;
    v6e-*) echo v2-alpha-tpuv6e ;;
    *)
      need RUNTIME
      echo "$RUNTIME"
      ;;
  esac
}

main "$@"
