# shellcheck shell=bash
# Sourced by the scripts: where things are, the environment, how they speak. Works with the bash 3.2 of macOS.

set -euo pipefail

root="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)"
venv="${MISSION_CONTROL_VENV:-$root/.venv}"
case "$venv" in /*) ;; *) venv="$PWD/$venv" ;; esac

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$@"
  exit 1
}

# The comment at the top of the script is its help.
help_if_asked() {
  case "${1:-}" in
    -h | --help)
      sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p;}' "$0"
      exit 0
      ;;
  esac
}

# Sets `python` to the first interpreter that is new enough.
find_python() {
  local candidate seen=""
  for candidate in "${MISSION_CONTROL_PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
    if "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      python="$candidate"
      return
    fi
    seen="${seen:-$(command -v "$candidate") is $("$candidate" --version 2>&1 | head -n 1)}"
    [ "$candidate" != "${MISSION_CONTROL_PYTHON:-}" ] || break
  done
  say "Mission Control needs Python 3.11 or newer; none was found${seen:+ ($seen)}."
  say "Debian 12, Ubuntu 24.04 and newer:  sudo apt install python3 python3-venv"
  say "Fedora:                             sudo dnf install python3"
  say "macOS:                              brew install python"
  fail "One that is not in PATH:            export MISSION_CONTROL_PYTHON=/path/to/python3"
}

# Makes what the level (`run` or `dev`) needs and puts it first in PATH. Quick when everything is there.
ensure() {
  local environment="$root/scripts/lib/environment.py" code=0
  if ! "$venv/bin/python" -I "$environment" --check "$1" "$root" "$venv" 2>/dev/null; then
    find_python
    "$python" -I "$environment" "$1" "$root" "$venv" || code=$?
    [ "$code" = 0 ] || exit "$code"
  fi
  export PATH="$venv/bin:$venv/node/bin:$PATH"
}
