//! How long a server may take, and how often it is asked again.

use std::{
    env,
    time::{Duration, Instant, SystemTime},
};

/// Bounds on everything that waits for a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For a connection.
    pub(crate) connect: Duration,
    /// For the headers of an answer.
    pub(crate) answer: Duration,
    /// For a small answer with all its attempts.
    pub(crate) small: Duration,
    /// Bytes a second that a download has at least, measured over [`Self::window`].
    pub(crate) rate: u64,
    /// See [`Self::rate`]; also the longest time without a byte.
    pub(crate) window: Duration,
    /// Attempts that bring nothing new before something is given up.
    pub(crate) attempts: u32,
    /// Waited after the first fruitless attempt; doubled after each further one.
    pub(crate) pause: Duration,
    /// Never waited longer than this, whatever `Retry-After` says.
    pub(crate) longest_pause: Duration,
}

impl Limits {
    /// The usual bounds; `HF_HUB_ETAG_TIMEOUT` and `HF_HUB_DOWNLOAD_TIMEOUT` (seconds, as for the Python library) are
    /// those for headers and for stretches of a download.
    pub(crate) fn from_env() -> Self {
        let seconds = |name: &str, default: u64| {
            let given = env::var(name).ok().and_then(|value| value.trim().parse::<u64>().ok());
            Duration::from_secs(given.filter(|seconds| (1..=3600).contains(seconds)).unwrap_or(default))
        };
        Self {
            connect: Duration::from_secs(15),
            answer: seconds("HF_HUB_ETAG_TIMEOUT", 20),
            small: Duration::from_secs(90),
            rate: 1024,
            window: seconds("HF_HUB_DOWNLOAD_TIMEOUT", 20),
            attempts: 5,
            pause: Duration::from_millis(300),
            longest_pause: Duration::from_secs(20),
        }
    }

    /// When a file of that many bytes must be there.
    pub(crate) fn deadline(&self, size: u64) -> Instant {
        let most = Duration::from_hours(24 * 7);
        Instant::now() + (Duration::from_mins(10) + Duration::from_secs(size / self.rate)).min(most)
    }

    /// The pause after so many fruitless attempts (from 1), at least as long as the server asks for.
    pub(crate) fn pause_after(&self, fruitless: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.pause * 2_u32.saturating_pow(fruitless.saturating_sub(1).min(10));
        doubled.max(asked.unwrap_or_default()).min(self.longest_pause)
    }
}

/// What ends every wait: the user, or the time.
#[derive(Clone, Copy)]
pub(crate) struct Guard<'a> {
    pub(crate) should_stop: &'a dyn Fn() -> bool,
    pub(crate) deadline: Instant,
}

/// A `Retry-After`: seconds, or a date.
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Duration::from_secs(unix_seconds(value)?).saturating_sub(now))
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, IMF-fixdate).
fn unix_seconds(date: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = date.split_once(", ")?.1.split(' ').collect();
    let [day, month, year, time, "GMT"] = words[..] else { return None };
    let number = |text: &str, most: u64| text.parse::<u64>().ok().filter(|n| *n <= most);
    let (day, year) = (number(day, 31)?, number(year, 9999).filter(|year| *year >= 1970)?);
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let clock: Vec<u64> = time.split(':').map(|part| number(part, 60)).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = clock[..] else { return None };
    // Years begin in March, so that the leap day is the last one.
    let (y, m) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `date -u -d '...' +%s`.
    #[test]
    fn dates_are_those_of_the_system() {
        assert_eq!(unix_seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(unix_seconds("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        assert_eq!(unix_seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(unix_seconds("tomorrow"), None);
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("-1"), None);
    }

    #[test]
    fn pauses_grow_and_have_a_bound() {
        let limits = Limits::from_env();
        let pauses: Vec<u128> = (1..=4).map(|n| limits.pause_after(n, None).as_millis()).collect();
        assert_eq!(pauses, [300, 600, 1200, 2400]);
        assert_eq!(limits.pause_after(1, Some(Duration::from_secs(5))), Duration::from_secs(5));
        assert_eq!(limits.pause_after(1, Some(Duration::from_secs(u64::MAX))), limits.longest_pause);
    }
}
