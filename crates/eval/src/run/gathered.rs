//! The results folder of an experiment: begun, filled with what the models gave, and ended.

use std::time::Instant;

use memscope_results::{
    Folder, OpenRun, ResultTable, Warning,
    export::ExportSet,
    figures::FigureData,
    gallery::{GalleryRow, INDEX as GALLERY_INDEX},
    manifest::{FORMAT, Manifest, ModelRecord},
    settings_of,
    shards::machine,
    timing::{DetectorTiming, ModelTiming},
};

use crate::{
    error::{Error, Result},
    frames,
    manifest::{COMMIT, utc_now},
    report::{
        FORMATS, figures,
        tables::{ModelScores, Tables, mitigation_times, timing_table},
    },
    score::prompt_records,
    spec::{Experiment, ExperimentFile, NoiseSharing, TableKind},
    task::Calls,
};

/// What an experiment leaves behind. The folder is complete only after [`Outcome::commit`], so that figures can be drawn
/// into it first.
#[derive(Debug)]
pub struct Outcome {
    /// The right to write into the results folder.
    pub open: OpenRun,
    /// The tables, as exported.
    pub tables: Vec<ResultTable>,
    /// Times; not part of the tables because they differ from run to run.
    pub timing: Vec<ResultTable>,
    /// The numbers of its figures, not drawn yet.
    pub figures: Vec<FigureData>,
    /// Figures, or parts of them, that the data do not allow, and why.
    pub notes: Vec<String>,
    /// The manifest, not written yet.
    pub manifest: Manifest,
    /// Network calls (samples) of this run.
    pub calls: usize,
}

impl Outcome {
    /// Ends the run: the manifest, then COMPLETE.
    ///
    /// # Errors
    /// When a file cannot be written; the folder is then incomplete.
    pub fn commit(self) -> Result<Manifest> {
        Ok(self.open.commit(self.manifest)?)
    }
}

/// Takes the folder, marks it as incomplete and keeps the experiment in it.
pub(super) fn begin(folder: &Folder, experiment: &Experiment) -> Result<OpenRun> {
    let file = experiment.file();
    let yaml = serde_yaml::to_string(file)
        .map_err(|e| Error::Experiment { file: file.name.clone(), reason: e.to_string() })?;
    let mut open = folder.begin()?;
    open.write(&folder.experiment_yaml(), yaml.as_bytes())?;
    Ok(open)
}

/// What the models of an experiment gave, on its way into the results folder.
pub(super) struct Gathered<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) open: OpenRun,
    command: &'a str,
    pub(super) pictures: Vec<GalleryRow>,
    pub(super) records: Vec<ModelRecord>,
    pub(super) scores: Vec<ModelScores>,
    pub(super) timings: Vec<(String, ModelTiming)>,
    pub(super) frames: Option<frames::Collector>,
    pub(super) warnings: Vec<Warning>,
    /// The device that the networks ran on.
    pub(super) device: String,
    pub(super) calls: Calls,
}

impl<'a> Gathered<'a> {
    /// Nothing yet.
    pub(super) fn new(experiment: &'a Experiment, open: OpenRun, command: &'a str) -> Self {
        Self {
            experiment,
            open,
            command,
            pictures: vec![],
            records: vec![],
            scores: vec![],
            timings: vec![],
            frames: None,
            warnings: vec![],
            device: String::new(),
            calls: Calls::default(),
        }
    }

    /// Writes the tables and what stands beside them, and makes the figures' numbers.
    pub(super) fn finish(mut self, targets: Vec<(TableKind, ExportSet)>, clock: Instant) -> Result<Outcome> {
        let file = self.experiment.file();
        let mut tables = vec![];
        let makes = Tables::new(&file.name, &file.title, &self.scores, &file.report);
        for (kind, target) in targets {
            let mut table = makes.build(kind)?;
            self.provenance(&mut table);
            self.open.adopt(target.write(&table)?)?;
            tables.push(table);
        }
        if let Some(frames) = self.frames.take() {
            frames.finish()?;
            self.open.adopt([self.open.folder().measurements(), self.open.folder().scores()])?;
            let scored = self.scores.iter().filter(|model| !model.detectors.is_empty());
            let few = scored
                .filter(|model| model.memorized.len() + model.non_memorized.len() <= memscope_results::prompts::MOST);
            let prompts: Vec<_> = few
                .map(|model| prompt_records(&model.model, (&model.memorized, &model.non_memorized), &model.detectors))
                .collect();
            if !prompts.is_empty() {
                let path = self.open.folder().prompts();
                self.open.write_json(&path, &prompts)?;
            }
        }
        let mut timing: Vec<ResultTable> = self.write_timing()?.into_iter().collect();
        timing.extend(self.write_mitigation_times()?);
        self.write_gallery()?;
        let timed: Vec<ModelTiming> = self.timings.iter().map(|(_, timing)| timing.clone()).collect();
        let drawn = figures::figures(file, &self.scores, &self.records, &timed)?;
        let left_out = drawn.notes.iter().map(|note| Warning::FigureLeftOut { reason: note.clone() });
        self.warnings.extend(left_out);
        let manifest = Manifest { finished: utc_now(), seconds: clock.elapsed().as_secs_f64(), ..self.manifest() };
        let calls = self.calls.total();
        let (figures, notes) = (drawn.figures, drawn.notes);
        Ok(Outcome { open: self.open, tables, timing, figures, notes, manifest, calls })
    }

