//! From an entry to the mitigation.

use memscope_metric::{Gammas, Protocol};
use memscope_mitigation::{
    BatchWise, EmbeddingSettings, Han, Jain, Mitigation, Padding, PerSample, RandomTokens, Ren, Sail, Unmitigated,
    anisotropy, detector, wen,
};
use memscope_model::{Blueprint, Parameterization};
use memscope_results::paper::{Model as PaperModel, paper};

use super::{
    AnisotropyMitigationOptions, HanMode, HanOptions, JainMode, JainOptions, JeonMitigationOptions, MitigationEntry,
};
use crate::error::{Error, Result};

/// Insertions of random tokens where none are given: the published function's.
const INSERTIONS: usize = 4;

impl MitigationEntry {
    /// How tables call it.
    pub fn label(&self) -> String {
        self.own_label().cloned().unwrap_or_else(|| self.name().title().to_owned())
    }

    /// The line of the trade-off figure that it belongs to.
    pub fn line(&self) -> String {
        self.own_line().cloned().unwrap_or_else(|| self.name().title().to_owned())
    }

    /// The configuration of Table 6 that it uses as it stands, if it does.
    pub fn table6_config(&self) -> Option<u32> {
        let Self::Anisotropy(options) = self else { return None };
        let plain = AnisotropyMitigationOptions {
            label: options.label.clone(),
            line: options.line.clone(),
            config: options.config,
            ..AnisotropyMitigationOptions::default()
        };
        (*options == plain).then(|| options.config.unwrap_or(1))
    }

    /// The mitigation for a model; `protocol` is the experiment's.
    ///
    /// # Errors
    /// When an option is out of range, or the model lacks what the method needs.
    pub fn build(&self, protocol: &Protocol, model: &Blueprint) -> Result<Box<dyn Mitigation>> {
        let method = self.plan(protocol, model.schedule().parameterization())?;
        method.check(model)?;
        Ok(method)
    }

    /// The mitigation for a kind of model, before what its configuration can refuse.
    ///
    /// # Errors
    /// When an option is out of range.
    pub(in super::super) fn plan(&self, protocol: &Protocol, kind: Parameterization) -> Result<Box<dyn Mitigation>> {
        Ok(match self {
            Self::None(_) => Box::new(Unmitigated),
            Self::Wen(o) => Box::new(wen(EmbeddingSettings {
                learning_rate: o.learning_rate.unwrap_or(EmbeddingSettings::default().learning_rate),
                iterations: o.iterations.unwrap_or(EmbeddingSettings::default().iterations),
                target: o.target,
                batch: o.batch,
                weight_decay: o.weight_decay.unwrap_or(EmbeddingSettings::default().weight_decay),
            })?),
            Self::Anisotropy(options) => {
                let protocol =
                    options.protocol.as_ref().map_or_else(|| protocol.clone(), |own| protocol.overridden_by(own));
                let gammas = options.gammas.unwrap_or_else(|| Gammas::of_table5(kind));
                Box::new(anisotropy(protocol.resolve(kind)?, gammas, options.settings(kind)?)?)
            }
            Self::Detector(o) => {
                let Some(entry) = &o.loss else { return Err(setting("loss: name a detector, e.g. {name: membench}")) };
                let own = entry.protocol(protocol).resolve(kind)?;
                let settings = EmbeddingSettings {
                    learning_rate: o.learning_rate.unwrap_or(EmbeddingSettings::default().learning_rate),
                    iterations: o.iterations.unwrap_or(EmbeddingSettings::default().iterations),
                    target: o.target,
                    batch: o.batch,
                    weight_decay: o.weight_decay.unwrap_or(EmbeddingSettings::default().weight_decay),
                };
                Box::new(detector(entry.differentiable(own, kind).ok_or_else(no_gradient)?.as_ref(), settings)?)
            }
            Self::Jeon(options) => Box::new(options.sail().checked()?),
            Self::Han(options) => Box::new(options.han()?.checked()?),
            Self::Ren(o) => Box::new(Ren::new(
                o.factor.unwrap_or(Ren::FACTOR),
                o.tokens.unwrap_or_default(),
                o.rows.unwrap_or_default(),
            )?),
            Self::Jain(options) => Box::new(options.jain()?.checked()?),
            Self::Padding(options) => Box::new(Padding { mode: options.mode.unwrap_or_default() }),
            Self::RandomTokens(o) => {
                Box::new(RandomTokens::new(o.style.unwrap_or_default(), o.insertions.unwrap_or(INSERTIONS))?)
            }
        })
    }
}

fn setting(reason: &str) -> Error {
    Error::Experiment { file: "mitigation".into(), reason: reason.to_owned() }
}

fn no_gradient() -> Error {
    setting("loss: this detector has no gradient here; wen, membench and anisotropy have one")
}

impl AnisotropyMitigationOptions {
    fn settings(&self, kind: Parameterization) -> Result<EmbeddingSettings> {
        let model = match kind {
            Parameterization::Epsilon => PaperModel::Sd14,
            Parameterization::V => PaperModel::Sd20,
        };
        let row = paper().table6(model, self.config.unwrap_or(1));
        let row = row.ok_or_else(|| setting("config must be 1, 2, 3, 4 or 5, a row of the paper's Table 6"))?;
        Ok(EmbeddingSettings {
            learning_rate: self.learning_rate.unwrap_or(row.lr),
            iterations: self.iterations.unwrap_or(row.iterations as usize),
            target: self.target.or(Some(row.target_loss)),
            batch: self.batch.or(Some(row.n as usize)),
            weight_decay: self.weight_decay.unwrap_or(EmbeddingSettings::default().weight_decay),
        })
    }
}

