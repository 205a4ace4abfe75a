use memscope_eval::{
    read_labelled_scores,
    stats::{ScoreSet, Statistic, TprRule},
};
use serde::Serialize;

use crate::{
    args::Evaluate,
    exit_code::UserError,
    output::{print, print_json},
};

#[derive(Serialize)]
struct Report {
    auc: f64,
    tpr_at_1_fpr: f64,
    tpr_at_1_fpr_reference: f64,
    memorized: usize,
    non_memorized: usize,
}

/// `memscope evaluate`.
pub(crate) fn run(args: &Evaluate) -> anyhow::Result<()> {
    let (positives, negatives) = read_labelled_scores(&args.file, &args.label, &args.score)?;
    let scores =
        ScoreSet::new(&positives, &negatives).map_err(|e| UserError::input(format!("{}: {e}", args.file.display())))?;
    let tpr = |rule| Statistic::TprAtFpr { fpr: 0.01, rule }.of(scores);
    let report = Report {
        auc: Statistic::Auc.of(scores)?,
        tpr_at_1_fpr: tpr(TprRule::MaxTprFprLe)?,
        tpr_at_1_fpr_reference: tpr(TprRule::NearestFpr)?,
        memorized: positives.len(),
        non_memorized: negatives.len(),
    };
    if args.json {
        return print_json(&report);
    }
    print(&format!(
        "AUC                     {:.4}\nTPR@1%FPR               {:.4}\nTPR@1%FPR, code's rule  {:.4}\nmemorized               {}\nnon-memorized           {}\n",
        report.auc, report.tpr_at_1_fpr, report.tpr_at_1_fpr_reference, report.memorized, report.non_memorized
    ))
}