    fn manifest(&self) -> Manifest {
        let file = self.experiment.file();
        Manifest {
            device: self.device.clone(),
            machine: machine(&self.device),
            models: self.records.clone(),
            warnings: self.warnings.clone(),
            ..manifest_of(file, self.command)
        }
    }

    /// The table of times, and the raw times beside it.
    fn write_timing(&mut self) -> Result<Option<ResultTable>> {
        if self.timings.is_empty() {
            return Ok(None);
        }
        let raw = self.timings.iter().map(|(fingerprint, timing)| RawTiming {
            model: &timing.model,
            fingerprint,
            detectors: &timing.detectors,
        });
        let folder = self.open.folder().clone();
        self.open.write_json(&folder.timing_records(), &raw.collect::<Vec<_>>())?;
        let models: Vec<ModelTiming> = self.timings.iter().map(|(_, timing)| timing.clone()).collect();
        let mut table = timing_table(&self.experiment.file().name, &models)?;
        self.provenance(&mut table);
        let target = ExportSet::open(&folder.timing_tables(), table.name(), FORMATS)?;
        self.open.adopt(target.write(&table)?)?;
        Ok(Some(table))
    }

    /// The table of the times of mitigations.
    fn write_mitigation_times(&mut self) -> Result<Option<ResultTable>> {
        let Some(mut table) = mitigation_times(&self.experiment.file().name, &self.scores)? else { return Ok(None) };
        self.provenance(&mut table);
        let target = ExportSet::open(&self.open.folder().timing_tables(), table.name(), FORMATS)?;
        self.open.adopt(target.write(&table)?)?;
        Ok(Some(table))
    }

    /// The index of the pictures; they are there already.
    fn write_gallery(&mut self) -> Result<()> {
        if self.pictures.is_empty() {
            return Ok(());
        }
        let gallery = self.open.folder().gallery();
        let names = self.pictures.iter().flat_map(|row| row.truth.iter().chain(&row.drawn));
        self.open.adopt(names.map(|name| gallery.join(name)))?;
        Ok(self.open.write_json(&gallery.join(GALLERY_INDEX), &self.pictures)?)
    }

    fn provenance(&self, table: &mut ResultTable) {
        let file = self.experiment.file();
        for record in &self.records {
            let weights = format!("{}, {}", record.parameterization, record.weights.label(&record.fingerprint));
            let prompts = format!(
                ", {} {} / {} {} prompts",
                record.prompts.memorized,
                file.prompts.memorized,
                record.prompts.non_memorized,
                file.prompts.non_memorized
            );
            let prompts = if self.experiment.needs_scores() { prompts } else { String::new() };
            table.set_provenance(&record.source, weights + &prompts);
        }
        table.set_provenance("protocol", format!("{}, {}", file.protocol.preset(), file.protocol.numerics()));
        let seeds: Vec<String> = file.noise.seeds.iter().map(ToString::to_string).collect();
        let sharing = match file.noise.sharing {
            NoiseSharing::Shared => "",
            NoiseSharing::PerPrompt => ", another seed for each prompt",
        };
        table.set_provenance("noise", format!("{}, seeds {}{sharing}", self.experiment.generator(), seeds.join(", ")));
        table.set_provenance("network", format!("{} on {}", file.network.dtype, self.device));
    }
}

/// What a manifest says before anything is measured.
pub(super) fn manifest_of(file: &ExperimentFile, command: &str) -> Manifest {
    Manifest {
        format: FORMAT,
        experiment: file.name.clone(),
        title: file.title.clone(),
        about: file.about.clone(),
        command: command.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: COMMIT.to_owned(),
        dtype: file.network.dtype.to_string(),
        generator: file.noise.generator.to_string(),
        seeds: file.noise.seeds.clone(),
        generations: file.noise.generations,
        settings: settings_of(file),
        ..Manifest::default()
    }
}

/// Times of one model, as they are written beside the table.
#[derive(serde::Serialize)]
struct RawTiming<'a> {
    model: &'a str,
    fingerprint: &'a str,
    detectors: &'a [DetectorTiming],
}