impl JeonMitigationOptions {
    fn sail(&self) -> Sail {
        let default = Sail::default();
        Sail {
            budget: self.budget.unwrap_or(default.budget),
            learning_rate: self.learning_rate.unwrap_or(default.learning_rate),
            steps: self.steps.unwrap_or(default.steps),
            threshold: self.threshold.unwrap_or(default.threshold),
            penalty: self.penalty,
            rounds: self.rounds.unwrap_or(default.rounds),
            release: self.release.unwrap_or_default(),
        }
    }
}

impl HanOptions {
    fn han(&self) -> Result<Han> {
        let foreign = match self.mode.unwrap_or_default() {
            HanMode::BatchWise => [self.learning_rate.map(|_| "learning_rate"), self.target.map(|_| "target"), None],
            HanMode::PerSample => {
                [self.rho.map(|_| "rho"), self.gamma.map(|_| "gamma"), self.unguided_steps.map(|_| "unguided_steps")]
            }
        };
        if let Some(option) = foreign.into_iter().flatten().next() {
            return Err(setting(&format!("{option} belongs to the other mode of han")));
        }
        Ok(match self.mode.unwrap_or_default() {
            HanMode::BatchWise => {
                let default = BatchWise::default();
                Han::BatchWise(BatchWise {
                    rho: self.rho.unwrap_or(default.rho),
                    gamma: self.gamma.unwrap_or(default.gamma),
                    iterations: self.iterations.unwrap_or(default.iterations),
                    unguided_steps: self.unguided_steps.unwrap_or(default.unguided_steps),
                })
            }
            HanMode::PerSample => {
                let default = PerSample::default();
                Han::PerSample(PerSample {
                    learning_rate: self.learning_rate.unwrap_or(default.learning_rate),
                    target: self.target.unwrap_or(default.target),
                    iterations: self.iterations.unwrap_or(default.iterations),
                })
            }
        })
    }
}

impl JainOptions {
    fn jain(&self) -> Result<Jain> {
        let mode = self.mode.unwrap_or_default();
        if mode != JainMode::Static && (self.before.is_some() || self.timestep.is_some()) {
            return Err(setting("before and timestep belong to mode: static of jain"));
        }
        Ok(match mode {
            JainMode::Static => {
                Jain::Static { before: self.before.unwrap_or(0.0), timestep: self.timestep.unwrap_or(500) }
            }
            JainMode::Dynamic => Jain::Dynamic,
            JainMode::OppositeDynamic => Jain::OppositeDynamic,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{MitigationName, entry_of_text},
        *,
    };

    fn id(yaml: &str, kind: Parameterization) -> String {
        let entry: MitigationEntry = serde_yaml::from_str(yaml).unwrap();
        entry.plan(&Protocol::default(), kind).map_or_else(|e| format!("error: {e}"), |method| method.id())
    }

    #[test]
    fn configurations_of_table_6_are_those_of_the_models_kind() {
        let (eps, v) = (Parameterization::Epsilon, Parameterization::V);
        assert!(
            id("{name: anisotropy, config: 2}", eps).ends_with("lr=0.05/iterations=50/target=-0.4/batch=1/decay=0.01")
        );
        assert!(id("{name: anisotropy, config: 5}", v).ends_with("lr=0.05/iterations=1/target=-1/batch=1/decay=0.01"));
        assert!(id("{name: anisotropy, iterations: 7}", eps).contains("iterations=7/target=-1/"));
        assert!(id("{name: anisotropy, config: 6}", eps).starts_with("error: "));
        let config = |yaml: &str| serde_yaml::from_str::<MitigationEntry>(yaml).unwrap().table6_config();
        assert_eq!(config("{name: anisotropy, label: x, config: 3}"), Some(3));
        assert_eq!(config("{name: anisotropy, config: 3, iterations: 2}"), None);
        assert_eq!(config("{name: wen}"), None);
    }

    #[test]
    fn every_method_has_defaults_and_an_id_of_its_own() {
        let loss = "{name: detector, loss: {name: membench}}";
        let mut ids: Vec<String> = MitigationName::ALL
            .iter()
            .map(|name| match name {
                MitigationName::Detector => id(loss, Parameterization::V),
                name => id(&format!("{{name: {name}}}"), Parameterization::V),
            })
            .collect();
        assert!(ids.iter().all(|id| !id.starts_with("error")), "{ids:?}");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), MitigationName::ALL.len());
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        for (yaml, reason) in [
            ("{name: detector}", "loss"),
            ("{name: detector, loss: {name: jeon}}", "gradient"),
            ("{name: wen, iterations: 0}", "iterations"),
            ("{name: han, mode: per_sample, rho: 1}", "rho"),
            ("{name: jain, mode: dynamic, before: 1}", "static"),
            ("{name: random_tokens, insertions: 0}", "insertions"),
            ("{name: anisotropy, protocol: {input: trajectory}}", "input: noise"),
        ] {
            let message = id(yaml, Parameterization::Epsilon);
            assert!(message.starts_with("error") && message.contains(reason), "{yaml}: {message}");
        }
        for yaml in ["{name: ren, rho: 1}", "{name: ran}"] {
            assert!(serde_yaml::from_str::<MitigationEntry>(yaml).is_err(), "{yaml}");
        }
        assert_eq!(entry_of_text("wen").unwrap().name(), MitigationName::Wen);
        assert_eq!(entry_of_text("{label: x, name: ren}").unwrap().label(), "x");
        assert!(entry_of_text("mask").unwrap_err().to_string().contains("random_tokens"));
    }
}
