//! Numbers as people read them: one rule for each kind, for tables, sentences and pages alike.

use crate::stats::Interval;

/// Digits after the point of a p value.
const P_DECIMALS: u8 = 3;
/// Digits that an interval near zero gets beyond what its column has, at most.
const MORE: u8 = 3;

/// `value` with `decimals` digits after the point, without the sign of a negative zero.
pub fn fixed(value: f64, decimals: u8) -> String {
    let text = format!("{value:.*}", usize::from(decimals));
    match text.strip_prefix('-') {
        Some(rest) if is_zero(rest) => rest.to_owned(),
        _ => text,
    }
}

/// As [`fixed`], but a positive value that would round to zero is said to be below the last digit: a small number is not
/// nothing.
pub fn bounded(value: f64, decimals: u8) -> String {
    let text = fixed(value, decimals);
    if value > 0.0 && is_zero(&text) { below(decimals) } else { text }
}

/// A p value, e.g. `0.012`; one below the last digit is `< 0.001`, never the next larger number.
pub fn p_value(p: f64) -> String {
    let text = fixed(p, P_DECIMALS);
    if p > 0.0 && p < 10_f64.powi(-i32::from(P_DECIMALS)) { below(P_DECIMALS) } else { text }
}

fn below(decimals: u8) -> String {
    format!("< {}", fixed(10_f64.powi(-i32::from(decimals)), decimals))
}

fn is_zero(number: &str) -> bool {
    number.chars().all(|c| matches!(c, '0' | '.'))
}

/// Digits after the point for a number and its interval: `decimals`, and more where both ends would round to nearly nothing,
/// so that the end farther from zero has two digits that count and the other one that says on which side of zero it is.
pub fn decimals_of(interval: Interval, decimals: u8) -> u8 {
    let ends = [interval.low.abs(), interval.high.abs()];
    let size = ends[0].max(ends[1]);
    let shows = |value: f64, digits: u8, least: f64| value * 10_f64.powi(i32::from(digits)) >= least;
    if size == 0.0 || shows(size, decimals, 9.95) {
        return decimals;
    }
    let is_enough =
        |digits: &u8| shows(size, *digits, 9.95) && ends.iter().all(|end| *end == 0.0 || shows(*end, *digits, 0.5));
    (decimals..decimals + MORE).find(is_enough).unwrap_or(decimals + MORE)
}

/// A text of numbers with the minus sign in place of the hyphen, for pages; programs do not read it.
pub fn with_minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_p_is_said_to_be_below_the_last_digit() {
        // Of 2,000 resamples the smallest p is 2/2001.
        let shown = [2.0 / 2001.0, 0.0002, 0.001, 0.0123, 1.0, 0.0].map(p_value);
        assert_eq!(shown, ["< 0.001", "< 0.001", "0.001", "0.012", "1.000", "0.000"]);
        assert_eq!([0.0001, 0.0, -0.0001, 0.006].map(|value| bounded(value, 2)), ["< 0.01", "0.00", "0.00", "0.01"]);
    }

    #[test]
    fn an_interval_near_zero_gets_digits_that_count() {
        let digits = |low, high| decimals_of(Interval { low, high }, 3);
        assert_eq!(digits(0.0002, 0.0041), 4);
        assert_eq!(digits(0.00004, 0.0043), 5, "the lower end is above 0");
        assert_eq!(digits(-0.00004, 0.00002), 6);
        assert_eq!(digits(1e-9, 2e-9), 6, "not without end");
        assert_eq!(digits(0.0, 0.0), 3, "an exact zero is no small number");
        assert_eq!(digits(-0.012, -0.0004), 3);
        assert_eq!(digits(0.00995, 0.0), 3, "it rounds to 0.010");
    }
}
