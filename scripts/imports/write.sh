#!/usr/bin/env bash
# Writes docs/imports.md anew: the picture of what imports what. The test that finds circles draws it.
set -euo pipefail
cd "$(dirname "$0")/../.."

MEMSCOPE_WRITE_IMPORTS=1 cargo test --workspace --locked --test imports
