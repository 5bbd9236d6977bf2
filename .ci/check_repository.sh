#!/usr/bin/env bash
# The links between the pages, the crates that come into the build, and the workflow. Needs Python 3 and Rust; nothing is looked up
# but packages.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/tools.sh
python_tools "lint-$(cksum <.ci/requirements.txt | cut -d ' ' -f 1)" --require-hashes -r .ci/requirements.txt

# The pages that code and comments cite become links in a page of their own, so that they are checked too.
citations=$(mktemp --suffix=.md)
trap 'rm "$citations"' EXIT
git grep -hoE 'docs/[a-z/-]+\.md(#[a-z0-9-]+)?' | sort -u | sed "s|.*|<file://$PWD/&>|" >"$citations"
lychee --offline --include-fragments --no-progress "$citations" ./*.md docs benches/README.md data/README.md

# The tests that docs/faults.md names exist.
for name in $(grep -oE '`[a-z0-9]+(_[a-z0-9]+){3,}`' docs/faults.md | tr -d '`' | sort -u); do
    git grep --quiet "fn $name(" -- src tests || { echo "docs/faults.md names $name, which doesn't exist"; exit 1; }
done

# One version everywhere.
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)
for place in tools/Cargo.toml tests/harness/Cargo.toml openapi.yaml CHANGELOG.md; do
    grep --quiet --extended-regexp "^( *version( =|:) \"?|## \[)$version(\"?$|])" "$place" ||
        { echo "$place doesn't have the version of Cargo.toml, $version"; exit 1; }
done

cargo fetch --locked --quiet
cargo deny --offline --locked check licenses bans sources
zizmor --offline --quiet .github
