#!/usr/bin/env bash
# Serves LocalStack (SQS, SNS, KMS) on 127.0.0.1:$LOCALSTACK_PORT until it is ended. No Docker: Python is enough.
#
#   LOCALSTACK_PORT   the port; 4566 where not set
#   LOCALSTACK_STATE  the folder for what a run writes; a temporary one, removed at the end, where not set
#   PYTHON            the Python 3.11 or newer that its virtual environment is made of
#
# The environment is made once, kept in the user's cache folder, and made again when requirements.txt changes.
# It is healthy when http://127.0.0.1:$LOCALSTACK_PORT/_localstack/health answers.
set -euo pipefail

requirements=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/requirements.txt
port=${LOCALSTACK_PORT:-4566}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sourceflow/localstack

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "LocalStack needs Python 3.11 or newer; set PYTHON to one" >&2
  return 1
}

# Two runs at once may both build: each builds in a folder of its own, the first one to finish is kept.
environment() {
  local python digest kept building
  python=$(find_python)
  digest=$("$python" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read() + sys.version.encode()).hexdigest()[:12])' "$requirements")
  kept=$cache/venv-$digest
  if [ ! -d "$kept" ]; then
    building=$kept.$$
    echo "making LocalStack's environment, once: $kept" >&2
    trap "rm -rf '$building'" EXIT
    "$python" -m venv "$building" >&2
    "$building/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$requirements" >&2
    "$python" -c 'import os, sys; os.rename(*sys.argv[1:])' "$building" "$kept" 2>/dev/null || true
  fi
  echo "$kept"
}

venv=$(environment)
state=${LOCALSTACK_STATE:-}
if [ -z "$state" ]; then
  state=$(mktemp -d)
  trap 'rm -rf "$state"' EXIT
fi
mkdir -p "$state"

# Hypercorn, as the default server listens on every interface whatever it is told.
export GATEWAY_SERVER=hypercorn GATEWAY_LISTEN=127.0.0.1:$port
export SERVICES=sqs,sns,kms EAGER_SERVICE_LOADING=1
# Writes below this folder only, and does as on a host, also where the host is a container.
export OVERRIDE_IN_DOCKER=false FILESYSTEM_ROOT=$state XDG_CACHE_HOME=$cache
# Talks to nobody: no usage data, no certificate from the internet, no name server of its own.
export DISABLE_EVENTS=1 SKIP_SSL_CERT_DOWNLOAD=1 DNS_ADDRESS=0

"$venv/bin/python" -m localstack.runtime.main &
server=$!
trap 'kill -TERM "$server" 2>/dev/null || true' INT TERM
wait "$server" || true
wait "$server"
