//! What is decided about the audited prompts.

use memscope_eval::audit::{AuditScores, CalibrationFile};
use memscope_results::audit::{Calibrating, CalibrationRecord, Claim, Decision, SplitCheck, check_splits, decide};

use super::input::Asked;
use crate::args;

/// Seed of the first random split.
const SPLIT_SEED: u64 = 0;

/// Decisions, in the order of the audited prompts.
pub(crate) struct Decided {
    /// `None` without calibration prompts.
    pub(crate) decisions: Option<Vec<Decision>>,
    /// What the calibration prompts carry.
    pub(crate) claim: Option<Claim>,
    /// The same about the base alone, where it was asked.
    pub(crate) base: Option<Vec<Decision>>,
    /// What was compared with.
    pub(crate) calibration: Option<CalibrationRecord>,
}

/// Numbers of the calibration prompts: one list for each condition, and the base's.
struct Known {
    record: CalibrationRecord,
    conditions: Vec<Vec<f64>>,
    base: Option<Vec<f64>>,
}

impl Decided {
    pub(crate) fn new(
        args: &args::Audit,
        asked: &Asked,
        scores: &AuditScores,
        file: Option<&CalibrationFile>,
    ) -> anyhow::Result<Self> {
        let Some(known) = known(asked, scores, file) else {
            return Ok(Self { decisions: None, claim: None, base: None, calibration: None });
        };
        let own = |values: &Vec<f64>| values[..asked.plan.audited].to_vec();
        let paired: Vec<_> = scores.conditions.iter().map(own).zip(known.conditions).collect();
        let (decisions, claim) = decide(&paired, args.fdr, args.guarantee)?;
        let base = match (&known.base, &scores.base) {
            (Some(known), Some(base)) => Some(decide(&[(own(base), known.clone())], args.fdr, args.guarantee)?.0),
            _ => None,
        };
        Ok(Self { decisions: Some(decisions), claim: Some(claim), base, calibration: Some(known.record) })
    }

    /// Those of some items that are flagged.
    pub(crate) fn flagged(&self, items: &[usize]) -> Vec<usize> {
        let is_flagged = |at: &usize| self.decisions.as_ref().is_some_and(|all| all[*at].flagged);
        items.iter().copied().filter(is_flagged).collect()
    }
}

/// What was held out calibrates; else kept scores.
fn known(asked: &Asked, scores: &AuditScores, file: Option<&CalibrationFile>) -> Option<Known> {
    if let Some(held_out) = &asked.held_out {
        let own = |values: &Vec<f64>| values[asked.plan.audited..].to_vec();
        let prompts = held_out.items.len();
        return Some(Known {
            record: CalibrationRecord { source: held_out.name.clone(), prompts, held_out: true },
            conditions: scores.conditions.iter().map(own).collect(),
            base: scores.base.as_ref().map(own),
        });
    }
    let file = file?;
    Some(Known {
        record: CalibrationRecord { source: file.source.clone(), prompts: file.scores.len(), held_out: false },
        conditions: kept(file),
        base: file.scores.iter().map(|score| score.base).collect(),
    })
}

/// Kept scores: one list for each condition.
fn kept(file: &CalibrationFile) -> Vec<Vec<f64>> {
    let conditions = file.scores.first().map_or(0, |score| score.conditions.len());
    (0..conditions).map(|i| file.scores.iter().map(|score| score.conditions[i]).collect()).collect()
}

/// How calibrations keep their promise on the prompts that were held out: those themselves, and kept scores beside them.
pub(crate) fn splits(
    args: &args::Audit,
    asked: &Asked,
    scores: &AuditScores,
    file: Option<&CalibrationFile>,
) -> anyhow::Result<Vec<SplitCheck>> {
    let Some(held_out) = &asked.held_out else { return Ok(vec![]) };
    let audited = asked.plan.audited;
    let part = |range: std::ops::Range<usize>| -> Vec<Vec<f64>> {
        scores.conditions.iter().map(|values| values[range.clone()].to_vec()).collect()
    };
    let (members, others) = (part(0..audited), part(audited..asked.plan.items.len()));
    let subject = (members.as_slice(), others.as_slice(), held_out.name.as_str());
    let check = |calibrating: &Calibrating| {
        check_splits(subject, calibrating, (args.splits as usize, SPLIT_SEED), (args.fdr, args.guarantee))
    };
    let mut checks: Vec<SplitCheck> = check(&Calibrating::Others)?.into_iter().collect();
    if let Some(file) = file {
        checks.extend(check(&Calibrating::Kept(&file.source, &kept(file)))?);
    }
    Ok(checks)
}
