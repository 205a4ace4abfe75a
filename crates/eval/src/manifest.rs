//! Where a results folder comes from: the records of a run, made from the types of the model and the metric.

use std::time::{SystemTime, UNIX_EPOCH};

use memscope_metric::{Gammas, ResolvedProtocol};
use memscope_model::WeightsOrigin;
use memscope_results::manifest::{GammasRecord, ProtocolRecord, Weights};

/// What a model's folder says about its weights, as a record.
pub(crate) fn weights_record(origin: WeightsOrigin) -> Weights {
    match origin {
        WeightsOrigin::Unmarked => Weights::Unmarked,
        WeightsOrigin::Random => Weights::Random,
    }
}

/// Weights of the metric as a record.
pub(crate) fn gammas_record(gammas: Gammas) -> GammasRecord {
    GammasRecord { cosine: gammas.cosine, norm: gammas.norm }
}

/// The options in force as a record.
pub(crate) fn protocol_record(protocol: &ResolvedProtocol) -> ProtocolRecord {
    ProtocolRecord {
        t_norm: protocol.t_norm,
        t_cos: protocol.t_cos,
        input: protocol.input.to_string(),
        cos_mode: protocol.cos_mode.to_string(),
        cos_reduction: protocol.cos_reduction.to_string(),
        cos_space: protocol.cos_space.to_string(),
        norm_space: protocol.norm_space.to_string(),
        normalization: protocol.normalization.to_string(),
        normalization_targets: protocol.normalization_targets.to_string(),
        numerics: protocol.numerics.to_string(),
        score_storage: protocol.score_storage.to_string(),
    }
}

/// The commit this program was built from.
pub const COMMIT: &str = env!("MEMSCOPE_COMMIT");

/// The time in UTC, as `2026-01-31T12:00:00Z`.
pub fn utc_now() -> String {
    utc(seconds_now())
}

/// Seconds since 1970.
pub fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Seconds since 1970 as a date and time (days to a civil date as in Howard Hinnant's `civil_from_days`).
fn utc(seconds: u64) -> String {
    let (days, rest) = ((seconds / 86_400) as i64, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_date() {
        // `date -u -d @SECONDS +%FT%TZ` of GNU coreutils 9.1.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_690_644, "2026-11-26T10:57:24Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }
}
