# shellcheck shell=bash
# What the scripts of this directory have in common; they source it from the root of the repository.

refuse() {
  echo "${0##*/}: $1" >&2
  exit 2
}

need() {
  local variable
  for variable; do
    [ -n "${!variable:-}" ] || refuse "set $variable: the top of this file shows all variables"
  done
}

# Runs a command, or with DRY_RUN prints it.
run() {
  if [ -n "${DRY_RUN:-}" ]; then
    echo "${*@Q}"
  else
    "$@"
  fi
}

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
