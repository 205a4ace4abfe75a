# `just reproduce table1` measures and prints Table 1.
reproduce *ARGS:
    cargo run --release -- reproduce {{ARGS}}

# Everything the continuous integration checks.
ci:
    bash .ci/run

# The tests.
test *ARGS:
    cargo test --workspace {{ARGS}}

# Remakes the parity fixtures (needs Python, see scripts/fixtures/README.md).
fixtures:
    bash scripts/fixtures/make_all.sh
