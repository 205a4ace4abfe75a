//! What is shown of the highest ranks beside what they draw, and what can be done about them.

use std::{collections::HashMap, path::Path};

use memscope_eval::{
    MeasurementStore,
    audit::{AuditScores, CalibrationFile, Drawing, NearDuplicates, NearestPictures},
    run::execute,
    spec::MitigationName,
    task::{CachePolicy, ModelIdentity, Task},
    tasks::{JudgeFiles, TokenGradients},
};
use memscope_judges::Sscd;
use memscope_model::{Blueprint, LatentDiffusion};
use memscope_results::audit::WordShare;

use super::{decisions::Decided, input::Asked};
use crate::{
    args,
    commands::pictures::{COSINE, Shown, whole},
    progress::Progress,
};

/// The tasks behind it.
#[derive(Default)]
pub(crate) struct ExtraTasks {
    /// The items whose words are asked about.
    items: Vec<usize>,
    words: Option<TokenGradients>,
    alternatives: Option<Drawing>,
    nearest_pictures: Option<NearestPictures>,
}

/// What came out.
#[derive(Default)]
pub(crate) struct Extras {
    /// The words of items.
    pub(crate) words: HashMap<usize, Vec<WordShare>>,
    /// What a mitigation draws for flagged items.
    pub(crate) alternatives: Option<Drawing>,
    /// The descriptors behind the nearest training pictures, and what makes them.
    pub(crate) nearest_pictures: Option<(NearestPictures, Sscd)>,
    /// Near duplicates among the training pictures.
    pub(crate) duplicates: Option<NearDuplicates>,
}

impl ExtraTasks {
    /// They that ask the model's networks.
    pub(crate) fn of_model(&self) -> impl Iterator<Item = &dyn Task> {
        let words = self.words.iter().map(|words| words as &dyn Task);
        words.chain(self.alternatives.iter().map(|drawing| &*drawing.draws as &dyn Task))
    }
}

/// What decides what is shown.
pub(crate) struct Showing<'a> {
    pub(crate) args: &'a args::Audit,
    pub(crate) asked: &'a Asked,
    pub(crate) calibration: Option<&'a CalibrationFile>,
    pub(crate) judges: Option<JudgeFiles>,
}

impl Showing<'_> {
    /// Those of some items that get an alternative; where no scores are known yet all of them may.
    pub(crate) fn mitigated(&self, scores: Option<&AuditScores>, items: &[usize]) -> anyhow::Result<Vec<usize>> {
        let calibrates = self.asked.held_out.is_some() || self.calibration.is_some();
        if self.args.mitigation.name() == MitigationName::None || !calibrates {
            return Ok(vec![]);
        }
        match scores {
            Some(scores) => Ok(Decided::new(self.args, self.asked, scores, self.calibration)?.flagged(items)),
            None => Ok(items.to_vec()),
        }
    }

    /// What is asked beyond the draws, for the model that the page is about; pictures go into `folder`.
    pub(crate) fn tasks(
        &self,
        (items, mitigated): (Vec<usize>, Vec<usize>),
        drawing: Option<&Drawing>,
        (blueprint, model): (&Blueprint, &ModelIdentity),
        folder: &Path,
    ) -> anyhow::Result<ExtraTasks> {
        let plan = &self.asked.plan;
        let noises = usize::from(self.args.words);
        let words = (noises > 0 && !items.is_empty()).then(|| plan.words(&items, model.clone(), noises));
        let alternatives = match mitigated.is_empty() {
            true => None,
            false => {
                let which = (mitigated, &self.args.mitigation);
                Some(plan.mitigated(which, (blueprint, model.clone()), folder, self.judges.clone())?)
            }
        };
        let nearest_pictures = match (drawing, &self.judges) {
            (Some(drawing), Some(judges)) => NearestPictures::new(plan, drawing, &items, judges.clone()),
            _ => None,
        };
        Ok(ExtraTasks { items, words, alternatives, nearest_pictures })
    }

    /// Executes what is not stored, and reads it.
    pub(crate) fn run(
        &self,
        tasks: ExtraTasks,
        (model, store): (&LatentDiffusion, &mut MeasurementStore),
        progress: &mut Progress,
    ) -> anyhow::Result<Extras> {
        for task in tasks.of_model() {
            execute(task, model, store, CachePolicy::Reuse, progress)?;
        }
        let ExtraTasks { items, words, alternatives, nearest_pictures } = tasks;
        if let Some(drawing) = &alternatives {
            execute(&drawing.judging, model, store, CachePolicy::Reuse, progress)?;
        }
        let (mut duplicates, mut described) = (None, None);
        if let Some(nearest_pictures) = nearest_pictures {
            execute(&nearest_pictures.describing, model, store, CachePolicy::Reuse, progress)?;
            progress.what("near duplicates");
            duplicates = Some(whole(nearest_pictures.duplicates(store, COSINE, &mut Shown(progress))?)?);
            let sscd = nearest_pictures.describing.open()?;
            described = Some((nearest_pictures, sscd));
        }
        let read = words.map(|words| words.read(store)).unwrap_or_default();
        let of_item = |(item, norms): (&usize, Option<Vec<f64>>)| {
            Some((*item, word_shares(model, &self.asked.plan.items[*item].prompt, &norms?)?))
        };
        let words = items.iter().zip(read).filter_map(of_item).collect();
        Ok(Extras { words, alternatives, nearest_pictures: described, duplicates })
    }
}

/// Each word's share of the gradient norms of all words, without the marks of beginning and end.
fn word_shares(model: &LatentDiffusion, prompt: &str, norms: &[f64]) -> Option<Vec<WordShare>> {
    let tokens = model.tokenizer().encode(prompt);
    let words = model.tokenizer().token_words(&tokens);
    if words.len() != norms.len() {
        return None;
    }
    let inner = 1..words.len().saturating_sub(1);
    let total: f64 = norms.get(inner.clone())?.iter().sum();
    let mut shares: Vec<WordShare> = vec![];
    for (word, norm) in words[inner.clone()].iter().zip(&norms[inner]) {
        let share = norm / total;
        match shares.last_mut().filter(|last| last.word == *word) {
            Some(last) => last.share += share,
            None => shares.push(WordShare { word: word.clone(), share }),
        }
    }
    Some(shares)
}
