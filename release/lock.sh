#!/bin/sh
# Lock files: every package with its hashes, for all supported Pythons on Linux. `make lock` runs this; UPGRADE=1 takes the newest.
set -eu
cd "$(dirname "$0")/.."
lock() { # FILE SOURCE...
  file=$1
  shift
  "${UV:-uv}" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    ${UPGRADE:+--upgrade} --custom-compile-command "make lock" --output-file "$file" "$@"
}
lock release/requirements.txt pyproject.toml
lock release/requirements-dev.txt --extra dev pyproject.toml
lock release/requirements-release.txt release/tools.in
