//! Asking the models, one after the other.

use std::{fs, path::PathBuf};

use memscope_eval::{
    Error as EvalError, MeasurementStore,
    audit::{AuditScores, Drawing},
    plan::{ModelPlan, StoredMeasurements},
    run::{Observer as _, execute},
    task::{CachePolicy, KnownRecords, ModelIdentity, PlannedRecords, Task, price},
    tasks::{Detection, JudgeFiles, PictureLosses},
};
use memscope_model::{Blueprint, LatentDiffusion, ModelSource};
use memscope_results::audit::AuditedModel;

use super::{
    extras::{Extras, Showing},
    input::{Asked, Target},
};
use crate::{
    args::{ModelArgs, ScoreArgs},
    cached,
    commands::run::policy,
    costs::{self, Item},
    downloads,
    progress::Progress,
};

/// What is measured how.
pub(crate) struct Measuring<'a> {
    pub(crate) model: &'a ModelArgs,
    pub(crate) scores: &'a ScoreArgs,
    pub(crate) asked: &'a Asked,
    /// Prompts that are drawn as evidence.
    pub(crate) evidence: usize,
    /// What else is shown of the highest ranks; `None` where scores are all that is wanted.
    pub(crate) showing: Option<Showing<'a>>,
    pub(crate) judges: Option<JudgeFiles>,
    pub(crate) progress: &'a mut Progress,
}

/// What was measured.
pub(crate) struct Measured {
    pub(crate) model: AuditedModel,
    pub(crate) base: Option<AuditedModel>,
    pub(crate) scores: AuditScores,
    /// What was drawn, with what was seen on it.
    pub(crate) evidence: Option<(Drawing, MeasurementStore)>,
    /// What else is known about the highest ranks.
    pub(crate) extras: Extras,
}

/// The tasks of one model.
struct Work {
    drawing: Option<Drawing>,
    losses: Option<PictureLosses>,
    detection: Option<Detection>,
}

impl Work {
    /// They that come before scores, in order.
    fn tasks(&self) -> impl Iterator<Item = &dyn Task> {
        let drawing = self.drawing.iter().map(|drawing| &*drawing.draws as &dyn Task);
        drawing.chain(self.losses.iter().map(|losses| losses as &dyn Task))
    }
}

