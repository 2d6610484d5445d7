#!/bin/sh
# Runs a command again and again until it succeeds, for training on machines that come and go:
#
#   tools/until_done.sh python train.py --config=configs/lrs2.py --workdir=runs/lrs2
#
# Ends with the command's exit status when that is 0 (done), 2 (bad input), 126 or 127 (no such command), or 130 (Ctrl-C).
# After any other status, such as 75 (stopped early: the same command goes on), it waits a moment and runs the command
# again. SIGTERM and SIGHUP are passed on; Ctrl-C becomes SIGTERM, on which training saves; then the script ends after
# the command.

LONGEST_WAIT=60 # seconds; the first wait is one second, and each is twice as long as the one before
LONG_RUN=300    # seconds, after which a command has made some progress: the waits begin anew

if [ $# -eq 0 ]; then
  echo 'until_done.sh: give a command: tools/until_done.sh python train.py …' >&2
  exit 2
fi

asked=
child=

end() {
  asked=$1
  [ -z "$child" ] || kill -s "$2" "$child" 2>/dev/null
}

# Waits for the child, and sets its status. A signal cuts `wait` short.
await() {
  wait "$child"
  status=$?
  while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    status=$?
  done
  wait "$child" 2>/dev/null
  last=$?
  [ $last -eq 127 ] || status=$last
  child=
}

trap 'end INT TERM' INT
trap 'end TERM TERM' TERM
trap 'end HUP HUP' HUP

pause=1
while :; do
  began=$(date +%s)
  "$@" &
  child=$!
  [ -z "$asked" ] || kill -s TERM "$child"
  await
  [ "$asked" != INT ] || exit 130
  [ -z "$asked" ] || exit $status
  case $status in
    0 | 2 | 126 | 127 | 130) exit $status ;;
  esac
  [ $(($(date +%s) - began)) -lt $LONG_RUN ] || pause=1
  echo "until_done.sh: the command ended with status $status; running it again in $pause s" >&2
  sleep $pause &
  child=$!
  await
  case $asked in
    INT) exit 130 ;;
    TERM) exit 143 ;;
    HUP) exit 129 ;;
  esac
  pause=$((pause * 2 < LONGEST_WAIT ? pause * 2 : LONGEST_WAIT))
done
