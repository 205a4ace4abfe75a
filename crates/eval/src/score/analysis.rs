//! Stored numbers of analyses of the score field.

use std::collections::BTreeMap;

use memscope_metric::Quantity;
use memscope_model::Blueprint;

use super::StoredPlan;
use crate::{error::Result, prompts::KnownPrompt, spec::AnalysisEntry};

/// The numbers of one prompt, under the first seed and generation.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysisValues {
    /// The prompt.
    pub prompt: String,
    /// Whether it stands among the memorized ones.
    pub memorized: bool,
    /// The numbers by name.
    pub values: BTreeMap<String, f64>,
}

/// An analysis with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysisResult {
    /// The analysis.
    pub entry: AnalysisEntry,
    /// One entry per prompt, memorized ones first.
    pub prompts: Vec<AnalysisValues>,
}

/// Reads the numbers of an analysis; everything must have been measured.
pub(crate) fn read_analysis(
    entry: &AnalysisEntry,
    model: &Blueprint,
    stored: &StoredPlan,
    seed: u64,
    (memorized, non_memorized): (&[KnownPrompt], &[KnownPrompt]),
) -> Result<AnalysisResult> {
    let measure = entry.measure(model);
    let (id, names) = (measure.id(), measure.names());
    let quantities: Vec<Quantity> =
        names.iter().map(|name| Quantity { measure: id.clone(), name: name.clone() }).collect();
    let quantities = stored.quantities(&id, &quantities)?;
    let classes = [(true, memorized), (false, non_memorized)];
    let prompts = classes.iter().flat_map(|(class, prompts)| prompts.iter().map(move |prompt| (*class, prompt)));
    let prompts = prompts.map(|(memorized, prompt)| {
        let values = quantities.read(&prompt.text, seed, 1)?;
        let values = names.iter().cloned().zip(values.into_iter().flatten()).collect();
        Ok(AnalysisValues { prompt: prompt.text.to_string(), memorized, values })
    });
    Ok(AnalysisResult { entry: entry.clone(), prompts: prompts.collect::<Result<_>>()? })
}
