//! Downloads of models, with words and a bar.

use std::{io::IsTerminal, ops::ControlFlow};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use memscope_eval::run::Watch;
use memscope_model::{
    HubModel, LatentDiffusion, ModelSource,
    hub::{FetchPlan, FetchWatch, Hub},
};

use crate::{args::ModelArgs, progress::Progress};

/// Loads a model named on the command line; one of the Hub is downloaded first if the cache lacks it.
pub(crate) fn open(model: &ModelArgs, progress: &Progress) -> anyhow::Result<LatentDiffusion> {
    let source = model.source()?;
    provide(&source, progress)?;
    LatentDiffusion::load_with(&source, model.options()).with_context(|| format!("model {source}"))
}

/// Downloads a model of the Hub if the cache lacks it; without network that is one error that says what to do.
pub(crate) fn provide(source: &ModelSource, progress: &Progress) -> anyhow::Result<()> {
    let ModelSource::Hub(model) = source else { return Ok(()) };
    let hub = Hub::from_env();
    if model.is_cached(&hub) { Ok(()) } else { fetch(&hub, model, progress).map(|_| ()) }
}

/// Asks the Hub what a model consists of, says how much of it is missing, and downloads that.
pub(crate) fn fetch(hub: &Hub, model: &HubModel, progress: &Progress) -> anyhow::Result<FetchPlan> {
    let plan = hub.plan(model)?;
    if plan.missing > 0 {
        eprintln!(
            "downloading {} of {model} ({} files, {} in all) to {}",
            size(plan.missing),
            plan.files.len(),
            size(plan.total()),
            plan.folder.display()
        );
    }
    let mut bar = Bar::new(progress)?;
    hub.fetch(&plan, &mut bar)?;
    bar.bar.finish_and_clear();
    Ok(plan)
}

/// Bytes for people, in powers of ten as the Hub counts them.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, f64); 3] = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match UNITS.iter().find(|(_, unit)| bytes as f64 >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / unit),
        None => format!("{bytes} bytes"),
    }
}

/// Bytes that have come, on a terminal.
struct Bar<'a> {
    bar: ProgressBar,
    progress: &'a Progress,
}

impl<'a> Bar<'a> {
    fn new(progress: &'a Progress) -> anyhow::Result<Self> {
        let target = match std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let style = "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(style).context("progress style")?;
        Ok(Self { bar: ProgressBar::with_draw_target(Some(0), target).with_style(style), progress })
    }
}

impl FetchWatch for Bar<'_> {
    fn progress(&mut self, file: &str, done: u64, total: u64) -> ControlFlow<()> {
        self.bar.set_length(total);
        self.bar.set_position(done);
        if self.bar.message() != file {
            self.bar.set_message(file.to_owned());
        }
        if self.progress.stop_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 999, 1_000, 3_438_167_534, 12_345_678].map(size);
        assert_eq!(sizes, ["0 bytes", "999 bytes", "1.0 kB", "3.4 GB", "12.3 MB"]);
    }
}
