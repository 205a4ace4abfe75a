//! Slurm: a job array, then a job that merges.

use std::{collections::HashSet, env, process::Command};

use anyhow::Context;
use memscope_eval::plan::Estimate;
use memscope_results::{
    files::write_file,
    shards::{JobsRecord, SHARD_FORMAT, Shard, SubmittedJob},
};

use super::{
    Request, program,
    script::{ArrayScript, array, arrays},
};
use crate::{commands::shard::quoted, exit_code::UserError, messages::note, output::print};

/// Slurm's default.
const USUAL_ARRAY: usize = 1001;

/// Minutes for loading and hashing, and the share of the estimate that is added: nodes differ, and so does their load.
const STARTING: f64 = 10.0;
const MARGIN: f64 = 1.5;

pub(super) fn submit(request: &Request) -> anyhow::Result<()> {
    request.claim()?;
    let args = request.args;
    let queued = if args.print { HashSet::new() } else { queued(&request.shards.jobs()?)? };
    let missing = request.missing()?;
    let to_do: Vec<usize> = missing.iter().map(|(shard, _)| *shard).filter(|s| !queued.contains(&Some(*s))).collect();
    if to_do.is_empty() && (request.is_complete()? || queued.contains(&None)) {
        note(&format!("nothing to submit: {} of {} shards are done", done(request, &missing), request.record.shards));
        return if missing.is_empty() { Ok(()) } else { print(&format!("{} shards are queued\n", missing.len())) };
    }
    let folder = std::path::absolute(request.shards.path()).context("the folder of the shards")?;
    let at = env::current_dir().context("the current folder")?;
    let command = request.run_command();
    let script = ArrayScript {
        name: &request.target.name,
        folder: &folder,
        at: &at,
        command: &command,
        shards: request.record.shards,
        minutes: if to_do.is_empty() { 0 } else { minutes(request)? },
        warning: args.warning,
        gpus: args.gpus,
        cpus: args.cpus,
        further: &args.sbatch,
    };
    let report = [program(), "report".into(), args.options.results.display().to_string()];
    let merge = script.merge_text(&[request.merge_command(), command.clone(), report.to_vec()]);
    let most = args.max_array_size.map_or_else(max_array_size, |most| most as usize);
    let arrays = arrays(&to_do, most);
    if args.print {
        return print(&printed(&script, &arrays, &merge, args.at_once));
    }
    send(request, &script, &arrays, &merge)
}

fn done(request: &Request, missing: &[(usize, memscope_results::shards::ShardState)]) -> usize {
    request.record.shards - missing.len()
}

/// Submits the arrays and the job that merges, and notes their numbers as they come.
fn send(request: &Request, script: &ArrayScript, arrays: &[(usize, Vec<usize>)], merge: &str) -> anyhow::Result<()> {
    let (array_path, merge_path) = (request.shards.script("shards"), request.shards.script("merge"));
    write_file(&array_path, script.text().as_bytes())?;
    write_file(&merge_path, merge.as_bytes())?;
    let mut jobs = JobsRecord { format: SHARD_FORMAT, ..request.shards.jobs()? };
    // A shard that is queued already is waited for, too.
    let mut before: Vec<String> = vec![];
    for (id, _) in active(&jobs)? {
        if !before.contains(&id) && jobs.jobs.iter().any(|job| job.id == id && job.offset.is_some()) {
            before.push(id);
        }
    }
    for (offset, tasks) in arrays {
        let mut options = array_options(*offset, tasks, request.args.at_once);
        options.push(array_path.display().to_string());
        let id = sbatch(&options)?;
        note(&format!("job {id}: {} shards", tasks.len()));
        jobs.jobs.push(SubmittedJob { id: id.clone(), offset: Some(*offset) });
        request.shards.write_jobs(&jobs)?;
        before.push(id);
    }
    let mut options = vec![];
    if !before.is_empty() {
        options.extend([format!("--dependency=afterok:{}", before.join(":")), "--kill-on-invalid-dep=yes".into()]);
    }
    options.push(merge_path.display().to_string());
    let id = sbatch(&options)?;
    note(&format!("job {id}: merges them, then {}", request.record.command));
    jobs.jobs.push(SubmittedJob { id, offset: None });
    Ok(request.shards.write_jobs(&jobs)?)
}

