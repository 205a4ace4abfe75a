//! Puts the records of shards into the store that a plain run reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use memscope_results::{
    Error as ResultsError, Results, files,
    shards::{DoneRecord, Hardware, MergedRecord, PlanRecord, SHARD_FORMAT, Shard, ShardFolder, Shards},
};

use crate::{
    error::{Error, Result},
    manifest::utc_now,
    store::{SHORTEST_LINE, StoreMerge, store_file},
    task::Watch,
};

/// What is put up with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeOptions {
    /// Merge what is there, and say what is missing.
    pub partial: bool,
    /// Merge shards that computed on different hardware.
    pub allow_mixed: bool,
}

/// What was merged.
#[derive(Clone, Debug)]
pub struct MergeReport {
    /// The command that writes the tables now.
    pub command: String,
    /// What was merged, as it is written down.
    pub merged: MergedRecord,
    /// Records that the store did not hold before.
    pub new_records: usize,
}

/// Most bytes of a picture.
const PICTURE_LIMIT: u64 = 256 << 20;

/// Shards and other numbers that a message names at most.
const MOST_NAMED: usize = 20;

/// Merges the shards of a plan into the store of `results`: nothing is written before everything has been looked at. The
/// memory it takes grows by 32 bytes a record.
///
/// # Errors
/// When shards are missing, are those of different plans, programs or hardware, are damaged, or contradict one another or
/// the store; when a run is writing to the store; when something cannot be read or written, or the user asks to stop.
pub fn merge(results: &Results, shards: &Shards, options: MergeOptions, watch: &mut dyn Watch) -> Result<MergeReport> {
    let plan = shards.plan()?;
    let (found, missing) = found(shards, &plan)?;
    let refuse = |reason: String| Err(ResultsError::Shards { folder: shards.path().to_owned(), reason }.into());
    if !missing.is_empty() && !options.partial {
        return refuse(format!(
            "{} of {} shards are not done: {}; run them again, or merge the others with --partial",
            missing.len(),
            plan.shards,
            ranges(&missing)
        ));
    }
    if let Some(reason) = misfit(&plan, &found) {
        return refuse(reason);
    }
    let hardware = hardware(&found);
    if hardware.len() > 1 && !options.allow_mixed {
        return refuse(format!(
            "the shards computed on different hardware, which rounds differently: {}; give --allow-mixed to merge them \
             nevertheless",
            named_hardware(&hardware)
        ));
    }
    let total = 2 * found.len();
    for (i, (folder, done)) in found.iter().enumerate() {
        stop(watch)?;
        verify(folder, done)?;
        watch.progress(i + 1, total);
    }
    let mut stores = vec![];
    let mut records = 0;
    for (fingerprint, parts) in by_model(&found)? {
        let expected = parts.iter().map(|(_, records)| records).sum();
        let mut store = StoreMerge::open(&results.answers(), &fingerprint, expected)?;
        for (path, _) in &parts {
            stop(watch)?;
            records += store.add(path)?;
        }
        stores.push(store.checked()?);
    }
    let pictures = pictures(results, &found)?;
    let mut new_records = 0;
    for store in stores {
        new_records += store.commit()?;
    }
    for (from, to) in &pictures {
        stop(watch)?;
        copy(from, to)?;
    }
    let merged = MergedRecord {
        format: SHARD_FORMAT,
        plan: plan.hash,
        shards: found.iter().map(|(_, done)| number(done)).collect(),
        missing,
        hardware: hardware.into_keys().collect(),
        records,
        pictures: pictures.len(),
        finished: utc_now(),
    };
    shards.write_merged(&merged)?;
    watch.progress(total, total);
    Ok(MergeReport { command: plan.command, merged, new_records })
}

fn stop(watch: &dyn Watch) -> Result<()> {
    if watch.stop_requested() { Err(Error::Stopped) } else { Ok(()) }
}

type Found = Vec<(ShardFolder, DoneRecord)>;

/// The shards that are done, in order, and the numbers of the others.
fn found(shards: &Shards, plan: &PlanRecord) -> Result<(Found, Vec<usize>)> {
    let (mut found, mut missing) = (vec![], vec![]);
    // The number of shards is that of a file.
    Shard::new(1, plan.shards).map_err(|reason| ResultsError::Shards { folder: shards.path().to_owned(), reason })?;
    for shard in Shard::all(plan.shards) {
        let folder = shards.folder(shard);
        match folder.done()? {
            Some(done) => found.push((folder, done)),
            None => missing.push(shard.index()),
        }
    }
    Ok((found, missing))
}

fn number(done: &DoneRecord) -> usize {
    done.shard.parse::<Shard>().map_or(0, Shard::index)
}