impl Measuring<'_> {
    fn folder(&self) -> anyhow::Result<PathBuf> {
        cached::folder(self.scores.results.as_deref())
    }

    pub(crate) fn blueprint(&self, source: &ModelSource) -> anyhow::Result<Blueprint> {
        downloads::provide(source, self.progress)?;
        Ok(Blueprint::read(source, self.model.options().schedule)?)
    }

    /// The model and, where the statistic asks it, its base. Weights that were not hashed before are read for it.
    pub(crate) fn identify(&self, target: &Target) -> anyhow::Result<(AuditedModel, Option<AuditedModel>)> {
        let identify = |source: &ModelSource| -> anyhow::Result<AuditedModel> {
            let blueprint = self.blueprint(source)?;
            let execution = self.model.options().execution;
            Ok(described(source, &ModelIdentity::planned(&blueprint, execution, blueprint.fingerprint()?)))
        };
        let base = target.base.as_ref().filter(|_| self.asked.plan.settings.statistic.needs_base());
        Ok((identify(&target.source)?, base.map(identify).transpose()?))
    }

    /// What is asked of the audited model for its scores.
    fn work(&self, blueprint: &Blueprint, model: &ModelIdentity) -> anyhow::Result<Work> {
        let plan = &self.asked.plan;
        let items = plan.drawn_for_scores();
        let drawing = match items.is_empty() {
            true => None,
            false => Some(self.drawing(items, blueprint, model)?),
        };
        let losses = plan.losses(model.clone(), drawing.as_ref());
        Ok(Work { losses, drawing, detection: plan.detection(blueprint)? })
    }

    /// The folder of what is drawn.
    fn pictures(&self) -> anyhow::Result<PathBuf> {
        Ok(self.folder()?.join("pictures"))
    }

    /// The audited prompts that are shown: those that rank highest.
    fn evidence(&self, scores: &AuditScores) -> Vec<usize> {
        let mut ranked = scores.ranking(self.asked.plan.audited);
        ranked.truncate(self.evidence);
        ranked.sort_unstable();
        ranked
    }

    fn drawing(&self, items: Vec<usize>, blueprint: &Blueprint, model: &ModelIdentity) -> anyhow::Result<Drawing> {
        let folder = self.pictures()?;
        Ok(self.asked.plan.drawing(items, (blueprint, model.clone()), &folder, self.judges.clone())?)
    }

    /// Scores from what is stored.
    fn read(
        &self,
        (work, model, store): (&Work, &ModelIdentity, &MeasurementStore),
        base: Option<(&PictureLosses, &MeasurementStore)>,
    ) -> memscope_eval::Result<AuditScores> {
        let plan = &self.asked.plan;
        match (&work.detection, &work.losses) {
            (Some(detection), _) => plan.detector_scores(detection, model.clone(), store),
            (None, Some(losses)) => plan.loss_scores((losses, store), base, work.drawing.as_ref()),
            (None, None) => Ok(AuditScores::default()),
        }
    }

    /// Prints what an audit would cost.
    pub(crate) fn show_costs(&self, targets: &[Target]) -> anyhow::Result<()> {
        let mut items = vec![];
        for target in targets {
            for (source, is_base) in
                std::iter::once((&target.source, false)).chain(target.base.iter().map(|base| (base, true)))
            {
                if is_base && !self.asked.plan.settings.statistic.needs_base() {
                    continue;
                }
                let item = match downloads::missing(source)? {
                    Some(download) => Item::Download(download),
                    None => Item::Plan(Box::new(self.plan(target, is_base)?)),
                };
                items.push((String::new(), item));
            }
        }
        costs::show(&items, self.scores.json, self.model.costs)
    }

    /// The stored measurements of a model, as far as they are known before its weights are read.
    fn peek(&self, blueprint: &Blueprint) -> anyhow::Result<(MeasurementStore, StoredMeasurements, ModelIdentity)> {
        cached::peek(blueprint, self.model.options().execution, &self.folder()?)
    }

    /// What one of the two models would be asked. Which prompts are drawn as evidence is known where all scores are stored;
    /// before that others stand for them, which cost as much.
    fn plan(&self, target: &Target, is_base: bool) -> anyhow::Result<ModelPlan> {
        let plan = &self.asked.plan;
        let blueprint = self.blueprint(&target.source)?;
        let (store, stored, model) = self.peek(&blueprint)?;
        let work = self.work(&blueprint, &model)?;
        let base = match &target.base {
            Some(source) if plan.settings.statistic.needs_base() => {
                let blueprint = self.blueprint(source)?;
                let (store, stored, model) = self.peek(&blueprint)?;
                let losses = plan.losses(model, work.drawing.as_ref());
                losses.map(|losses| (blueprint, store, stored, losses))
            }
            _ => None,
        };
        let (execution, policy) = (self.model.options().execution, policy(self.scores.fresh));
        let mut planned = PlannedRecords::default();
        if is_base {
            let Some((blueprint, store, stored, losses)) = &base else {
                return Ok(ModelPlan::new(&blueprint, execution, stored));
            };
            let known = &mut KnownRecords::new(store, &mut planned);
            let prices = vec![price(losses, known, policy)];
            return Ok(ModelPlan { prices, ..ModelPlan::new(blueprint, execution, *stored) });
        }
        let known = &mut KnownRecords::new(&store, &mut planned);
        let mut prices: Vec<_> = work.tasks().map(|task| price(task, known, policy)).collect();
        if let Some(detection) = &work.detection {
            prices.push(price(&detection.task(model.clone(), &plan.prompts()), known, policy));
        }
        let scores = match policy {
            CachePolicy::Reuse => {
                let base = base.as_ref().map(|(_, store, _, losses)| (losses, store));
                self.read((&work, &model, &store), base).ok()
            }
            CachePolicy::Replace => None,
        };
        let first = || (0..plan.audited.min(self.evidence)).collect();
        let items: Vec<usize> = scores.as_ref().map_or_else(first, |scores| self.evidence(scores));
        if work.drawing.is_none() && !items.is_empty() {
            let drawing = self.drawing(items.clone(), &blueprint, &model)?;
            prices.push(price(&*drawing.draws, known, policy));
        }
        if let Some(showing) = self.showing.as_ref().filter(|_| target.is_shown) {
            let mitigated = showing.mitigated(scores.as_ref(), &items)?;
            let extras = showing.tasks((items, mitigated), None, (&blueprint, &model), &self.pictures()?)?;
            prices.extend(extras.of_model().map(|task| price(task, known, policy)));
        }
        Ok(ModelPlan { prices, ..ModelPlan::new(&blueprint, execution, stored) })
    }

    fn open(&self, plan: &ModelPlan) -> anyhow::Result<(LatentDiffusion, MeasurementStore)> {
        costs::check([plan], self.model.costs)?;
        let model = LatentDiffusion::build(plan.blueprint.clone(), plan.execution)?;
        let store = cached::open(&model, &self.folder()?)?;
        Ok((model, store))
    }

    /// Measures what is not stored, and reads the scores. The models are in memory one after the other.
    pub(crate) fn run(&mut self, target: &Target) -> anyhow::Result<Measured> {
        let policy = policy(self.scores.fresh);
        let plan = &self.asked.plan;
        let folder = self.folder()?;
        fs::create_dir_all(&folder).map_err(|source| EvalError::Write { path: folder.clone(), source })?;
        self.progress.model(&target.source);
        let (model, mut store) = self.open(&self.plan(target, false)?)?;
        let identity = ModelIdentity::of(&model);
        let work = self.work(model.blueprint(), &identity)?;
        for task in work.tasks() {
            execute(task, &model, &mut store, policy, self.progress)?;
        }
        if let Some(detection) = &work.detection {
            execute(&detection.task(identity.clone(), &plan.prompts()), &model, &mut store, policy, self.progress)?;
        }
        let mut of_base = None;
        if let Some(source) = target.base.as_ref().filter(|_| plan.settings.statistic.needs_base()) {
            // Two models of a real size may not fit.
            let keep = model.blueprint().is_small();
            let kept = if keep { Some(model) } else { None };
            self.progress.model(source);
            let (base, mut base_store) = self.open(&self.plan(target, true)?)?;
            let base_identity = ModelIdentity::of(&base);
            if let Some(losses) = plan.losses(base_identity.clone(), work.drawing.as_ref()) {
                execute(&losses, &base, &mut base_store, policy, self.progress)?;
                of_base = Some((described(source, &base_identity), losses, base_store));
            }
            drop(base);
            return self.finish((target, kept), &identity, (work, store), of_base);
        }
        self.finish((target, Some(model)), &identity, (work, store), of_base)
    }

    /// Draws the evidence and puts everything together.
    fn finish(
        &mut self,
        (target, model): (&Target, Option<LatentDiffusion>),
        identity: &ModelIdentity,
        (work, mut store): (Work, MeasurementStore),
        base: Option<(AuditedModel, PictureLosses, MeasurementStore)>,
    ) -> anyhow::Result<Measured> {
        let of_base = base.as_ref().map(|(_, losses, store)| (losses, store));
        let scores = self.read((&work, identity, &store), of_base)?;
        let described_model = described(&target.source, identity);
        let drawing = match work.drawing {
            Some(drawing) => Some(drawing),
            None => {
                let items = self.evidence(&scores);
                let blueprint = self.blueprint(&target.source)?;
                (!items.is_empty()).then(|| self.drawing(items, &blueprint, identity)).transpose()?
            }
        };
        let described_base = base.map(|(base, ..)| base);
        let Some(drawing) = drawing else {
            let extras = Extras::default();
            return Ok(Measured { model: described_model, base: described_base, scores, evidence: None, extras });
        };
        let model = match model {
            Some(model) => model,
            None => {
                drop(store);
                let (model, opened) = self.open(&self.plan(target, false)?)?;
                store = opened;
                model
            }
        };
        self.progress.model(&target.source);
        execute(&*drawing.draws, &model, &mut store, CachePolicy::Reuse, self.progress)?;
        execute(&drawing.judging, &model, &mut store, CachePolicy::Reuse, self.progress)?;
        let mut extras = Extras::default();
        if let Some(showing) = self.showing.as_ref().filter(|_| target.is_shown) {
            let items = self.evidence(&scores);
            let mitigated = showing.mitigated(Some(&scores), &items)?;
            let named = (model.blueprint(), identity);
            let tasks = showing.tasks((items, mitigated), Some(&drawing), named, &self.pictures()?)?;
            extras = showing.run(tasks, (&model, &mut store), self.progress)?;
        }
        let evidence = Some((drawing, store));
        Ok(Measured { model: described_model, base: described_base, scores, evidence, extras })
    }
}

fn described(source: &ModelSource, model: &ModelIdentity) -> AuditedModel {
    AuditedModel {
        source: source.to_string(),
        fingerprint: model.fingerprint.clone(),
        arithmetic: model.arithmetic.clone(),
    }
}
