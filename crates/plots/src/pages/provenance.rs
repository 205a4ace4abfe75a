//! Where the numbers of the page come from.

use memscope_results::{Manifest, manifest::Weights};

use crate::report::{Generator, Report};

/// The program and each model once.
pub(super) fn add(report: &mut Report, manifest: &Manifest) {
    add_named(report, manifest, &manifest.experiment);
}

/// The same of one of two runs; `side`: what it is called.
pub(super) fn add_side(report: &mut Report, manifest: &Manifest, side: &str) {
    let name = if manifest.experiment == side { side.to_owned() } else { format!("{} ({side})", manifest.experiment) };
    add_named(report, manifest, &name);
}

fn add_named(report: &mut Report, manifest: &Manifest, name: &str) {
    report.generated_by = Generator {
        version: manifest.version.clone(),
        commit: Some(manifest.commit.clone()).filter(|commit| !commit.is_empty() && commit != "unknown"),
    };
    let mut add = |key: String, value: String| {
        if !report.provenance.iter().any(|(known, _)| *known == key) {
            report.provenance.push((key, value));
        }
    };
    for model in &manifest.models {
        let random = match model.weights {
            Weights::Random => "random ",
            Weights::Unmarked => "",
        };
        let weights = format!("{}, {random}weights sha256 {}", model.parameterization, model.fingerprint);
        add(model.source.clone(), weights);
    }
    if manifest.models.is_empty() {
        return;
    }
    add("network".into(), format!("{} on {}", manifest.dtype, manifest.device));
    if !manifest.machine.is_empty() {
        add("machine".into(), manifest.machine.clone());
    }
    let seeds: Vec<String> = manifest.seeds.iter().map(ToString::to_string).collect();
    let noise = format!("noise as of {}, seeds {}", manifest.generator, seeds.join(", "));
    let parts = [&manifest.command, &noise, &manifest.finished];
    let lines: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    add(name.to_owned(), lines.join("\n"));
}

/// When and on what the results were made.
pub(super) fn made<'a>(manifests: impl Iterator<Item = &'a Manifest> + Clone) -> Vec<String> {
    let mut days: Vec<&str> = manifests.clone().map(|manifest| day(&manifest.finished)).collect();
    days.retain(|day| !day.is_empty());
    days.sort_unstable();
    days.dedup();
    let mut made = vec![];
    match days.as_slice() {
        [] => {}
        [day] => made.push(format!("measured on {day}")),
        [first, .., last] => made.push(format!("measured from {first} to {last}")),
    }
    let mut devices: Vec<String> = manifests.map(|manifest| manifest.device.clone()).collect();
    devices.retain(|device| !device.is_empty());
    devices.sort();
    devices.dedup();
    made.extend(devices.into_iter().map(|device| format!("on {device}")));
    made
}

/// The date of a time in UTC.
fn day(time: &str) -> &str {
    time.split_once('T').map_or(time, |(day, _)| day)
}
