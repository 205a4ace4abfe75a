//! Runs one shard of a plan into its own folder.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use memscope_model::LatentDiffusion;
use memscope_results::{
    Results, files,
    shards::{DoneRecord, Hardware, SHARD_FORMAT, Shard, ShardFolder, Stage},
};

use super::{
    ShardPlan, TaskSlice, Work,
    heartbeat::{Heartbeat, ShardWatch},
    plan::Slice,
};
use crate::{
    error::{Error, Result},
    manifest::{COMMIT, utc_now},
    run::{Observer, execute},
    store::{MeasurementStore, RecordId, store_file},
    task::{CachePolicy, Calls, ModelIdentity, OpenUnit, Task, records},
};

/// What a shard left behind.
#[derive(Clone, Debug)]
pub struct ShardOutcome {
    /// Its folder.
    pub folder: PathBuf,
    /// Its units of the plan.
    pub units: usize,
    /// Records in its stores.
    pub records: usize,
    /// Network calls (samples) of this run.
    pub calls: usize,
    /// Whether everything was there already.
    pub was_done: bool,
}

/// Executes what a shard lacks. It reads the store of `results`, writes below its own folder alone, and says with DONE that
/// it is whole. Stopped or killed, the same call goes on where it was.
///
/// # Errors
/// When the folder holds another plan or another process works on the shard, the network fails, something cannot be
/// written, or the user asked to stop.
pub fn run_shard(
    plan: &ShardPlan,
    (results, name): (&Results, &str),
    shard: Shard,
    command: &str,
    observer: &mut dyn Observer,
) -> Result<ShardOutcome> {
    let shards = results.shards(name);
    shards.claim(&plan.record(shard.count(), command))?;
    let folder = shards.folder(shard);
    let _lock = folder.lock()?;
    let slice = plan.slice(shard);
    if let Some(done) = intact(&folder, plan, shard) {
        let (units, records) = (done.units, done.records);
        return Ok(ShardOutcome { folder: folder.path().to_owned(), units, records, calls: 0, was_done: true });
    }
    folder.remove_done()?;
    let total = weight(plan, &slice)?;
    let heartbeat = Heartbeat::begin(&folder, total)?;
    let mut run = Run { folder: &folder, results, calls: Calls::default(), models: BTreeMap::new(), made: vec![] };
    let mut watch = ShardWatch::new(observer, &heartbeat, total);
    let outcome = run.works(plan, &slice, &mut watch).and_then(|()| {
        let done = run.done(&slice, &heartbeat.hardware(), (plan.hash(), shard))?;
        folder.write_done(&done)?;
        Ok(done)
    });
    let (stage, message) = match &outcome {
        Ok(_) => (Stage::Done, String::new()),
        Err(Error::Stopped) => (Stage::Stopped, String::new()),
        Err(error) => (Stage::Failed, error.to_string().chars().take(1000).collect()),
    };
    let ended = heartbeat.end(stage, message);
    let done = outcome?;
    ended?;
    let calls = run.calls.total();
    Ok(ShardOutcome {
        folder: folder.path().to_owned(),
        units: done.units,
        records: done.records,
        calls,
        was_done: false,
    })
}

/// What the shard did, if it did this, and every file of it is as it left it.
fn intact(folder: &ShardFolder, plan: &ShardPlan, shard: Shard) -> Option<DoneRecord> {
    let done = folder.done().ok()??;
    let is_same = |(name, hash): (&String, &String)| {
        folder.file(name).is_some_and(|path| files::sha256_of(&path).is_ok_and(|found| found == *hash))
    };
    (done.plan == plan.hash() && done.shard == shard.to_string() && done.files.iter().all(is_same)).then_some(done)
}

