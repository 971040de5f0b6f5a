#!/usr/bin/env bash
# Install the Debian packages of tools/test_packages.txt when we may (root, or sudo without a password);
# otherwise say which are missing and which tests will not run. Never fails for a missing package: the tests skip.
set -euo pipefail
cd "$(dirname "$0")"

present() { # a program on the path, or a file
    if [[ $1 == /* ]]; then [[ -e $1 ]]; else PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null; fi
}

missing() { # lines "package|tests" of what is not there
    local package shows tests
    while IFS='|' read -r package shows tests; do
        [[ $package == \#* || -z $package ]] && continue
        read -r package <<<"$package"
        read -r shows <<<"$shows"
        read -r tests <<<"$tests"
        present "$shows" || printf '%s|%s\n' "$package" "$tests"
    done <test_packages.txt
}

as_root() {
    if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    command -v apt-get >/dev/null && { [[ $(id -u) == 0 ]] || sudo -n true 2>/dev/null; }
}

# Foreign clients for Node: exactly what package-lock.json names, and no script of any package is run
node_client() { # folder, what it is, tests that need it
    local folder=../tests/conformance/$1/client
    if ! command -v npm >/dev/null; then
        echo "missing program npm, not run: $3"
    elif ! cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed"; then
        echo "installing $2"
        if (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null); then
            cp "$folder/package-lock.json" "$folder/node_modules/.installed"
        else
            echo "npm did not install $2, not run: $3"
        fi
    fi
}
node_client opcua node-opcua "OPC UA server against node-opcua"
node_client web playwright-core "the console in Chromium"

# A checker that needs other versions of our own dependencies: an environment of its own, every version with its hashes
sslyze() {
    local folder=../tests/conformance/sslyze
    cmp -s "$folder/requirements.lock" "$folder/.venv/.installed" && return
    echo "installing sslyze"
    if "$python" -m venv --clear "$folder/.venv" >/dev/null &&
        "$folder/.venv/bin/python" -m pip --quiet --disable-pip-version-check install --require-hashes \
            -r "$folder/requirements.lock" >/dev/null 2>&1
    then
        cp "$folder/requirements.lock" "$folder/.venv/.installed"
    else
        rm -rf "$folder/.venv"
        echo "pip did not install sslyze, not run: sslyze against every TLS listener"
    fi
}
python=$(cd .. && realpath --no-symlinks "${VENV:-.venv}/bin/python")
[[ -x $python ]] || python=python3
sslyze

lacking=$(missing)
[[ -n $lacking ]] || exit 0
if may_install; then
    mapfile -t packages < <(cut -d'|' -f1 <<<"$lacking")
    echo "installing ${packages[*]}"
    as_root apt-get -qq update >/dev/null 2>&1 || true
    for package in "${packages[@]}"; do
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get -qq install -y --no-install-recommends "$package" >/dev/null 2>&1 || true
    done
    lacking=$(missing)
fi
while IFS='|' read -r package tests; do
    [[ -z $package ]] || echo "missing package $package, not run: $tests"
done <<<"$lacking"
