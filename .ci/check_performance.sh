#!/usr/bin/env bash
# CI's checks of speed and size: the guard against a slower start or request, and the arm64 artifact that is deployed.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/tools.sh
sam_tools
export PS4='+ performance: '
set -x

if ! command -v valgrind || ! command -v faketime || ! command -v qemu-aarch64 || [ ! -d /usr/aarch64-linux-gnu/lib ]; then
    apt-get update
    apt-get install --yes --no-install-recommends valgrind faketime qemu-user libc6-arm64-cross libgcc-s1-arm64-cross
fi
rustup target add aarch64-unknown-linux-gnu

cargo fmt --manifest-path benches/Cargo.toml --all --check
# `typical` would need the whole default SDK, so it is built only to measure.
cargo clippy --locked --manifest-path benches/Cargo.toml --package compare --package floor -- --deny warnings
compare=(cargo run --locked --quiet --release --manifest-path benches/Cargo.toml --package compare --)

# Start-up, the first request, a warm one and the executable's size against benches/baseline.json; the worst bodies and events.
"${compare[@]}" guard

# The artifact: what `sam build` hands to Lambda, run here as Lambda would run it. At most 6 MB.
cargo lambda build --release --arm64
bootstrap=$target/lambda/create-contact/bootstrap
test "$(stat --format %s "$bootstrap")" -le 6000000
"${compare[@]}" try qemu-aarch64 -L /usr/aarch64-linux-gnu "$bootstrap"
