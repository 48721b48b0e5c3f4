#!/usr/bin/env bash
# Installs what the tests need and runs them: linters, types, tests. Arguments go to pytest.
# As root on Debian it installs a real redis-server, Slurm and the tools of the fault tests; elsewhere they must be there,
# or the tests that need them are skipped and say so (with CI=true those of the servers and tools fail instead).
set -euo pipefail
cd "$(dirname "$0")/.."

install() {
    export DEBIAN_FRONTEND=noninteractive
    # A freshly installed Redis or Slurm must not start a service of its own beside the tests' servers.
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && trap 'rm -f "$policy"' EXIT; }
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    tools=(redis-server iproute2 faketime strace)
    dpkg -s "${tools[@]}" >/dev/null 2>&1 || install "${tools[@]}"
    dpkg -s slurm-wlm >/dev/null 2>&1 || install slurm-wlm || echo "without Slurm: its test is skipped"
fi

venv=${EXS_TEST_VENV:-.venv-test}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install -q --disable-pip-version-check '.[dev]'

"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
"$venv/bin/pytest" -q -n 2 --dist loadfile "$@" && exit
# Real processes, kills and clocks beside each other: what fails is run once more alone, and fails only if it fails again.
# Both runs are printed, so that a test that needs quiet is seen.
printf '\n== Failed above; once more, alone:\n'
"$venv/bin/pytest" -q --last-failed --last-failed-no-failures none "$@"
