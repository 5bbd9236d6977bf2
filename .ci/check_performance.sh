#!/usr/bin/env bash
# CI's checks of speed and size: the guard against a slower start or request, and the arm64 artifact that is deployed.
set -euo pipefail
cd "$(dirname "$0")/.."
export PS4='+ performance: '
set -x

if ! command -v valgrind || ! command -v faketime || ! command -v qemu-aarch64 || [ ! -d /usr/aarch64-linux-gnu/lib ]; then
    apt-get update
    apt-get install --yes --no-install-recommends valgrind faketime qemu-user libc6-arm64-cross libgcc-s1-arm64-cross
fi
target=${CARGO_TARGET_DIR:-target}
# Those of .ci/check_operations.sh.
tools=$(realpath -m "${CI_TOOLS:-.ci/tools}/operators")
if [ ! -x "$tools/bin/cargo-lambda" ]; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet cargo-lambda ziglang
fi
PATH=$tools/bin:$PATH
rustup target add aarch64-unknown-linux-gnu

cargo fmt --manifest-path benches/Cargo.toml --all --check
# `typical` would need the whole default SDK, so it is built only to measure.
cargo clippy --locked --manifest-path benches/Cargo.toml --package compare --package floor -- --deny warnings
compare=(cargo run --locked --quiet --release --manifest-path benches/Cargo.toml --package compare --)

# Start-up, the first request, a warm one and the executable's size against benches/baseline.json; the worst bodies and events.
"${compare[@]}" guard

# The artifact: what `sam build` hands to Lambda, run here as Lambda would run it.
cargo lambda build --release --arm64 --output-format zip
python3 - "$target/lambda/create-contact" <<'PYTHON'
import pathlib, sys, zipfile

directory = pathlib.Path(sys.argv[1])
archive = directory / "bootstrap.zip"
with zipfile.ZipFile(archive) as zipped:
    zipped.extract("bootstrap", directory)
bootstrap = directory / "bootstrap"
bootstrap.chmod(0o755)
size, limit = bootstrap.stat().st_size, 6_000_000
print(f"arm64: {size:,} bytes, zipped {archive.stat().st_size:,}")
sys.exit(f"more than {limit:,} bytes" if size > limit else 0)
PYTHON
"${compare[@]}" answers qemu-aarch64 -L /usr/aarch64-linux-gnu "$target/lambda/create-contact/bootstrap"
