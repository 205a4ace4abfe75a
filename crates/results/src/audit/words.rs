//! What an audit says in words, the same on the terminal and on the page.

use super::{AcceptableCheckpoint, Audit, Claim, SplitCheck};
use crate::stats::Guarantee;

/// A share of 0..=1 in percent, without needless digits.
pub fn percent(share: f64) -> String {
    let digits = format!("{:.1}", 100.0 * share);
    format!("{} %", digits.strip_suffix(".0").unwrap_or(&digits))
}

/// What is claimed, what that assumes, and what had to be refused: a paragraph each.
pub fn statement(audit: &Audit) -> Vec<String> {
    let (Some(calibration), Some(claim)) = (&audit.calibration, &audit.claim) else {
        return vec![
            "No calibration prompts were given, so this is a ranking alone: nothing is said about how sure it is. Give \
             pictures or captions of the same style that were not trained on with --held-out."
                .into(),
        ];
    };
    let mut said = vec![promise(claim)];
    let kind = match calibration.held_out {
        true => "said to be held out: of the same style, not trained on",
        false => "kept scores; whether they are of the same style is not known here",
    };
    said.push(format!(
        "This assumes that the {} calibration prompts ({}, {kind}) are exchangeable with those audited prompts that the \
         model has not memorized: drawn in the same way from the same kind of prompts and pictures. Prompts of another \
         style do not calibrate this one; with them most flags can be false.",
        calibration.prompts, calibration.source
    ));
    said.extend(carries(claim));
    said.extend(refusal(claim));
    said
}

/// How many flags the sample can carry.
fn carries(claim: &Claim) -> Option<String> {
    let fewest = claim.fewest_flagged?;
    let (n, fdr) = (claim.calibration, percent(claim.fdr));
    let one = claim.guarantee.calibration_needed(claim.fdr, claim.tests, 1)?;
    Some(match fewest {
        1 => format!("With {n} calibration prompts a single one of {} can be flagged at {fdr}.", claim.tests),
        _ => format!(
            "With {n} calibration prompts at least {fewest} of {} must stand above all of them before any can be flagged at \
             {fdr}; to flag a single one, {one} are needed.",
            claim.tests
        ),
    })
}

fn promise(claim: &Claim) -> String {
    let fdr = percent(claim.fdr);
    let holds = match claim.guarantee {
        Guarantee::Marginal => "on average over calibration samples".to_owned(),
        Guarantee::Simes { confidence } | Guarantee::Dkwm { confidence } => {
            format!("for this calibration sample with {} confidence", percent(confidence))
        }
    };
    format!(
        "{} of {} prompts are flagged. Of the flagged prompts at most {fdr} are expected to be ordinary ones that stand out \
         by chance (false discovery rate; conformal p-values, Benjamini–Hochberg); this holds {holds}.",
        claim.flagged, claim.tests
    )
}

fn refusal(claim: &Claim) -> Option<String> {
    let needed = claim.needed?;
    let (n, fdr) = (claim.calibration, percent(claim.fdr));
    let why = match claim.fewest_flagged {
        None => format!("with {n} calibration prompts nothing could be flagged at {fdr}, whatever the scores"),
        Some(fewest) => format!(
            "{} prompt(s) score above every calibration prompt, but with {n} of those at least {fewest} would have to",
            claim.above_all
        ),
    };
    let about = claim.above_all.max(1);
    Some(format!(
        "A claim is refused: {why}. About {about} of {} prompts one needs at least {needed} calibration prompts.",
        claim.tests
    ))
}

/// What one check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitSays {
    /// What calibrated.
    pub calibration: String,
    /// In a sentence or two.
    pub text: String,
    /// Whether the promise was not kept.
    pub is_broken: bool,
}

/// How calibrations kept their promise at the rate that was asked for, one paragraph for each.
pub fn splits_say(audit: &Audit) -> Vec<SplitSays> {
    let Some(fdr) = audit.claim.as_ref().map(|claim| claim.fdr) else { return vec![] };
    let said = |check: &SplitCheck| {
        let level = check.levels.iter().find(|level| level.fdr == fdr)?;
        let by = match check.same_list {
            true => format!("the other {} of {} calibrated", check.calibrating, check.calibration),
            false => format!("the {} kept scores of {} calibrated", check.calibrating, check.calibration),
        };
        let kept = match level.is_broken() {
            true => "The promise is NOT kept with this calibration: do not rely on flags made by it.",
            false => "The promise is kept.",
        };
        let text = format!(
            "Checked on what was held out: {} times, {} of those prompts, taken at random, were tested together with the \
             audited ones, and {by}. At {} on average {} ± {} of the flags were false ones, and {} of the audited prompts \
             were flagged. {kept}",
            check.splits,
            check.tested,
            percent(fdr),
            percent(level.false_share.mean),
            percent(level.false_share.error),
            percent(level.power.mean),
        );
        Some(SplitSays { calibration: check.calibration.clone(), text, is_broken: level.is_broken() })
    };
    audit.splits.iter().filter_map(said).collect()
}

/// Which checkpoint may be used, in a sentence or two.
pub fn acceptable_says(acceptable: &AcceptableCheckpoint) -> String {
    let AcceptableCheckpoint { limit, last, surely } = acceptable;
    match (last, surely) {
        (None, _) => format!("No checkpoint is below the limit {limit}."),
        (Some(last), None) => format!(
            "The last checkpoint below the limit {limit} is {last}; of none the whole 95 % interval is, so that more prompts \
             are needed to be sure."
        ),
        (Some(last), Some(surely)) => {
            format!(
                "The last checkpoint below the limit {limit} is {last}; the last one that surely is (95 % interval): {surely}."
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn shares_are_written_without_needless_digits() {
        assert_eq!([0.1, 0.125, 1.0, 0.005].map(percent), ["10 %", "12.5 %", "100 %", "0.5 %"]);
    }
}