/// Prompts and pictures of a slice.
fn weight(plan: &ShardPlan, slice: &Slice) -> Result<usize> {
    let mut total = 0;
    for (work, parts) in &slice.parts {
        let work = &plan.works()[*work];
        let model = ModelIdentity::planned(work.blueprint(), work.execution(), String::new());
        work.visit(&model, &Results::new(""), &mut |tasks| {
            total += parts.iter().map(|(task, units)| weight_of(tasks[*task], units)).sum::<usize>();
            Ok(())
        })?;
    }
    Ok(total)
}

fn weight_of(task: &dyn Task, units: &[OpenUnit]) -> usize {
    units.iter().map(|open| task.weight(open.unit)).sum()
}

/// A shard under way.
struct Run<'r> {
    folder: &'r ShardFolder,
    results: &'r Results,
    calls: Calls,
    /// Fingerprints by source.
    models: BTreeMap<String, String>,
    /// Pictures and stores.
    made: Vec<PathBuf>,
}

impl Run<'_> {
    fn works(&mut self, plan: &ShardPlan, slice: &Slice, watch: &mut ShardWatch) -> Result<()> {
        for (work, parts) in &slice.parts {
            self.work(plan.works()[*work].as_ref(), parts, watch)?;
        }
        Ok(())
    }

    fn work(&mut self, work: &dyn Work, parts: &[(usize, Vec<OpenUnit>)], watch: &mut ShardWatch) -> Result<()> {
        let source = work.blueprint().source();
        watch.model(source);
        let model = LatentDiffusion::build(work.blueprint().clone(), work.execution())?;
        watch.computes_on(Hardware::here(&model.device_name(), &model.dtype().to_string()))?;
        self.models.insert(source.to_string(), model.fingerprint().to_owned());
        let (own, base) = (self.folder.results(), self.results.answers());
        let mut store = MeasurementStore::open_over(&own.answers(), &base, model.fingerprint())?;
        let store_path = store_file(&own.answers(), model.fingerprint());
        work.visit(&ModelIdentity::of(&model), &own, &mut |tasks| {
            for (task, units) in parts {
                let weight = weight_of(tasks[*task], units);
                let slice = TaskSlice::new(tasks[*task], units.clone());
                self.calls.add(execute(&slice, &model, &mut store, CachePolicy::Reuse, watch)?);
                watch.next_task(weight);
                self.made.extend(records(&slice).filter_map(|record| match record {
                    RecordId::Picture(path) | RecordId::Tensors(path) => Some(path),
                    RecordId::Numbers { .. } => None,
                }));
            }
            Ok(())
        })?;
        if !self.made.contains(&store_path) {
            self.made.push(store_path);
        }
        Ok(())
    }

    fn done(&self, slice: &Slice, hardware: &[Hardware], (plan, shard): (&str, Shard)) -> Result<DoneRecord> {
        let mut done = DoneRecord {
            format: SHARD_FORMAT,
            plan: plan.to_owned(),
            shard: shard.to_string(),
            first_unit: slice.first,
            units: slice.units,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: COMMIT.to_owned(),
            models: self.models.clone(),
            hardware: hardware.to_vec(),
            finished: utc_now(),
            ..DoneRecord::default()
        };
        for path in &self.made {
            if path.extension().is_some_and(|ending| ending == "jsonl") {
                done.records += lines(path)?;
            }
            let below = path.strip_prefix(self.folder.path()).ok().and_then(Path::to_str);
            let name = below.ok_or_else(|| Error::internal("a shard made a file outside its folder"))?;
            done.files.insert(name.replace('\\', "/"), files::sha256_of(path)?);
        }
        Ok(done)
    }
}

fn lines(path: &Path) -> Result<usize> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(Error::read(path))?);
    let mut count = 0;
    loop {
        let buffer = reader.fill_buf().map_err(Error::read(path))?;
        if buffer.is_empty() {
            return Ok(count);
        }
        count += buffer.iter().filter(|byte| **byte == b'\n').count();
        let read = buffer.len();
        reader.consume(read);
    }
}
