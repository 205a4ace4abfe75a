//! This machine: a process for each device, which takes one shard after the other.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::Context;
use memscope_eval::{Error as EvalError, manifest::seconds_now, task::Watch};
use memscope_model::DeviceChoice;
use memscope_results::{
    Error as ResultsError,
    shards::{Shard, ShardState},
};

use super::Request;
use crate::{
    commands::shard::quoted,
    exit_code::UserError,
    messages::note,
    output::print,
    progress::{Progress, stop_requested},
};

/// How often processes are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How often the states of shards are read: files, perhaps on a shared file system.
const READ_EVERY: u32 = 20;

/// Where a process computes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A GPU.
    Cuda(String),
    /// Some cores, as taskset takes them; all where empty.
    Cores(String),
}

impl Place {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let is_set = |set: &str| !set.is_empty() && set.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        match text.split_once(':') {
            _ if text == "cpu" => Ok(Self::Cores(String::new())),
            Some(("cpu", set)) if is_set(set) => Ok(Self::Cores(set.to_owned())),
            Some(("cuda", number)) if number.parse::<usize>().is_ok() => Ok(Self::Cuda(text.to_owned())),
            _ => {
                let message = format!("--devices: '{text}' is neither cuda:N nor cpu:CORES, as cpu:0-3");
                Err(UserError::input(message).into())
            }
        }
    }

    /// The command at this place.
    fn command(&self, base: &[String], shard: Shard) -> Vec<String> {
        let mut command = match self {
            Self::Cores(set) if !set.is_empty() => vec!["taskset".into(), "-c".into(), set.clone()],
            _ => vec![],
        };
        command.extend_from_slice(base);
        command.extend(["--shard".into(), shard.to_string()]);
        command.extend(match self {
            Self::Cuda(device) => ["--device".to_owned(), device.clone()],
            Self::Cores(_) => ["--device".to_owned(), DeviceChoice::Cpu.to_string()],
        });
        command
    }
}

pub(super) fn run(request: &Request, progress: &mut Progress) -> anyhow::Result<()> {
    let args = request.args;
    if !args.devices.is_empty() && args.options.device.is_some() {
        return Err(UserError::input("--device and --devices exclude one another").into());
    }
    let places = args.devices.iter().map(|text| Place::parse(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let places = if places.is_empty() { vec![Place::Cores(String::new())] } else { places };
    request.claim()?;
    let missing = request.missing()?;
    if missing.is_empty() && request.is_complete()? {
        note(&format!("nothing to do: all {} shards are done, merged and reported", request.record.shards));
        return Ok(());
    }
    // What another process is at work on is left to it; one that was killed holds no lock.
    let mut waiting: VecDeque<Shard> = VecDeque::new();
    for (shard, state) in &missing {
        let shard = Shard::new(*shard, request.record.shards).map_err(UserError::input)?;
        if *state != ShardState::Running || request.shards.folder(shard).lock().is_ok() {
            waiting.push_back(shard);
        }
    }
    let base = request.run_command();
    let report = [base[0].clone(), "report".into(), args.options.results.display().to_string()].to_vec();
    let then = [request.merge_command(), base.clone(), report];
    if args.print {
        let mut text = String::new();
        for (i, shard) in waiting.iter().enumerate() {
            text.push_str(&format!("{}\n", quoted(&places[i % places.len()].command(&base, *shard))));
        }
        then.iter().for_each(|command| text.push_str(&format!("{}\n", quoted(command))));
        return print(&text);
    }
    let failed = work(request, &places, &mut waiting, &base, progress)?;
    if !failed.is_empty() {
        let reason = format!(
            "shards {} failed; what they said is in stderr.txt of their folders, and the same command tries them again",
            failed.join(", ")
        );
        return Err(ResultsError::Shards { folder: request.shards.path().to_owned(), reason }.into());
    }
    for command in &then {
        let status = Command::new(&command[0]).args(&command[1..]).status();
        let status = status.with_context(|| format!("{} cannot be started", quoted(command)))?;
        if !status.success() {
            let reason = format!("{} ended with {status}; the same command goes on", quoted(command));
            return Err(ResultsError::Shards { folder: request.shards.path().to_owned(), reason }.into());
        }
    }
    Ok(())
}

/// Works through the shards and returns those that failed. A stop is passed on, and waited for.
fn work(
    request: &Request,
    places: &[Place],
    waiting: &mut VecDeque<Shard>,
    base: &[String],
    progress: &mut Progress,
) -> anyhow::Result<Vec<String>> {
    let mut at_work: Vec<Option<(Shard, Child)>> = places.iter().map(|_| None).collect();
    let (mut failed, mut was_stopped, mut looks) = (vec![], false, 0_u32);
    loop {
        for (place, slot) in places.iter().zip(&mut at_work) {
            if let Some((shard, child)) = slot {
                let Some(status) = child.try_wait().context("a process cannot be waited for")? else { continue };
                if !status.success() {
                    failed.push(shard.to_string());
                }
                *slot = None;
            }
            if !was_stopped && let Some(shard) = waiting.pop_front() {
                *slot = Some((shard, start(request, place, base, shard)?));
            }
        }
        if at_work.iter().all(Option::is_none) {
            break;
        }
        if stop_requested() && !was_stopped {
            was_stopped = true;
            at_work.iter().flatten().for_each(|(_, child)| ask_to_stop(child));
        }
        if looks.is_multiple_of(READ_EVERY)
            && let Ok(status) = request.shards.status(seconds_now())
        {
            progress.progress(status.done.min(status.total.saturating_sub(1)), status.total);
        }
        looks += 1;
        thread::sleep(LOOK);
    }
    if was_stopped { Err(EvalError::Stopped.into()) } else { Ok(failed) }
}

fn start(request: &Request, place: &Place, base: &[String], shard: Shard) -> anyhow::Result<Child> {
    let command = place.command(base, shard);
    let stderr = output(&request.shards.folder(shard).path().join("stderr.txt"))?;
    let mut child = Command::new(&command[0]);
    child.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    child.spawn().map_err(|error| UserError::input(format!("{} cannot be started: {error}", command[0])).into())
}

fn output(path: &Path) -> anyhow::Result<File> {
    let fail = |source| EvalError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    Ok(OpenOptions::new().append(true).create(true).open(path).map_err(fail)?)
}

/// Ctrl-C at a terminal reaches the processes anyway; asked twice, they stop no differently.
fn ask_to_stop(child: &Child) {
    #[cfg(unix)]
    // Whoever has ended meanwhile needs not be asked.
    let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).stderr(Stdio::null()).status();
    #[cfg(not(unix))]
    let _ = child;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_gpus_or_cores() {
        assert_eq!(Place::parse("cuda:1").unwrap(), Place::Cuda("cuda:1".into()));
        let cores = Place::parse("cpu:0-3").unwrap();
        let base = ["memscope", "run", "a.yaml"].map(str::to_owned);
        let command = cores.command(&base, Shard::new(2, 4).unwrap());
        assert_eq!(command.join(" "), "taskset -c 0-3 memscope run a.yaml --shard 2/4 --device cpu");
        for wrong in ["gpu", "cuda", "cuda:x", "cpu:", "cpu:a", "2"] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
    }
}