/// What does not belong together.
fn misfit(plan: &PlanRecord, found: &Found) -> Option<String> {
    let again = "remove its folder and run it again";
    for (folder, done) in found {
        let name = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let expected = done.shard.parse::<Shard>().ok().filter(|shard| {
            shard.count() == plan.shards && name == format!("{:03}-of-{:03}", shard.index(), shard.count())
        });
        if expected.is_none() {
            return Some(format!("{name} holds another shard; {again}"));
        }
        if (&done.version, &done.commit) != (&plan.version, &plan.commit) {
            return Some(format!(
                "{name} was made by memscope {} ({}), the plan by {} ({}); {again}",
                done.version, done.commit, plan.version, plan.commit
            ));
        }
        if done.plan != plan.hash {
            return Some(format!("{name} is a shard of another plan (other settings, prompts or models); {again}"));
        }
        for (source, fingerprint) in &done.models {
            let other = found.iter().find_map(|(_, other)| {
                other.models.get(source).filter(|known| *known != fingerprint).map(|_| other.shard.clone())
            });
            if let Some(other) = other {
                return Some(format!("{name} and shard {other} asked different weights of {source}; {again}"));
            }
        }
    }
    // Stretches must follow one another, as far as they are there.
    for pair in found.windows(2) {
        let [(_, a), (_, b)] = pair else { continue };
        let follows = number(b) == number(a) + 1;
        let end = a.first_unit.saturating_add(a.units);
        if b.units > 0 && a.units > 0 && (b.first_unit < end || follows && b.first_unit > end) {
            return Some(format!("shards {} and {} do not follow one another in the plan; {again}", a.shard, b.shard));
        }
    }
    let units: usize = found.iter().fold(0, |sum, (_, done)| sum.saturating_add(done.units));
    if found.len() == plan.shards && units != plan.units {
        return Some(format!("the shards have {units} units, the plan {}; run them again", plan.units));
    }
    None
}

/// The shards by what they computed on.
fn hardware(found: &Found) -> BTreeMap<Hardware, Vec<usize>> {
    let mut all: BTreeMap<Hardware, Vec<usize>> = BTreeMap::new();
    for (_, done) in found {
        for hardware in &done.hardware {
            all.entry(hardware.clone()).or_default().push(number(done));
        }
    }
    all
}

fn named_hardware(all: &BTreeMap<Hardware, Vec<usize>>) -> String {
    let name = |(hardware, shards): (&Hardware, &Vec<usize>)| format!("{hardware}: shards {}", ranges(shards));
    all.iter().take(MOST_NAMED).map(name).collect::<Vec<_>>().join("; ")
}

/// Ascending numbers as `1-3, 7`.
fn ranges(numbers: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = vec![];
    for &number in numbers {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => runs.push((number, number)),
        }
    }
    let shown = runs.iter().take(MOST_NAMED);
    let shown = shown.map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") });
    let more = if runs.len() > MOST_NAMED { ", ..." } else { "" };
    shown.collect::<Vec<_>>().join(", ") + more
}

/// Whether every file of a shard is as the shard left it.
fn verify(folder: &ShardFolder, done: &DoneRecord) -> Result<()> {
    for (name, hash) in &done.files {
        let path = folder.file(name).ok_or_else(|| outside(folder, name))?;
        let is_file = fs::symlink_metadata(&path).is_ok_and(|kind| kind.is_file());
        if !is_file || files::sha256_of(&path)? != *hash {
            let reason = format!(
                "is not the file that shard {} left: damaged, changed or lost; run that shard again, which measures what \
                 it lacks",
                done.shard
            );
            return Err(ResultsError::Shards { folder: path, reason }.into());
        }
    }
    Ok(())
}

fn outside(folder: &ShardFolder, name: &str) -> Error {
    ResultsError::OutsideName { index: folder.done_mark().display().to_string(), name: name.to_owned() }.into()
}

/// The stores of the shards by fingerprint, in the shards' order, each with its number of records.
fn by_model(found: &Found) -> Result<BTreeMap<String, Vec<(PathBuf, usize)>>> {
    let mut all: BTreeMap<String, Vec<(PathBuf, usize)>> = BTreeMap::new();
    for (folder, done) in found {
        for fingerprint in done.models.values().collect::<BTreeSet<_>>() {
            let path = store_file(&folder.results().answers(), fingerprint);
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_hash = !fingerprint.is_empty() && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit());
            // Only what was verified is read.
            if !is_hash || !done.files.contains_key(&format!("answers/{name}")) {
                return Err(outside(folder, fingerprint));
            }
            let bytes = fs::metadata(&path).map_err(Error::read(&path))?.len();
            let records = done.records.min((bytes / SHORTEST_LINE) as usize);
            all.entry(fingerprint.clone()).or_default().push((path, records));
        }
    }
    Ok(all)
}

/// Where the pictures of the shards go; one that is there already must be the same.
fn pictures(results: &Results, found: &Found) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut all = vec![];
    for (folder, done) in found {
        for (name, hash) in done
            .files
            .iter()
            .filter(|(name, _)| std::path::Path::new(name).extension().is_none_or(|end| end != "jsonl"))
        {
            let from = folder.file(name).ok_or_else(|| outside(folder, name))?;
            let to = results.path().join(name);
            if !to.exists() {
                all.push((from, to));
            } else if files::sha256_of(&to)? != *hash {
                let reason = format!("differs from the picture of shard {}; move one of them away", done.shard);
                return Err(ResultsError::Shards { folder: to, reason }.into());
            }
        }
    }
    Ok(all)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(Error::write(folder))?;
    }
    Ok(files::write_file(to, &files::read_file(from, PICTURE_LIMIT)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_ranges() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), "1-3, 7, 9-10");
        assert_eq!(ranges(&[]), "");
        assert!(ranges(&(0..100).map(|i| 2 * i).collect::<Vec<_>>()).ends_with(", ..."));
    }
}
