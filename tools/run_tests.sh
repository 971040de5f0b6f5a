#!/usr/bin/env bash
# run_tests.sh PYTHON PYTEST_WORDS...: run the tests; what failed is run a second time, alone, and must then pass.
# Real sockets, lines and processes share two cores with whatever else the machine does. A test that needed the second
# run is named as unsteady: that is a defect of the test or of the bridge, and is treated as one.
set -uo pipefail
python=$1
shift
export PYTHONPATH=src:.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Much of the time is spent waiting: two test processes, each with a network of its own where the machine lets us make
# one (root). A file stays whole, for its tests share what they started; the long files come first, the quick ones fill up.
apart=()
if unshare --net true 2>/dev/null; then apart=(-n 2 --dist loadfile --no-loadscope-reorder); fi
"$python" -m pytest -q --no-header "${apart[@]}" "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
# 1: tests failed; everything else (interrupted, usage, nothing collected) is final
[ "$status" = 1 ] || exit "$status"
failed=$(grep -cE '^(FAILED|ERROR) ' "$log")
if [ "$failed" = 0 ] || [ "$failed" -gt 40 ]; then exit 1; fi
echo "second run of the $failed that failed:"
"$python" -m pytest -q --no-header --last-failed --last-failed-no-failures=none "$@" || exit 1
echo "unsteady, passed when run alone:"
grep -E '^(FAILED|ERROR) ' "$log" | sed -E 's/^(FAILED|ERROR) /  /; s/ - .*//'
passed=$(grep -oE '[0-9]+ passed' "$log" | tail -n 1)
echo "${passed:-0 passed}, 0 failed"
