//! The units of everything that is to be done, in one order, and where that order is cut.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
};

use memscope_model::{Blueprint, Execution};
use memscope_results::{
    Results, Settings,
    shards::{PlanRecord, SHARD_FORMAT, Shard},
};
use sha2::{Digest, Sha256};

use super::TaskSlice;
use crate::{
    error::Result,
    manifest::COMMIT,
    plan::{ModelPlan, StoredMeasurements},
    store::{Key, MeasurementStore, RecordId},
    task::{CachePolicy, KnownRecords, ModelIdentity, OpenUnit, Part, PlannedRecords, SharedPredictions, Task, price},
};

/// What is to be done on one model, task by task; it can be listed before a weight is read.
pub trait Work {
    /// The model.
    fn blueprint(&self) -> &Blueprint;

    /// Where and in which number format it runs.
    fn execution(&self) -> Execution;

    /// Shows the tasks, in the order in which they run, with their pictures below `results`.
    ///
    /// # Errors
    /// Those of `visit`.
    fn visit(
        &self,
        model: &ModelIdentity,
        results: &Results,
        visit: &mut dyn FnMut(&[&dyn Task]) -> Result<()>,
    ) -> Result<()>;
}

/// Everything that is to be done, in one order.
pub struct ShardPlan<'w> {
    works: Vec<Box<dyn Work + 'w>>,
    segments: Vec<Segment>,
    units: usize,
    hash: String,
    settings: Settings,
}

/// One task of the plan.
struct Segment {
    work: usize,
    task: usize,
    /// Its units, without those parts that an earlier task makes.
    units: Vec<OpenUnit>,
    /// Where each unit's middle lies in the costs of the whole plan, in operations.
    middles: Vec<f64>,
}

impl Segment {
    /// Puts units of the task that follows beside those that they need.
    fn lead(&self, units: &[OpenUnit], middles: &mut [f64]) {
        for (open, middle) in units.iter().zip(middles) {
            if let Ok(at) = self.units.binary_search_by_key(&open.unit, |own| own.unit) {
                *middle = self.middles[at];
            }
        }
    }
}

/// What a shard does.
pub(crate) struct Slice {
    /// Units of all shards before.
    pub(crate) first: usize,
    /// Number of its units.
    pub(crate) units: usize,
    /// Its units by work and task.
    pub(crate) parts: BTreeMap<usize, Vec<(usize, Vec<OpenUnit>)>>,
}

/// The records that earlier tasks make.
#[derive(Default)]
struct Earlier {
    numbers: HashSet<Key>,
    pictures: HashSet<PathBuf>,
}

impl Earlier {
    /// Those parts of a unit that make a record which no earlier task makes.
    fn add(&mut self, parts: &[Part]) -> Vec<usize> {
        let mut own = vec![];
        for (i, part) in parts.iter().enumerate() {
            let mut is_new = false;
            for record in &part.records {
                is_new |= match record {
                    RecordId::Numbers { key, .. } => self.numbers.insert(*key),
                    RecordId::Picture(path) | RecordId::Tensors(path) => self.pictures.insert(path.clone()),
                };
            }
            own.extend(is_new.then_some(i));
        }
        own
    }
}

