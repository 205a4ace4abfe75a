//! Where an experiment's networks run, and in which number format.

use memscope_model::{DeviceChoice, Execution, NetworkDtype};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text;

/// How the networks compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// Number format of weights and activations: `f32`, `f16` or `bf16`.
    #[serde(default, with = "text")]
    #[schemars(with = "String")]
    pub dtype: NetworkDtype,
    /// `auto` (a CUDA device if there is one, else the processor), `cpu` or `cuda:N`.
    #[serde(default, with = "text")]
    #[schemars(with = "String")]
    pub device: DeviceChoice,
}

impl NetworkSettings {
    /// Both together.
    pub fn execution(&self) -> Execution {
        Execution { dtype: self.dtype, device: self.device }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
