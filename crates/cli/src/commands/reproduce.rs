use include_dir::{Dir, include_dir};
use memscope_eval::{Experiment, ExperimentFile};

use super::{
    report,
    run::{measure, parse},
    theorem1,
};
use crate::{args::Reproduce, exit_code::UserError, output::print, progress::Progress};

/// The experiments that come with the program.
static EXPERIMENTS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../experiments");

/// `memscope reproduce`.
pub(crate) fn run(args: &Reproduce) -> anyhow::Result<()> {
    if args.list {
        return list();
    }
    let all = args.targets.iter().any(|target| target == ALL);
    let mut names: Vec<&str> = if all { everything() } else { args.targets.iter().map(String::as_str).collect() };
    names.dedup();
    // All targets are checked before the first is run.
    let stages = names.iter().map(|name| Stage::new(name, &args.options.set)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut progress = Progress::install()?;
    for (i, stage) in stages.iter().enumerate() {
        progress.stage(i + 1, stages.len(), names[i]);
        match stage {
            Stage::Experiment(experiment) => measure(experiment, &args.options, &mut progress)?,
            Stage::Theorem1 => theorem1::verify(THEOREM_INSTANCES, 0, &args.options.results, args.options.json)?,
        }
    }
    if all {
        report::run(&args.options.results, None)?;
        eprintln!("{} experiments and report.html written to {}", stages.len(), args.options.results.display());
    }
    Ok(())
}

const ALL: &str = "all";
const THEOREM1: &str = "theorem1";
const THEOREM_INSTANCES: u32 = 10_000;

/// One target.
enum Stage {
    Experiment(Box<Experiment>),
    Theorem1,
}

impl Stage {
    fn new(name: &str, set: &[String]) -> anyhow::Result<Self> {
        match name {
            THEOREM1 => Ok(Self::Theorem1),
            _ => Ok(Self::Experiment(Box::new(experiment(name, set)?))),
        }
    }
}

/// Every target once; what others reuse comes first.
fn everything() -> Vec<&'static str> {
    let first = "table1";
    let others = targets().into_iter().filter(|name| *name != first && *name != ALL);
    std::iter::once(first).chain(others).collect()
}

fn targets() -> Vec<&'static str> {
    let mut names: Vec<_> =
        EXPERIMENTS.files().filter_map(|file| file.path().to_str()?.strip_suffix(".yaml")).collect();
    names.extend([ALL, THEOREM1]);
    names.sort_unstable();
    names
}

fn experiment(target: &str, set: &[String]) -> anyhow::Result<Experiment> {
    let file = EXPERIMENTS.get_file(format!("{target}.yaml"));
    let Some(yaml) = file.and_then(include_dir::File::contents_utf8) else {
        let message = format!("there is no target '{target}'; there are: {}", targets().join(", "));
        return Err(UserError::input(message).into());
    };
    parse(&format!("experiments/{target}.yaml"), yaml, set)
}

fn list() -> anyhow::Result<()> {
    let mut text = String::new();
    text.push_str(&format!("{ALL:12} Everything below, then report.html\n"));
    for target in targets().into_iter().filter(|target| *target != ALL) {
        if target == THEOREM1 {
            text.push_str(&format!("{target:12} Theorem 1 on {THEOREM_INSTANCES} sampled instances\n"));
            continue;
        }
        let yaml = EXPERIMENTS.get_file(format!("{target}.yaml")).and_then(include_dir::File::contents_utf8);
        let file = ExperimentFile::parse(target, yaml.unwrap_or_default())?;
        text.push_str(&format!("{target:12} {}\n", file.title));
    }
    print(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_a_valid_experiment() {
        for name in everything() {
            assert!(Stage::new(name, &[]).is_ok(), "{name}: {:?}", Stage::new(name, &[]).err());
        }
        assert_eq!(everything()[0], "table1");
    }
}
