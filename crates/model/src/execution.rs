//! Where a network runs, and in which number format.

use std::{fmt, str::FromStr};

use candle_core::{DType, Device};

use crate::error::{Error, Result};

/// Number format of a network's weights and activations. In half precision every operation computes in f32 and rounds
/// its result, but for the matrix products of a CUDA device, which are the device's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NetworkDtype {
    /// 32 bits.
    #[default]
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16, in which the paper's code runs.
    Bf16,
}

impl NetworkDtype {
    /// All of them, f32 first.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// How candle calls it.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    pub(crate) fn on(self, cpu: bool) -> String {
        if cpu { self.to_string() } else { format!("{self} on cuda") }
    }
}

impl fmt::Display for NetworkDtype {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.dtype().as_str())
    }
}

impl FromStr for NetworkDtype {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|dtype| dtype.to_string() == text);
        known.ok_or_else(|| Error::Argument(format!("'{text}' is no number format; choose one of: f32, f16, bf16")))
    }
}

/// The device a network shall run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceChoice {
    /// The first CUDA device if this program can use one, else the CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A CUDA device by number.
    Cuda(usize),
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let cuda = || match text.strip_prefix("cuda")? {
            "" => Some(0),
            rest => rest.strip_prefix(':')?.parse().ok(),
        };
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => cuda().map(Self::Cuda).ok_or_else(|| {
                Error::Argument(format!("'{text}' is no device; choose one of: auto, cpu, cuda, cuda:0, cuda:1, ..."))
            }),
        }
    }
}

impl DeviceChoice {
    /// The device itself, or why there is none.
    pub(crate) fn open(self) -> Result<Device> {
        let cuda = |ordinal| {
            if !candle_core::utils::cuda_is_available() {
                return Err(Error::Device {
                    device: self.to_string(),
                    reason: "this program was built without CUDA".into(),
                    remedy: "build it with --features cuda (docs/cuda.md), or choose the device cpu",
                });
            }
            Device::new_cuda(ordinal).map_err(|e| Error::Device {
                device: self.to_string(),
                reason: message(&e),
                remedy: "see nvidia-smi for the devices there are, or choose the device cpu",
            })
        };
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(ordinal) => cuda(ordinal),
            Self::Auto if candle_core::utils::cuda_is_available() => cuda(0).or_else(|error| {
                tracing::warn!("{error}; going on with the processor");
                Ok(Device::Cpu)
            }),
            Self::Auto => Ok(Device::Cpu),
        }
    }
}

/// What went wrong, without the backtrace that candle adds to its errors when it is asked for one.
fn message(error: &candle_core::Error) -> String {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => inner.to_string(),
        other => other.to_string(),
    }
}

/// Where and in which number format a network shall run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Execution {
    /// Number format.
    pub dtype: NetworkDtype,
    /// Device.
    pub device: DeviceChoice,
}

impl Execution {
    /// Whether the device will be the CPU, as far as that is known before it is opened.
    pub fn is_cpu(self) -> bool {
        match self.device {
            DeviceChoice::Cpu => true,
            DeviceChoice::Auto => !candle_core::utils::cuda_is_available(),
            DeviceChoice::Cuda(_) => false,
        }
    }

    /// [`LatentDiffusion::arithmetic`](crate::LatentDiffusion::arithmetic) of a model that is not loaded yet.
    pub fn arithmetic(self) -> String {
        self.dtype.on(self.is_cpu())
    }
}

/// A place for tensors: format and device of what a network holds and computes.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) dtype: DType,
    pub(crate) device: Device,
}

impl Place {
    pub(crate) fn open(execution: Execution) -> Result<Self> {
        Ok(Self { dtype: execution.dtype.dtype(), device: execution.device.open()? })
    }

    /// The same device in f32.
    pub(crate) fn in_f32(&self) -> Self {
        Self { dtype: DType::F32, device: self.device.clone() }
    }

    /// `cpu` or `cuda:N`.
    pub(crate) fn device_name(&self) -> String {
        match self.device.location() {
            candle_core::DeviceLocation::Cpu => "cpu".into(),
            candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
            candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_others_are_named() {
        for dtype in NetworkDtype::ALL {
            assert_eq!(dtype.to_string().parse::<NetworkDtype>().unwrap(), dtype);
        }
        for device in [DeviceChoice::Auto, DeviceChoice::Cpu, DeviceChoice::Cuda(3)] {
            assert_eq!(device.to_string().parse::<DeviceChoice>().unwrap(), device);
        }
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
        assert!("float32".parse::<NetworkDtype>().unwrap_err().to_string().contains("f32, f16, bf16"));
        for wrong in ["gpu", "cuda0", "cuda:", "cuda:-1", ""] {
            assert!(wrong.parse::<DeviceChoice>().unwrap_err().to_string().contains("cuda:0"), "{wrong}");
        }
    }

    #[test]
    fn the_processor_is_always_there() {
        assert!(DeviceChoice::Cpu.open().unwrap().is_cpu());
        assert!(DeviceChoice::Auto.open().is_ok());
        if !candle_core::utils::cuda_is_available() {
            let message = DeviceChoice::Cuda(0).open().unwrap_err().to_string();
            assert!(message.contains("cuda:0") && message.contains("--features cuda"), "{message}");
        }
    }
}
