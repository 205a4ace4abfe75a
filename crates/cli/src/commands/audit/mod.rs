//! `memscope audit` and `memscope calibrate`.

mod decisions;
mod extras;
mod input;
mod limit;
mod measure;
mod output;
mod rows;
mod shards;
mod shown;
mod thumbnail;

use memscope_eval::audit::{CALIBRATION_FORMAT, CalibrationFile, CalibrationScore};
use memscope_results::{audit::CheckpointRow, files::Existing};

use self::{
    extras::Showing,
    input::Asked,
    measure::{Measured, Measuring},
};
use crate::{
    args::{Audit, Calibrate, FailOn},
    commands::pictures,
    exit_code::UserError,
    messages::note,
    output::print_json,
    progress::Progress,
    targets::{check_free, check_writable},
};

/// The program, as records name it.
const SOFTWARE: &str = concat!("memscope ", env!("CARGO_PKG_VERSION"));

/// `memscope audit`.
pub(crate) fn run(args: &Audit) -> anyhow::Result<()> {
    if !(args.fdr > 0.0 && args.fdr < 1.0) {
        return Err(UserError::input(format!("--fdr {} is not between 0 and 1", args.fdr)).into());
    }
    let calibration = match args.calibration.as_deref() {
        Some(path) => Some((path, CalibrationFile::read(path)?)),
        None => None,
    };
    let asked = Asked::of_audit(args)?;
    if let Some((path, file)) = &calibration {
        let settings = &asked.plan.settings;
        file.check_settings(path, &settings.statistic.to_string(), &settings.of_scores())?;
    }
    if !args.model.costs.dry_run && args.scores.part.shard.is_none() {
        output::check_free(args)?;
    }
    let mut progress = Progress::install()?;
    asked.warn();
    let judges = pictures::named_descriptor(args.judges.as_deref())?;
    let targets = input::targets(args)?;
    let file = calibration.as_ref().map(|(_, file)| file);
    let showing = Showing { args, asked: &asked, calibration: file, judges: judges.clone() };
    let mut measuring = Measuring {
        model: &args.model,
        scores: &args.scores,
        asked: &asked,
        evidence: args.evidence as usize,
        showing: Some(showing),
        judges,
        progress: &mut progress,
    };
    if let Some(choice) = args.scores.part.shard {
        return shards::run(&mut measuring, &targets, ("audit", choice));
    }
    if args.model.costs.dry_run {
        return measuring.show_costs(&targets);
    }
    if let Some((path, file)) = &calibration {
        for target in &targets {
            let (model, base) = measuring.identify(target)?;
            file.check_models(path, &model, base.as_ref())?;
        }
    }
    let mut checkpoints = vec![];
    let mut last = None;
    for target in &targets {
        let measured = measuring.run(target)?;
        let audit = rows::audit(args, &asked, &measured, file)?;
        checkpoints.push(CheckpointRow {
            name: target.name.clone(),
            members: rows::members(&audit),
            copies: rows::copies(&audit),
            mean_score: audit.rows.iter().map(|row| row.score).sum::<f64>() / audit.rows.len().max(1) as f64,
        });
        last = Some((audit, measured));
    }
    let Some((mut audit, measured)) = last else {
        return Err(UserError::input("there is no checkpoint to audit").into());
    };
    audit.acceptable = args.acceptable.map(|limit| limit::acceptable(limit, &checkpoints));
    if checkpoints.len() > 1 {
        audit.checkpoints = checkpoints;
    }
    output::write(args, &asked, &mut audit, &measured)?;
    if args.scores.json {
        print_json(&audit)?;
    } else {
        output::print(&audit)?;
    }
    match args.fail_on {
        Some(FailOn::Flagged(most)) => fail(rows::members(&audit).hits, most, "flagged"),
        Some(FailOn::Copied(most)) => fail(rows::copies(&audit).hits, most, "copied"),
        Some(FailOn::Refused) if audit.claim.as_ref().is_none_or(memscope_results::audit::Claim::is_refused) => {
            Err(UserError::found("--fail-on refused: the calibration prompts carry no claim").into())
        }
        _ => Ok(()),
    }
}

fn fail(found: usize, most: usize, what: &str) -> anyhow::Result<()> {
    match found > most {
        true => Err(UserError::found(format!("--fail-on {what}>{most}: {found} prompt(s) are {what}")).into()),
        false => Ok(()),
    }
}

/// `memscope calibrate`.
pub(crate) fn calibrate(args: &Calibrate) -> anyhow::Result<()> {
    let asked = Asked::of_calibration(args)?;
    let existing = Existing::of_flag(args.scores.overwrite);
    if !args.model.costs.dry_run && args.scores.part.shard.is_none() {
        check_free(&args.out, args.scores.overwrite)?;
        check_writable(&args.out)?;
    }
    let mut progress = Progress::install()?;
    asked.warn();
    let target = input::target(&args.model, args.scores.base.as_deref())?;
    let mut measuring = Measuring {
        model: &args.model,
        scores: &args.scores,
        asked: &asked,
        evidence: 0,
        showing: None,
        judges: None,
        progress: &mut progress,
    };
    if let Some(choice) = args.scores.part.shard {
        return shards::run(&mut measuring, std::slice::from_ref(&target), ("calibrate", choice));
    }
    if args.model.costs.dry_run {
        return measuring.show_costs(std::slice::from_ref(&target));
    }
    let Measured { model, base, scores, .. } = measuring.run(&target)?;
    let score = |(at, item): (usize, &memscope_eval::audit::SubjectItem)| CalibrationScore {
        prompt: item.prompt.to_string(),
        conditions: scores.conditions.iter().map(|condition| condition[at]).collect(),
        base: scores.base.as_ref().map(|base| base[at]),
    };
    let file = CalibrationFile {
        format: CALIBRATION_FORMAT,
        software: SOFTWARE.to_owned(),
        model,
        base,
        statistic: asked.plan.settings.statistic.to_string(),
        settings: asked.plan.settings.of_scores(),
        source: asked.subject.name.clone(),
        scores: asked.plan.items.iter().enumerate().map(score).collect(),
        checksum: String::new(),
    }
    .signed();
    file.write(&args.out, existing)?;
    note(&format!("{} scores written to {}", file.scores.len(), args.out.display()));
    if args.scores.json { print_json(&file) } else { Ok(()) }
}
