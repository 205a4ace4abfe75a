//! The scores of an audit, read from what was stored.

use std::collections::HashMap;

use super::{AuditPlan, Drawing, StatisticName};
use crate::{
    error::{Error, Result},
    score::detector_means,
    store::MeasurementStore,
    task::ModelIdentity,
    tasks::{Detection, PictureLosses},
};

/// Scores of all items of a plan: those that are audited, then those that calibrate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditScores {
    /// One list for each condition; higher means more memorized.
    pub conditions: Vec<Vec<f64>>,
    /// −mean log L of the base on the training picture, where it was asked.
    pub base: Option<Vec<f64>>,
}

impl AuditScores {
    /// The positions of the first `audited` items, the highest score of the first condition first.
    pub fn ranking(&self, audited: usize) -> Vec<usize> {
        let Some(first) = self.conditions.first() else { return vec![] };
        let mut ranked: Vec<usize> = (0..audited).collect();
        ranked.sort_by(|a, b| first[*b].total_cmp(&first[*a]));
        ranked
    }
}

impl AuditPlan {
    /// Scores by a detector.
    ///
    /// # Errors
    /// When something was not measured.
    pub fn detector_scores(
        &self,
        detection: &Detection,
        model: ModelIdentity,
        store: &MeasurementStore,
    ) -> Result<AuditScores> {
        let prompts = self.prompts();
        let means = detector_means(detection, model, &prompts, store)?;
        let of_prompt: HashMap<&str, f64> = prompts.iter().map(String::as_str).zip(means).collect();
        let scores: Option<Vec<f64>> = self.items.iter().map(|item| of_prompt.get(&*item.prompt).copied()).collect();
        Ok(AuditScores { conditions: vec![scores.ok_or_else(not_measured)?], base: None })
    }

    /// Scores by losses: of the audited model, and of its base where the statistic asks it.
    ///
    /// # Errors
    /// When something was not measured.
    pub fn loss_scores(
        &self,
        (losses, store): (&PictureLosses, &MeasurementStore),
        base: Option<(&PictureLosses, &MeasurementStore)>,
        drawing: Option<&Drawing>,
    ) -> Result<AuditScores> {
        let logs = |(losses, store): (&PictureLosses, &MeasurementStore)| -> Result<Vec<f64>> {
            let each: Option<Vec<f64>> =
                (0..losses.pictures.len()).map(|unit| losses.mean_log_loss(unit, store)).collect();
            let each = each.ok_or_else(not_measured)?;
            // Draws of a prompt are combined before anything is calibrated.
            let together = if drawing.is_some() { self.settings.draws } else { 1 };
            Ok(each.chunks(together).map(|draws| draws.iter().sum::<f64>() / draws.len() as f64).collect())
        };
        let own = logs((losses, store))?;
        let negative = |logs: &[f64]| logs.iter().map(|log| -log).collect::<Vec<f64>>();
        let of_base = base.map(logs).transpose()?;
        let ratio = of_base.as_ref().map(|base| base.iter().zip(&own).map(|(base, own)| base - own).collect());
        let base = of_base.as_deref().map(negative);
        match (self.settings.statistic, ratio) {
            (StatisticName::Loss, _) => Ok(AuditScores { conditions: vec![negative(&own)], base: None }),
            (StatisticName::LossRatio, Some(ratio)) => Ok(AuditScores { conditions: vec![ratio], base }),
            (StatisticName::SelfLossRatio, Some(ratio)) => {
                Ok(AuditScores { conditions: vec![ratio, negative(&own)], base: None })
            }
            _ => Err(Error::internal("a statistic of losses has none")),
        }
    }
}

fn not_measured() -> Error {
    Error::internal("a score of the audit was not measured")
}
