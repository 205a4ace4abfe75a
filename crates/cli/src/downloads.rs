//! Downloads of models, with words and a bar.

use std::io::IsTerminal;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use memscope_hub::{FetchPlan, FetchWatch, Hub, HubModel, TransferWatch};
use memscope_model::{DiffusersFiles, ModelSource, memory::size};

use crate::{
    messages::note,
    progress::{Progress, stop_requested},
};

/// What of a model would be downloaded; `None` for one that is there. The Hub is asked for names and sizes only.
pub(crate) fn missing(source: &ModelSource) -> anyhow::Result<Option<FetchPlan>> {
    let Some(model) = source.hub_model() else { return Ok(None) };
    let hub = Hub::from_env();
    if source.is_there(&hub) { Ok(None) } else { plan(&hub, model).map(Some) }
}

/// The model, if it is one of the Hub and the cache lacks it; nobody is asked.
pub(crate) fn not_cached(source: &ModelSource) -> Option<&HubModel> {
    source.hub_model().filter(|_| !source.is_there(&Hub::from_env()))
}

/// Downloads a model of the Hub if the cache lacks it; without network that is one error that says what to do.
pub(crate) fn provide(source: &ModelSource, progress: &Progress) -> anyhow::Result<()> {
    let Some(model) = source.hub_model() else { return Ok(()) };
    let hub = Hub::from_env();
    if source.is_there(&hub) { Ok(()) } else { fetch(&hub, model, progress).map(|_| ()) }
}

/// Asks the Hub what a model consists of, says how much of it is missing, and downloads that. The handler of Ctrl-C is
/// installed, which `Progress` stands for.
pub(crate) fn fetch(hub: &Hub, model: &HubModel, _: &Progress) -> anyhow::Result<FetchPlan> {
    let plan = plan(hub, model)?;
    if plan.missing > 0 {
        note(&format!(
            "downloading {} of {model} ({} files, {} in all) to {}",
            size(plan.missing),
            plan.files.len(),
            size(plan.total()),
            plan.folder.display()
        ));
    }
    let bar = Bar::new()?;
    hub.fetch(&plan, &bar)?;
    bar.clear();
    Ok(plan)
}

fn plan(hub: &Hub, model: &HubModel) -> anyhow::Result<FetchPlan> {
    Ok(hub.plan(model, &DiffusersFiles::of(model), &stop_requested)?)
}

/// Bytes that have come or were read, on a terminal; Ctrl-C stops.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let target = match std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let style = "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(style).context("progress style")?;
        Ok(Self { bar: ProgressBar::with_draw_target(Some(0), target).with_style(style) })
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl FetchWatch for Bar {
    fn progress(&self, file: &str, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        if self.bar.message() != file {
            self.bar.set_message(file.to_owned());
        }
    }

    fn should_stop(&self) -> bool {
        stop_requested()
    }
}

/// Ctrl-C stops; nothing is shown.
pub(crate) struct Quietly;

impl TransferWatch for Quietly {
    fn should_stop(&self) -> bool {
        stop_requested()
    }
}
