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

# What results/reference holds.
reference := "table1 table2 table3 table4 table5 table6 table7 table8 detectors groups presets decisions"

# Replays the committed outcome in results/reference and compares it cell by cell.
verify DIR="target/verify":
    cargo run --release -- reproduce {{reference}} --results {{DIR}}
    cargo run --release -- compare results/reference {{DIR}}

# Replaces the committed outcome by that of a results folder.
accept DIR="target/verify":
    for x in {{reference}}; do mkdir -p results/reference/$x/tables && cp {{DIR}}/$x/manifest.json results/reference/$x/ && cp {{DIR}}/$x/tables/*.json {{DIR}}/$x/tables/*.md results/reference/$x/tables/; done

# Times of the network and of every detector; the report is target/criterion/report/index.html.
bench *ARGS:
    cargo bench --workspace -- {{ARGS}}

# Times memscope and PyTorch in turn on the folders of scripts/full_size (needs Python, see scripts/bench_vs_torch).
bench-vs-torch DIR=env("MEMSCOPE_FULL_SIZE", "target/full_size") *ARGS:
    cargo build --release --workspace --bin memscope --example unet_time --example step_time
    ${PYTHON:-python3} scripts/bench_vs_torch/bench.py --models {{DIR}} --memscope ${CARGO_TARGET_DIR:-target}/release/memscope --unet-time ${CARGO_TARGET_DIR:-target}/release/examples/unet_time --step-time ${CARGO_TARGET_DIR:-target}/release/examples/step_time {{ARGS}}
