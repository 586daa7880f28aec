#!/bin/sh
# In place of cargo-lambda, in tests (tests/src/sam.rs): gives SAM the binary that cargo has built, without what only
# a debugger reads, where cargo-lambda would put it. `sam build` calls it as
#   cargo-lambda lambda build --release --bin NAME
set -eu
[ "$#" = 5 ] && [ "$1 $2 $3 $4" = "lambda build --release --bin" ] || {
    echo "the tests' cargo-lambda does not know: $*" >&2
    exit 1
}
built=$CARGO_TARGET_DIR/lambda/$5/bootstrap
[ ! -e "$built" ] || exit 0
mkdir -p "$(dirname "$built")"
strip --strip-all -o "$built" "$PGARK_TEST_BUILT/$5"