fn array_options(offset: usize, tasks: &[usize], at_once: Option<u32>) -> Vec<String> {
    let throttle = at_once.map_or_else(String::new, |most| format!("%{most}"));
    vec![format!("--array={}{throttle}", array(tasks)), format!("--export=ALL,MEMSCOPE_SHARD_OFFSET={offset}")]
}

fn printed(script: &ArrayScript, arrays: &[(usize, Vec<usize>)], merge: &str, at_once: Option<u32>) -> String {
    let mut text = format!("# {}/shards.sh\n{}\n", script.folder.display(), script.text());
    text.push_str(&format!("# {}/merge.sh\n{merge}\n", script.folder.display()));
    for (offset, tasks) in arrays {
        let options = array_options(*offset, tasks, at_once);
        text.push_str(&format!("sbatch --parsable {} shards.sh\n", quoted(&options)));
    }
    text.push_str("sbatch --parsable --dependency=afterok:JOBS --kill-on-invalid-dep=yes merge.sh\n");
    text
}

/// Submits a script and returns the job's number.
fn sbatch(options: &[String]) -> anyhow::Result<String> {
    let output = Command::new("sbatch").arg("--parsable").args(options).output();
    let output = output
        .map_err(|error| UserError::input(format!("sbatch cannot be started: {error}; --print shows the scripts")))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(UserError::input(format!("sbatch {}: {reason}", options.join(" "))).into());
    }
    let id = String::from_utf8_lossy(&output.stdout);
    // NUMBER, or NUMBER;CLUSTER.
    Ok(id.trim().split(';').next().unwrap_or_default().to_owned())
}

/// The shards that are waiting or at work, `None` for the job that merges.
fn queued(jobs: &JobsRecord) -> anyhow::Result<HashSet<Option<usize>>> {
    let mut all = HashSet::new();
    for (id, task) in active(jobs)? {
        for job in jobs.jobs.iter().filter(|job| job.id == id) {
            match (job.offset, task) {
                (Some(offset), Some(task)) => all.insert(Some(offset + task)),
                (None, _) => all.insert(None),
                _ => false,
            };
        }
    }
    Ok(all)
}

/// The numbers of jobs and tasks that Slurm still knows as waiting or at work.
fn active(jobs: &JobsRecord) -> anyhow::Result<Vec<(String, Option<usize>)>> {
    if jobs.jobs.is_empty() {
        return Ok(vec![]);
    }
    let user = env::var("USER").or_else(|_| env::var("LOGNAME"));
    let own = user.map_or_else(|_| vec![], |user| vec!["--user".to_owned(), user]);
    let output = Command::new("squeue").args(["--noheader", "--array", "--format=%F %K"]).args(own).output();
    let output = output.map_err(|error| UserError::input(format!("squeue cannot be started: {error}")))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(UserError::input(format!("squeue: {reason}")).into());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |line: &str| {
        let (id, task) = line.trim().split_once(' ')?;
        jobs.jobs.iter().any(|job| job.id == id).then(|| (id.to_owned(), task.trim().parse().ok()))
    };
    Ok(text.lines().filter_map(line).collect())
}

/// What Slurm takes, if it is here and says so.
fn max_array_size() -> usize {
    let output = Command::new("scontrol").args(["show", "config"]).output();
    let text = output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned());
    let line = text.lines().find(|line| line.starts_with("MaxArraySize"));
    let size = line.and_then(|line| line.split_once('=')?.1.trim().parse().ok());
    size.filter(|size| *size > 1).unwrap_or(USUAL_ARRAY)
}

/// The time limit of a shard: what the user says, or the costs on this machine with a margin.
fn minutes(request: &Request) -> anyhow::Result<u32> {
    if let Some(minutes) = request.args.time {
        return Ok(minutes);
    }
    let mut seconds = 0.0;
    for plan in request.plan.costs(Shard::WHOLE, request.results)? {
        let Estimate { seconds: Some(own), .. } = plan.estimate(plan.calibrate()?.as_ref()) else {
            let message = "the speed of a GPU is not known here; give --time MINUTES, from a first shard's log";
            return Err(UserError::input(message).into());
        };
        seconds += own;
    }
    Ok((MARGIN * seconds / request.record.shards as f64 / 60.0 + STARTING).ceil() as u32)
}
