//! SSCD against torch: every naming, every kind of file, the location map by autograd.

mod common;

use std::path::Path;

use candle_core::Device;
use common::{distance, expected, fixture, numbers};
use memscope_judges::{Error, Files, Sscd, SscdConfig};

/// The case's network, and its configuration.
fn open(folder: &Path, weights: &str) -> (Sscd, SscdConfig) {
    let config: SscdConfig = serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    (Sscd::load(&Files::from(folder), weights, &config, &Device::Cpu).unwrap(), config)
}

fn check(name: &str, weights: &str) {
    let folder = fixture(name);
    let (sscd, _) = open(&folder, weights);
    let inputs = expected(&folder, "inputs");
    let descriptors = sscd.describe_inputs(&inputs).unwrap();
    let got: Vec<f64> =
        descriptors.iter().flat_map(memscope_judges::Embedding::values).map(|x| f64::from(*x)).collect();
    let error = distance(&got, &numbers(&folder, "descriptors"));
    assert!(error <= 1e-5, "{name}: descriptors differ by {error:e}");

    let map = sscd.locate_inputs(&inputs.narrow(0, 0, 1).unwrap(), &inputs.narrow(0, 1, 1).unwrap()).unwrap();
    let cosine = numbers(&folder, "cosine")[0];
    assert!((map.cosine - cosine).abs() <= 1e-5, "{name}: cosine {} instead of {cosine}", map.cosine);
    assert!((descriptors[0].cosine(&descriptors[1]).unwrap() - map.cosine).abs() <= 1e-6);
    assert!((map.shares.iter().sum::<f64>() + map.bias - map.cosine).abs() <= 1e-12);
    assert_eq!(expected(&folder, "shares").dims(), [map.rows, map.columns]);
    let error = distance(&map.shares, &numbers(&folder, "shares"));
    assert!(error <= 1e-5, "{name}: shares differ by {error:e}");
}

#[test]
fn basic_blocks_in_safetensors() {
    check("sscd-basic", "model.safetensors");
}

#[test]
fn bottlenecks_in_a_torchscript_archive() {
    check("sscd-bottleneck", "model.pt");
}

#[test]
fn grouped_bottlenecks_with_classy_visions_names() {
    check("sscd-classy", "model.pt");
}

#[test]
fn grouped_bottlenecks_in_a_state_dict() {
    check("sscd-state-dict", "model.bin");
}

#[test]
fn a_configuration_that_does_not_fit_is_refused() {
    let folder = fixture("sscd-classy");
    let (_, config) = open(&folder, "model.pt");
    let load = |config: &SscdConfig| Sscd::load(&Files::from(folder.as_path()), "model.pt", config, &Device::Cpu);
    let exponent = load(&SscdConfig { gem_p: 4.0, ..config.clone() }).unwrap_err();
    assert!(matches!(&exponent, Error::Config { reason, .. } if reason.contains("exponent 3")), "{exponent}");
    let shape = load(&SscdConfig { dims: 25, ..config.clone() }).unwrap_err();
    assert!(matches!(&shape, Error::TensorShape { tensor, .. } if tensor == "embeddings.1.weight"), "{shape}");
    let deeper = load(&SscdConfig { layers: vec![2, 2], ..config.clone() }).unwrap_err();
    assert!(matches!(&deeper, Error::MissingTensor { tensor, .. } if tensor.contains("block1-1")), "{deeper}");
    for wrong in [
        SscdConfig { layers: vec![], ..config.clone() },
        SscdConfig { layers: vec![0], ..config.clone() },
        SscdConfig { channels: usize::MAX, ..config.clone() },
        SscdConfig { gem_p: 0.0, ..config.clone() },
        SscdConfig { width_per_group: 3, ..config.clone() },
        SscdConfig { copy_threshold: 1.0, ..config.clone() },
        SscdConfig { copy_threshold: f64::NAN, ..config },
    ] {
        assert!(matches!(load(&wrong), Err(Error::Config { .. })), "{wrong:?}");
    }
}

#[test]
fn the_published_architectures() {
    let large = SscdConfig::disc_large();
    assert_eq!((large.layers.as_slice(), large.groups, large.width_per_group), (&[3, 4, 23, 3][..], 32, 4));
    assert_eq!((large.dims, large.preprocessing.size), (1024, 288));
    let mixup = SscdConfig::disc_mixup();
    assert_eq!((mixup.layers.as_slice(), mixup.groups, mixup.dims), (&[3, 4, 6, 3][..], 1, 512));
}
