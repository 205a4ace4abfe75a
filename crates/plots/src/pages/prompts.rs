//! The prompts of one experiment, to be searched and sorted.

use memscope_results::{
    Folder, Manifest, files,
    prompts::{FILE, LIMIT, MOST, ModelPrompts, PromptRecord},
};

use crate::report::PromptBrowser;

/// Significant digits of a score.
const DIGITS: usize = 5;

/// The prompts of the experiment with the most detectors, the first of several.
pub(super) fn of(complete: &[(Folder, Manifest)]) -> Option<PromptBrowser> {
    let mut best: Option<(usize, &Manifest, Vec<ModelPrompts>)> = None;
    for (folder, manifest) in complete {
        let Some(models) = read(folder, manifest) else { continue };
        let detectors = models.iter().map(|model| model.detectors.len()).max().unwrap_or(0);
        if best.as_ref().is_none_or(|(most, ..)| detectors > *most) {
            best = Some((detectors, manifest, models));
        }
    }
    let (_, manifest, models) = best?;
    Some(PromptBrowser { title: format!("The prompts of {}", manifest.title), models })
}

/// What the file holds, if it is what the run wrote and fits its own description.
fn read(folder: &Folder, manifest: &Manifest) -> Option<Vec<ModelPrompts>> {
    let bytes = files::read_file(&folder.prompts(), LIMIT).ok()?;
    if manifest.integrity(FILE, &bytes) != memscope_results::manifest::Integrity::Intact {
        return None;
    }
    let mut models: Vec<ModelPrompts> = serde_json::from_slice(&bytes).ok()?;
    for model in &mut models {
        let fits = |prompt: &PromptRecord| {
            let scores = prompt.scores.iter().zip(&model.detectors);
            prompt.scores.len() == model.detectors.len()
                && scores.into_iter().all(|(scores, detector)| scores.len() == detector.seeds.len())
        };
        if !model.prompts.iter().all(fits) {
            return None;
        }
        model.prompts.truncate(MOST);
        for score in model.prompts.iter_mut().flat_map(|prompt| &mut prompt.scores).flatten() {
            *score = format!("{score:.*e}", DIGITS - 1).parse().unwrap_or(*score);
        }
    }
    Some(models)
}
