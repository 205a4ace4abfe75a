//! What a shard computed on, as far as it changes the last digits of numbers.

use std::{collections::BTreeSet, fmt, fs};

use serde::{Deserialize, Serialize};

/// Number format, kind of device, and its model: numbers from the same are the same to the last bit.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Hardware {
    /// Number format of the network.
    pub dtype: String,
    /// `cpu` or `cuda`.
    pub device: String,
    /// The model of the processor, or of the machine's GPUs.
    pub model: String,
}

impl Hardware {
    /// This machine's; `device` as `cpu` or `cuda:1`.
    pub fn here(device: &str, dtype: &str) -> Self {
        let kind = device.split(':').next().unwrap_or(device);
        let model = if kind == "cpu" { processor() } else { gpus().unwrap_or_else(processor) };
        Self { dtype: dtype.to_owned(), device: kind.to_owned(), model }
    }
}

/// The model of this machine's processor or, for `cuda`, GPUs, and how many cores there are, for people.
pub fn machine(device: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{}, {cores} {}", Hardware::here(device, "").model, if cores == 1 { "core" } else { "cores" })
}

impl fmt::Display for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} on {} ({})", self.dtype, self.device, self.model)
    }
}

/// What Linux says about the first core: name, family and model, and whether it has AVX-512, which kernels use.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let Some(name) = value("model name") else { return std::env::consts::ARCH.to_owned() };
    let wide = value("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "avx512f"));
    format!("{name}{}", if wide { ", AVX-512" } else { "" })
}

/// The different models of NVIDIA's driver's GPUs.
fn gpus() -> Option<String> {
    let entries = fs::read_dir("/proc/driver/nvidia/gpus").ok()?;
    let model = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path().join("information")).ok()?;
        let line = text.lines().find(|line| line.starts_with("Model:"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let models: BTreeSet<String> = entries.flatten().filter_map(model).collect();
    (!models.is_empty()).then(|| models.into_iter().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_one_kind_are_alike() {
        let [a, b] = ["cuda:0", "cuda:1"].map(|device| Hardware::here(device, "f16"));
        assert_eq!(a, b);
        assert_ne!(Hardware::here("cpu", "f32"), Hardware::here("cpu", "f16"));
        assert!(!Hardware::here("cpu", "f32").model.is_empty());
    }
}
