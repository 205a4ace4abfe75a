//! Theorem 1 and the spectrum of a Jacobian, against numpy (scripts/fixtures/theory.py) and against what can be said by
//! hand.

mod spectrum;
mod theorem1;

use memscope_metric::theory::{DMatrix, DVector};
use serde_json::Value;

fn fixture() -> Value {
    include_str!("../fixtures/theory.json").parse().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn matrix(value: &Value) -> DMatrix<f64> {
    let rows: Vec<_> = value.as_array().unwrap().iter().map(numbers).collect();
    DMatrix::from_fn(rows.len(), rows.len(), |i, j| rows[i][j])
}

fn diagonal(entries: &[f64]) -> DMatrix<f64> {
    DMatrix::from_diagonal(&DVector::from_row_slice(entries))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[track_caller]
fn assert_close(ours: f64, theirs: f64, relative: f64) {
    assert!((ours - theirs).abs() <= relative * theirs.abs(), "{ours} is not {theirs} to {relative:e}");
}