impl<'w> ShardPlan<'w> {
    /// Lists the units of all works. `settings` say what differs where two plans are not the same.
    ///
    /// # Errors
    /// When the tasks of a work cannot be made.
    pub fn new(works: Vec<Box<dyn Work + 'w>>, settings: Settings) -> Result<Self> {
        // Works on different models have no record in common; then nothing needs to be remembered.
        let mut sources = HashSet::new();
        let share = !works.iter().all(|work| sources.insert(work.blueprint().source().to_string()));
        let mut earlier = Earlier::default();
        let mut hash = Sha256::new();
        update(&mut hash, &format!("shards of memscope {} {COMMIT}", env!("CARGO_PKG_VERSION")));
        let (mut segments, mut total): (Vec<Segment>, f64) = (vec![], 0.0);
        for (w, work) in works.iter().enumerate() {
            let blueprint = work.blueprint();
            // The fingerprint is not known before the weights are read; the source stands for it.
            let source = blueprint.source().to_string();
            update(&mut hash, &source);
            let model = ModelIdentity::planned(blueprint, work.execution(), source);
            work.visit(&model, &Results::new(""), &mut |tasks| {
                for (t, task) in tasks.iter().enumerate() {
                    let (mut units, mut costs) = (vec![], vec![]);
                    for unit in 0..task.units() {
                        let parts = task.parts(unit);
                        let own = if share { earlier.add(&parts) } else { (0..parts.len()).collect() };
                        if own.is_empty() {
                            continue;
                        }
                        let open = OpenUnit { unit, parts: own };
                        let records = open.parts.iter().flat_map(|part| &parts[*part].records);
                        records.for_each(|record| update(&mut hash, &name(record)));
                        let price = task.price(&open, &mut SharedPredictions::default());
                        costs.push(blueprint.flops(&price.work).total().max(1.0));
                        units.push(open);
                    }
                    let mut middles = middles(&costs, total, task.is_divisible());
                    if let Some(before) = segments.last().filter(|before| task.follows() && before.work == w) {
                        before.lead(&units, &mut middles);
                    }
                    total += costs.iter().sum::<f64>();
                    segments.push(Segment { work: w, task: t, units, middles });
                }
                Ok(())
            })?;
        }
        let units = segments.iter().map(|segment| segment.units.len()).sum();
        segments.iter_mut().flat_map(|segment| &mut segment.middles).for_each(|middle| *middle /= total);
        let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { works, segments, units, hash, settings })
    }

    /// The works.
    pub(crate) fn works(&self) -> &[Box<dyn Work + 'w>] {
        &self.works
    }

    /// Units in all.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The hash of the names of all records.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    /// What is written down about it; `command` runs all of it in one process.
    pub fn record(&self, shards: usize, command: &str) -> PlanRecord {
        PlanRecord {
            format: SHARD_FORMAT,
            hash: self.hash.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: COMMIT.to_owned(),
            command: command.to_owned(),
            shards,
            units: self.units,
            settings: self.settings.clone(),
        }
    }

    /// The stretch of units that a shard does. Stretches of all shards follow one another and leave none out; their costs
    /// differ by no more than a unit, or a task that cannot be divided, on either side.
    pub(crate) fn slice(&self, shard: Shard) -> Slice {
        let owner = |middle: f64| ((middle * shard.count() as f64) as usize).min(shard.count() - 1) + 1;
        let (mut first, mut count) = (0, 0);
        let mut parts: BTreeMap<usize, Vec<(usize, Vec<OpenUnit>)>> = BTreeMap::new();
        for segment in &self.segments {
            let start = segment.middles.partition_point(|middle| owner(*middle) < shard.index());
            let end = segment.middles.partition_point(|middle| owner(*middle) <= shard.index());
            first += start;
            if end > start {
                count += end - start;
                parts.entry(segment.work).or_default().push((segment.task, segment.units[start..end].to_vec()));
            }
        }
        Slice { first, units: count, parts }
    }

    /// What a shard would ask of its models beyond what the store of `results` holds.
    ///
    /// # Errors
    /// When a store cannot be read.
    pub fn costs(&self, shard: Shard, results: &Results) -> Result<Vec<ModelPlan>> {
        let mut plans = vec![];
        for (work, parts) in self.slice(shard).parts {
            let work = &self.works[work];
            let known = work.blueprint().known_fingerprint();
            let (store, stored) = match &known {
                Some(known) => (MeasurementStore::peek(&results.answers(), known)?, StoredMeasurements::Known),
                None => (MeasurementStore::in_memory(), StoredMeasurements::Unknown),
            };
            let mut plan = ModelPlan::new(work.blueprint(), work.execution(), stored);
            let model = ModelIdentity::planned(work.blueprint(), work.execution(), known.unwrap_or_default());
            work.visit(&model, results, &mut |tasks| {
                for (task, units) in &parts {
                    let slice = TaskSlice::new(tasks[*task], units.clone());
                    let mut planned = PlannedRecords::default();
                    plan.prices.push(price(&slice, &mut KnownRecords::new(&store, &mut planned), CachePolicy::Reuse));
                }
                Ok(())
            })?;
            plans.push(plan);
        }
        Ok(plans)
    }
}

/// Where the middle of each unit lies; all units of a task that cannot be divided have the task's.
fn middles(costs: &[f64], before: f64, divisible: bool) -> Vec<f64> {
    if !divisible {
        return vec![before + costs.iter().sum::<f64>() / 2.0; costs.len()];
    }
    let mut end = before;
    let middle = |cost: &f64| {
        end += cost;
        end - cost / 2.0
    };
    costs.iter().map(middle).collect()
}

fn name(record: &RecordId) -> String {
    match record {
        RecordId::Numbers { key, .. } => key.to_string(),
        RecordId::Picture(path) | RecordId::Tensors(path) => path.to_string_lossy().into_owned(),
    }
}

fn update(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text);
}
