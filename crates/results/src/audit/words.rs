//! What an audit says in words, the same on the terminal and on the page.

use super::{Audit, Claim};
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
    said.extend(refusal(claim));
    said
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

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn shares_are_written_without_needless_digits() {
        assert_eq!([0.1, 0.125, 1.0, 0.005].map(percent), ["10 %", "12.5 %", "100 %", "0.5 %"]);
    }
}
