//! Progress on a terminal, and a clean stop on Ctrl-C.

use std::{
    io::IsTerminal,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use memscope_eval::{Warning, run::Watch, session::Observer};
use memscope_model::ModelSource;

/// Ctrl-C belongs to the process, and so does what it asks for.
static STOP: AtomicBool = AtomicBool::new(false);

/// Whether the user has asked to stop.
pub(crate) fn stop_requested() -> bool {
    STOP.load(Ordering::SeqCst)
}

/// Shows progress on standard error where that is a terminal, and remembers that the user wants to stop.
pub(crate) struct Progress {
    bar: ProgressBar,
    stage: String,
}

impl Progress {
    /// Installs the Ctrl-C handler: the first one stops at the next batch, a second one at once.
    pub(crate) fn install() -> anyhow::Result<Self> {
        ctrlc::set_handler(|| {
            if STOP.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        })
        .context("cannot handle Ctrl-C")?;
        let target = match std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}").context("progress style")?;
        let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style);
        Ok(Self { bar, stage: String::new() })
    }

    /// Says which of several stages runs.
    pub(crate) fn stage(&mut self, number: usize, of: usize, name: &str) {
        self.stage = if of > 1 { format!("[{number}/{of}] {name} ") } else { String::new() };
        if of > 1 {
            tracing::info!("{}", self.stage);
        }
    }
}

impl Watch for Progress {
    fn progress(&mut self, done: usize, total: usize) {
        if self.bar.length() != Some(total as u64) {
            self.bar.reset();
            self.bar.set_length(total as u64);
            self.bar.enable_steady_tick(Duration::from_millis(250));
        }
        self.bar.set_position(done as u64);
        if done == total {
            self.bar.disable_steady_tick();
            self.bar.finish_and_clear();
        }
    }

    fn stop_requested(&self) -> bool {
        stop_requested()
    }
}

impl Observer for Progress {
    fn model(&mut self, source: &ModelSource) {
        tracing::info!("measuring {source}");
        self.bar.set_message(format!("{}{source}", self.stage));
    }

    fn warn(&mut self, warning: &Warning) {
        self.bar.suspend(|| tracing::warn!("{warning}"));
    }
}
