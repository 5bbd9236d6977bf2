# For the other scripts, which source it: where things are, and what several of them do.
tools=$(realpath -m "${CI_TOOLS:-.ci/tools}")
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")

# Installs Python packages into an environment of their own, once, and finds their commands first: python_tools NAME PACKAGE…
python_tools() {
    local environment=$tools/$1
    if [ ! -e "$environment/installed" ]; then
        python3 -m venv --clear "$environment"
        "$environment/bin/pip" install --quiet --disable-pip-version-check "${@:2}"
        touch "$environment/installed"
    fi
    PATH=$environment/bin:$PATH
}
sam_tools() { python_tools operators aws-sam-cli cfn-lint cargo-lambda ziglang; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# Waits until a URL gives any response.
await() {
    for _ in $(seq 120); do
        if curl --silent --output /dev/null "$1"; then return; fi
        sleep 0.5
    done
    echo "$1 never responded" >&2
    return 1
}

# Prints the commands of a section of docs: its first block, or the one with that number.
page() {
    awk -v heading="$1" -v wanted="${2:-1}" '
        /^#/ { inside = ($0 ~ "^#+ " heading "$"); block = 0; code = 0; next }
        inside && /^    / { if (!code) { block++; code = 1 } if (block == wanted) print substr($0, 5); next }
        inside && !/^$/ { code = 0 }
    ' docs/*.md docs/operations/*.md | grep . || { echo "docs has no block ${2:-1} of commands under \"$1\"" >&2; return 1; }
}

# Starts the local run on a free port. What it prints goes to a file; sets local_url and local_dynamodb.
start_local_run() {
    cargo build --locked --quiet --example local
    "$target/debug/examples/local" --port 0 >"$1" &
    until grep --quiet '^Press Ctrl-C' "$1"; do
        kill -0 $!
        sleep 0.2
    done
    local_url=$(sed -n 's/.* listens on //p' "$1")
    local_dynamodb=$(sed -n 's/^ *DynamoDB *//p' "$1")
}
