//! Where an experiment's networks run, and in which number format.

use memscope_model::Execution;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the networks compute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// Number format of weights and activations: `f32`, `f16` or `bf16`.
    #[serde(default = "default_dtype")]
    pub dtype: String,
    /// `auto` (a CUDA device if there is one, else the processor), `cpu` or `cuda:N`.
    #[serde(default = "default_device")]
    pub device: String,
}

fn default_dtype() -> String {
    Execution::default().dtype.to_string()
}

fn default_device() -> String {
    Execution::default().device.to_string()
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self { dtype: default_dtype(), device: default_device() }
    }
}

impl NetworkSettings {
    /// The checked settings.
    pub fn execution(&self) -> memscope_model::Result<Execution> {
        Ok(Execution { dtype: self.dtype.parse()?, device: self.device.parse()? })
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
