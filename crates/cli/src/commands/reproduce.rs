use include_dir::{Dir, include_dir};
use memscope_eval::{Experiment, ExperimentFile};

use super::run::{measure, parse};
use crate::{args::Reproduce, exit_code::UserError, output::print, progress::Progress};

/// The experiments that come with the program.
static EXPERIMENTS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../experiments");

/// `memscope reproduce`.
pub(crate) fn run(args: &Reproduce) -> anyhow::Result<()> {
    if args.list {
        return list();
    }
    // All targets are checked before the first is run.
    let experiments =
        args.targets.iter().map(|target| experiment(target, &args.options.set)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut progress = Progress::install()?;
    for experiment in &experiments {
        measure(experiment, &args.options, &mut progress)?;
    }
    Ok(())
}

fn targets() -> Vec<&'static str> {
    let mut names: Vec<_> =
        EXPERIMENTS.files().filter_map(|file| file.path().to_str()?.strip_suffix(".yaml")).collect();
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
    for target in targets() {
        let yaml = EXPERIMENTS.get_file(format!("{target}.yaml")).and_then(include_dir::File::contents_utf8);
        let file = ExperimentFile::parse(target, yaml.unwrap_or_default())?;
        text.push_str(&format!("{target:12} {}\n", file.title));
    }
    print(&text)
}
