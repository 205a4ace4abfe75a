//! Progress on a terminal or as lines in a log, and a clean stop on Ctrl-C and on the signals of batch systems.

use std::{
    collections::HashMap,
    env,
    fs::{self, File, OpenOptions},
    io::{IsTerminal, Write},
    mem::{Discriminant, discriminant},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use memscope_eval::{manifest::utc_now, run::Observer, task::Watch};
use memscope_model::ModelSource;
use memscope_results::Warning;

use crate::{exit_code::ExitCode, messages::note};

/// What is under way when the user stops is given this long to come to the end of a step.
const GRACE: Duration = Duration::from_millis(700);

/// Warnings of one kind that are shown; the manifest of an experiment has all.
const MOST_WARNINGS: usize = 20;
const MORE_WARNINGS: usize = MOST_WARNINGS + 1;

/// Ctrl-C belongs to the process, and so does what it asks for.
static STOP: AtomicBool = AtomicBool::new(false);

/// Set by the signals with which batch systems ask a job to end: the step under way is finished.
static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The variable with the seconds between lines of progress where there is no terminal; 0 for none.
const INTERVAL_VARIABLE: &str = "MEMSCOPE_PROGRESS";
const INTERVAL: Duration = Duration::from_secs(30);

/// Whether the user, or the batch system, has asked to stop.
pub(crate) fn stop_requested() -> bool {
    STOP.load(Ordering::SeqCst) || ASKED.get().is_some_and(|asked| asked.load(Ordering::SeqCst))
}

/// Shows progress on standard error, and remembers that the user wants to stop.
pub(crate) struct Progress {
    bar: ProgressBar,
    stage: String,
    lines: Arc<Mutex<Lines>>,
    /// Warnings by kind.
    warned: HashMap<Discriminant<Warning>, usize>,
}

/// What lines of progress say.
#[derive(Default)]
struct Lines {
    /// Whether they go to standard error, where no bar is.
    on_stderr: bool,
    message: String,
    /// When the first count of this total came, and what it was.
    begun: Option<(Instant, usize)>,
    done: usize,
    total: usize,
    /// The log of a shard.
    log: Option<File>,
}

impl Lines {
    fn progress(&mut self, done: usize, total: usize) {
        if self.total != total || self.begun.is_none() || done < self.done {
            self.begun = Some((Instant::now(), done));
        }
        (self.done, self.total) = (done, total);
    }

    /// `MODEL: 120 of 540 (22 %), 3.1 a second, 2 min left`.
    fn line(&self) -> Option<String> {
        let (begun, found) = self.begun.filter(|_| self.done < self.total)?;
        let rate = (self.done - found) as f64 / begun.elapsed().as_secs_f64().max(1e-3);
        let share = 100 * self.done / self.total.max(1);
        let left = match rate > 0.0 {
            true => format!("{} left", duration((self.total - self.done) as f64 / rate)),
            false => "time left not known yet".into(),
        };
        Some(format!("{}: {} of {} ({share} %), {rate:.2} a second, {left}", self.message, self.done, self.total))
    }

    fn say(&mut self) {
        let Some(line) = self.line() else { return };
        if self.on_stderr {
            note(&line);
        }
        self.log(&line);
    }

    fn log(&mut self, line: &str) {
        if let Some(log) = &mut self.log {
            // A full disk is told by what writes the results.
            let _ = writeln!(log, "{} {line}", utc_now());
        }
    }
}

fn locked(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds for people.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

impl Progress {
    /// Installs the handlers of signals: the first Ctrl-C stops at the next batch, or within a second where that takes
    /// longer; a second one at once. SIGTERM, SIGHUP and SIGUSR1, which batch systems send before a limit, stop at the next
    /// batch. Nothing on the disk depends on how a run ends, so that it may end anywhere.
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
        #[cfg(unix)]
        {
            use signal_hook::consts::{SIGHUP, SIGTERM, SIGUSR1};
            let asked = ASKED.get_or_init(Arc::default);
            for signal in [SIGHUP, SIGTERM, SIGUSR1] {
                signal_hook::flag::register(signal, Arc::clone(asked)).context("cannot handle signals")?;
            }
        }
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}").context("progress style")?;
        let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style);
        let lines = Arc::new(Mutex::new(Lines { on_stderr: !is_terminal, ..Lines::default() }));
        let seconds = env::var(INTERVAL_VARIABLE).ok().and_then(|text| text.parse().ok());
        let every = seconds.map_or(INTERVAL, Duration::from_secs);
        if !every.is_zero() {
            let lines = Arc::downgrade(&lines);
            thread::spawn(move || {
                loop {
                    thread::sleep(every);
                    let Some(lines) = lines.upgrade() else { return };
                    locked(&lines).say();
                }
            });
        }
        Ok(Self { bar, stage: String::new(), lines, warned: HashMap::new() })
    }

    /// Says which of several stages runs.
    pub(crate) fn stage(&mut self, number: usize, of: usize, name: &str) {
        self.stage = if of > 1 { format!("[{number}/{of}] {name} ") } else { String::new() };
        if of > 1 {
            tracing::info!("{}", self.stage);
        }
    }

    /// Says what is counted.
    pub(crate) fn what(&mut self, what: &str) {
        what.clone_into(&mut locked(&self.lines).message);
        self.bar.set_message(what.to_owned());
    }

    /// Keeps the lines of progress in a file, too; one that cannot be written is done without.
    pub(crate) fn log_to(&mut self, path: PathBuf, first: &str) {
        if let Some(folder) = path.parent() {
            // The shard says why its folder cannot be made.
            let _ = fs::create_dir_all(folder);
        }
        locked(&self.lines).log = OpenOptions::new().append(true).create(true).open(path).ok();
        self.write_log(first);
    }

    /// Writes into the log, if there is one.
    pub(crate) fn write_log(&self, line: &str) {
        locked(&self.lines).log(line);
    }
}

impl Watch for Progress {
    fn progress(&mut self, done: usize, total: usize) {
        locked(&self.lines).progress(done, total);
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
        let message = format!("{}{source}", self.stage);
        self.write_log(&format!("model {source}"));
        locked(&self.lines).message.clone_from(&message);
        self.bar.set_message(message);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_what_this_run_did() {
        let mut lines = Lines { message: "sd14".into(), ..Lines::default() };
        assert_eq!(lines.line(), None);
        lines.progress(40, 100);
        assert!(lines.line().unwrap().contains("sd14: 40 of 100 (40 %), 0.00 a second, time left not known"));
        lines.begun = Some((Instant::now().checked_sub(Duration::from_secs(10)).unwrap(), 40));
        lines.progress(60, 100);
        let line = lines.line().unwrap();
        assert!(line.contains("60 of 100 (60 %), 2.00 a second, 20 s left"), "{line}");
        lines.progress(100, 100);
        assert_eq!(lines.line(), None, "nothing is left to say");
    }

    #[test]
    fn durations_are_short() {
        assert_eq!([0.4, 119.0, 150.0, 7300.0].map(duration), ["0 s", "119 s", "2 min", "2 h 1 min"]);
    }
}
