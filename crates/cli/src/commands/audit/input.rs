//! From the command line to what is asked of which models.

use memscope_eval::audit::{AuditPlan, AuditSettings, Given, StatisticName, Subject};
use memscope_model::{Lora, ModelSource};

use crate::{
    args::{Audit, Calibrate, ModelArgs, ScaledModel, ScoreArgs},
    exit_code::UserError,
};

/// What is asked.
pub(crate) struct Asked {
    /// What is audited, or calibrates.
    pub(crate) subject: Subject,
    /// What was held out of the training.
    pub(crate) held_out: Option<Subject>,
    /// The work.
    pub(crate) plan: AuditPlan,
}

/// A model with the one that it was made from.
pub(crate) struct Target {
    /// How tables call it.
    pub(crate) name: String,
    pub(crate) source: ModelSource,
    pub(crate) base: Option<ModelSource>,
    /// Whether the page is about it.
    pub(crate) is_shown: bool,
}

impl Asked {
    pub(crate) fn of_audit(args: &Audit) -> anyhow::Result<Self> {
        let has_base = has_base(&args.model, &args.scores, !args.checkpoints.is_empty());
        Self::new(&args.model, &args.scores, args.held_out.as_deref(), has_base)
    }

    pub(crate) fn of_calibration(args: &Calibrate) -> anyhow::Result<Self> {
        Self::new(&args.model, &args.scores, None, has_base(&args.model, &args.scores, false))
    }

    fn new(model: &ModelArgs, scores: &ScoreArgs, held_out: Option<&str>, has_base: bool) -> anyhow::Result<Self> {
        let source = model.source()?;
        let column = scores.column.as_deref();
        let mut subject = match (&scores.pictures, &scores.prompts) {
            (Some(pictures), _) => Subject::pictures(pictures, column, &source)?,
            (None, Some(prompts)) => Subject::prompts(prompts, column, &source)?,
            (None, None) => return Err(UserError::input("give --prompts or --pictures").into()),
        };
        subject.truncate(scores.limit.map_or(usize::MAX, |limit| limit as usize));
        let given = Given { pictures: scores.pictures.is_some(), base: has_base };
        let statistic = scores.statistic.unwrap_or_else(|| StatisticName::for_what_is_given(given));
        if let Some(lacks) = statistic.lacks(given) {
            return Err(UserError::input(format!("--statistic {statistic} needs {lacks}")).into());
        }
        let held_out = match held_out {
            Some(name) if statistic.is_of_pictures() => Some(Subject::pictures(name, column, &source)?),
            Some(name) => Some(prompts_or_pictures(name, column, &source)?),
            None => None,
        };
        let audited = subject.items.len();
        let mut items = subject.items.clone();
        items.extend(held_out.iter().flat_map(|held_out| held_out.items.iter().cloned()));
        let settings = AuditSettings {
            statistic,
            generator: scores.generator,
            seeds: scores.seeds.clone(),
            generations: usize::from(scores.generations),
            draws: usize::from(scores.draws),
            sampling: scores.sampling.sampling(),
            batch: usize::from(scores.batch),
        };
        Ok(Self { plan: AuditPlan { settings, items, audited }, subject, held_out })
    }

    /// Says what was noticed in the input.
    pub(crate) fn warn(&self) {
        let all = std::iter::once(&self.subject).chain(&self.held_out);
        all.flat_map(|subject| &subject.warnings).for_each(|warning| tracing::warn!("{warning}"));
    }
}

/// Captions may stand beside pictures that are not needed.
fn prompts_or_pictures(name: &str, column: Option<&str>, source: &ModelSource) -> memscope_eval::Result<Subject> {
    match std::path::Path::new(name).is_dir() {
        true => Subject::pictures(name, column, source),
        false => Subject::prompts(name, column, source),
    }
}

fn has_base(model: &ModelArgs, scores: &ScoreArgs, has_checkpoints: bool) -> bool {
    match scores.base.as_deref() {
        Some("none") => false,
        Some(_) => true,
        None => has_checkpoints || !model.loras().is_empty(),
    }
}

/// The model of the command line with its base.
pub(crate) fn target(model: &ModelArgs, base: Option<&str>) -> anyhow::Result<Target> {
    let source = model.source()?;
    let base = base_of(model, base, !model.loras().is_empty())?;
    Ok(Target { name: source.to_string(), source, base, is_shown: true })
}

fn base_of(model: &ModelArgs, base: Option<&str>, has_loras: bool) -> anyhow::Result<Option<ModelSource>> {
    Ok(match base {
        Some("none") => None,
        Some(name) => Some(name.parse()?),
        None if has_loras => Some(model.source_with(vec![])?),
        None => None,
    })
}

/// The checkpoints, or the one model; the page is about the last one.
pub(crate) fn targets(args: &Audit) -> anyhow::Result<Vec<Target>> {
    let mut targets = listed(args)?;
    if let Some(last) = targets.last_mut() {
        last.is_shown = true;
    }
    Ok(targets)
}

fn listed(args: &Audit) -> anyhow::Result<Vec<Target>> {
    let (model, base) = (&args.model, args.scores.base.as_deref());
    let with = |name: String, loras: Vec<Lora>| -> anyhow::Result<Target> {
        let source = model.source_with(loras)?;
        Ok(Target { name, source, base: base_of(model, base, true)?, is_shown: false })
    };
    if !args.checkpoints.is_empty() {
        let own = |lora: &Lora| with(lora.to_string(), [model.loras().to_vec(), vec![lora.clone()]].concat());
        return args.checkpoints.iter().map(own).collect();
    }
    if args.lora_scale.is_empty() {
        return Ok(vec![target(model, base)?]);
    }
    let scaled = |scaled: ScaledModel| {
        let name = scaled.lora_scale.map_or_else(String::new, |scale| format!("scale {scale}"));
        with(name, scaled.model.loras().to_vec())
    };
    model.at_scales(&args.lora_scale)?.into_iter().map(scaled).collect()
}
