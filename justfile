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

# Replays the committed outcome in results/reference and compares it cell by cell.
verify DIR="target/verify":
    cargo run --release -- reproduce table1 table2 table3 table4 table5 table6 table7 table8 detectors groups presets --results {{DIR}}
    cargo run --release -- compare results/reference {{DIR}}

# Times of the network and of every detector, with criterion's report in target/criterion.
bench *ARGS:
    cargo bench --workspace {{ARGS}}
