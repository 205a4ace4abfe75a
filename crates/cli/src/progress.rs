//! Progress on a terminal, and a stop on Ctrl-C.

use std::{
    collections::HashMap,
    io::IsTerminal,
    mem::{Discriminant, discriminant},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use memscope_eval::{
    Warning,
    run::{Observer, Watch},
};
use memscope_model::ModelSource;

use crate::{exit_code::ExitCode, messages::note};

/// What is under way when the user stops is given this long to come to the end of a step.
const GRACE: Duration = Duration::from_millis(700);

/// Warnings of one kind that are shown; the manifest of an experiment has all.
const MOST_WARNINGS: usize = 20;
const MORE_WARNINGS: usize = MOST_WARNINGS + 1;

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
    /// Warnings by kind.
    warned: HashMap<Discriminant<Warning>, usize>,
}

impl Progress {
    /// Installs the Ctrl-C handler: the first one stops at the next batch, or within a second where that takes longer; a
    /// second one at once. Nothing on the disk depends on how a run ends, so that it may end anywhere.
    pub(crate) fn install() -> anyhow::Result<Self> {
        ctrlc::set_handler(|| {
            if STOP.swap(true, Ordering::SeqCst) {
                std::process::exit(ExitCode::Interrupted as i32);
            }
            thread::spawn(|| {
                thread::sleep(GRACE);
                note("error: stopped in the middle of a step; what was measured before it is kept");
                std::process::exit(ExitCode::Interrupted as i32);
            });
        })
        .context("cannot handle Ctrl-C")?;
        let target = match std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}").context("progress style")?;
        let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style);
        Ok(Self { bar, stage: String::new(), warned: HashMap::new() })
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
        let count = self.warned.entry(discriminant(warning)).or_default();
        *count += 1;
        match *count {
            ..=MOST_WARNINGS => self.bar.suspend(|| tracing::warn!("{warning}")),
            MORE_WARNINGS => self.bar.suspend(|| tracing::warn!("further warnings of this kind are not shown")),
            _ => {}
        }
    }
}
