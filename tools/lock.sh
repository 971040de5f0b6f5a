#!/usr/bin/env bash
# Write the three lock files anew from pyproject.toml: every version with its hashes, no registry address, one result for
# Python 3.11, 3.12 and 3.13. Needs `uv`. A version moves only with LOCK_ARGS=--upgrade (or --upgrade-package NAME).
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-uv}

lock() {
    local out=$1
    shift
    # shellcheck disable=SC2086  # LOCK_ARGS is a list of words
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
        --custom-compile-command "make lock" ${LOCK_ARGS:-} --output-file "$out" "$@" >/dev/null
}

# with the clients of `verify`, so that the demo can be verified
lock requirements.lock --extra iec61850 --extra verify pyproject.toml
# the tests run against the very versions that are shipped
lock requirements-dev.lock --extra iec61850 --extra verify --extra dev --constraint requirements.lock pyproject.toml
lock requirements-build.lock requirements-build.in
lock tests/conformance/sslyze/requirements.lock tests/conformance/sslyze/requirements.in
