//! Downloads of models, with words and a bar.

use std::{io::IsTerminal, ops::ControlFlow};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use memscope_eval::run::Watch;
use memscope_hub::{FetchPlan, FetchWatch, Hub, HubModel};
use memscope_model::{DiffusersFiles, ModelSource, memory::size};

use crate::progress::Progress;

/// What of a model would be downloaded; `None` for one that is there. The Hub is asked for names and sizes only.
pub(crate) fn missing(source: &ModelSource) -> anyhow::Result<Option<FetchPlan>> {
    let Some(model) = source.hub_model() else { return Ok(None) };
    let hub = Hub::from_env();
    if source.is_there(&hub) { Ok(None) } else { Ok(Some(hub.plan(model, &DiffusersFiles::of(model))?)) }
}

/// Downloads a model of the Hub if the cache lacks it; without network that is one error that says what to do.
pub(crate) fn provide(source: &ModelSource, progress: &Progress) -> anyhow::Result<()> {
    let Some(model) = source.hub_model() else { return Ok(()) };
    let hub = Hub::from_env();
    if source.is_there(&hub) { Ok(()) } else { fetch(&hub, model, progress).map(|_| ()) }
}

/// Asks the Hub what a model consists of, says how much of it is missing, and downloads that.
pub(crate) fn fetch(hub: &Hub, model: &HubModel, progress: &Progress) -> anyhow::Result<FetchPlan> {
    let plan = hub.plan(model, &DiffusersFiles::of(model))?;
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
