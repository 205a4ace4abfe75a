//! Numbers in sentences; the rules are those of the tables.

use memscope_results::{
    stats::Interval,
    written::{decimals_of, fixed, p_value, with_minus},
};

/// Digits after the point of an AUC or a difference.
const DECIMALS: u8 = 3;

/// A number as a table shows it.
pub(super) fn number(value: f64) -> String {
    with_minus(&fixed(value, DECIMALS))
}

/// A difference with its sign.
pub(super) fn signed(value: f64) -> String {
    with_sign(value, DECIMALS)
}

/// `0.0021 [+0.0002, +0.0041]`.
pub(super) fn with_interval(value: f64, interval: Interval) -> String {
    let decimals = decimals_of(interval, DECIMALS);
    let [low, high] = [interval.low, interval.high].map(|end| with_sign(end, decimals));
    format!("{} [{low}, {high}]", with_minus(&fixed(value, decimals)))
}

/// `p < 0.001` or `p = 0.012`.
pub(super) fn p(p: f64) -> String {
    let shown = p_value(p);
    if shown.starts_with('<') { format!("p {shown}") } else { format!("p = {shown}") }
}

fn with_sign(value: f64, decimals: u8) -> String {
    let text = fixed(value, decimals);
    let sign = if text.starts_with('-') { "" } else { "+" };
    with_minus(&format!("{sign}{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_write_numbers_as_tables_do() {
        assert_eq!([p(2.0 / 2001.0), p(0.0123)], ["p < 0.001", "p = 0.012"]);
        assert_eq!([signed(-0.25), signed(0.25), signed(-0.0001)], ["\u{2212}0.250", "+0.250", "+0.000"]);
        let close = Interval { low: 0.0002, high: 0.0041 };
        assert_eq!(with_interval(0.0021, close), "0.0021 [+0.0002, +0.0041]");
    }
}
