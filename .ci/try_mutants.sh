#!/usr/bin/env bash
# Tries each mutant of what the last commit changed in src, for ten minutes at most: a test has to notice it. The last commit of a
# pull request's checkout is its merge, so there it is the whole change.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/tools.sh
minutes=10

work=$target/mutants
rm -rf "$work"
mkdir -p "$work"
git diff HEAD^ HEAD -- src >"$work/diff" || echo "mutants: this checkout has no earlier commit to compare with"
if [ ! -s "$work/diff" ]; then
    echo "mutants: no change of src to try"
    exit
fi
PATH=$tools/mutants/bin:$PATH
type cargo-mutants >/dev/null 2>&1 || cargo install --quiet --locked --root "$tools/mutants" cargo-mutants@27.1.0

SECONDS=0
# The fastest tests first. Each run tries the mutants that those before it missed.
for tests in --lib --test=contract --test=openapi --test=faults; do
    status=0 left=$((minutes * 60 - SECONDS))
    timeout --signal INT "$((left > 0 ? left : 1))" cargo mutants --in-place --baseline skip --iterate --in-diff "$work/diff" \
        --output "$work" --package create-contact --timeout 200 --build-timeout 300 --no-shuffle --cargo-arg="$tests" || status=$?
    case $status in
        # Some were missed by these tests, or hang, which is noticed too.
        0 | 2 | 3) ;;
        124)
            echo "mutants: $minutes minutes are over. CONTRIBUTING.md says how to try the rest."
            exit
            ;;
        *) exit "$status" ;;
    esac
done
if [ -s "$work/mutants.out/missed.txt" ]; then
    echo "mutants: no test notices these:"
    cat "$work/mutants.out/missed.txt"
    exit 1
fi
