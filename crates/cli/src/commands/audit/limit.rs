//! The checkpoint that may be used.

use memscope_results::audit::{AcceptableCheckpoint, CheckpointRow, Share};

use crate::args::{Acceptable, Counted};

/// The last checkpoint whose share is below the limit, and the last one of which the whole interval is.
pub(crate) fn acceptable(limit: Acceptable, rows: &[CheckpointRow]) -> AcceptableCheckpoint {
    let share = |row: &CheckpointRow| match limit.of {
        Counted::Flagged => row.members,
        Counted::Copied => row.copies,
    };
    let last = |is_below: &dyn Fn(&Share) -> bool| {
        let below = rows.iter().rev().find(|row| share(row).of > 0 && is_below(&share(row)));
        below.map(|row| row.name.clone())
    };
    AcceptableCheckpoint {
        limit: limit.to_string(),
        last: last(&|share| (share.hits as f64) < limit.share * share.of as f64),
        surely: last(&|share| share.interval.is_some_and(|interval| interval.high < limit.share)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clopper and Pearson's upper ends of 0, 1 and 6 of 20 are 0.168, 0.249 and 0.543 (R's binom.test).
    #[test]
    fn the_last_checkpoint_below_a_limit() {
        let row = |name: &str, copies: usize| CheckpointRow {
            name: name.into(),
            members: Share::new(20, 20),
            copies: Share::new(copies, 20),
            mean_score: 0.0,
        };
        let rows = [row("a", 0), row("b", 1), row("c", 6)];
        let of = |text: &str| {
            let AcceptableCheckpoint { last, surely, .. } = acceptable(text.parse().unwrap(), &rows);
            (last, surely)
        };
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(of("copied<0.1"), (name("b"), None));
        assert_eq!(of("copied<20%"), (name("b"), name("a")));
        assert_eq!(of("copied<0.3"), (name("b"), name("b")));
        assert_eq!(of("copied<0.31"), (name("c"), name("b")));
        assert_eq!(of("flagged<0.9"), (None, None));
    }
}
