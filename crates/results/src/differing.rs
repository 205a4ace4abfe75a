//! Where two runs differ in what determined their numbers.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    determinants::{Determinants, ModelNames, Named},
    manifest::Manifest,
    settings::Settings,
};

/// Something that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// What: a setting, or table, row and column.
    pub what: String,
    /// On the first side.
    pub first: String,
    /// On the second side.
    pub second: String,
}

/// What a side has of something that it lacks, or that the other one lacks.
const ABSENT: &str = "absent";
const PRESENT: &str = "present";

/// What determined the numbers and is not the same in two runs. Models and detectors are matched by name; an option that
/// differs in the same way for several detectors is told once.
pub(crate) fn differing_settings(first: &Manifest, second: &Manifest) -> Vec<Difference> {
    let one_each = first.models.len() == 1 && second.models.len() == 1;
    let names = if one_each { ModelNames::OneEach } else { ModelNames::Sources };
    let (a, b) = (Determinants::of(first, names), Determinants::of(second, names));
    let mut found = vec![];
    // Manifests of format 0 hold no experiment.
    if !first.settings.is_empty() && !second.settings.is_empty() {
        fields("", (&a.experiment, &b.experiment), &mut found);
        // Who is on one side only is told below, from what was in force.
        for (name, own) in &a.entries {
            if let Some(other) = b.entries.get(name) {
                fields(&format!("{name}: "), (own, other), &mut found);
            }
        }
    }
    fields("", (&a.run, &b.run), &mut found);
    for name in keys(&a.models, &b.models) {
        let what = if one_each { name.clone() } else { format!("model {name}") };
        match (a.models.get(name), b.models.get(name)) {
            (Some(own), Some(other)) => fields(&format!("{what}: "), (own, other), &mut found),
            (one, _) => found.push(only_one(what, one.is_some())),
        }
    }
    detectors(&a.detectors, &b.detectors, &mut found);
    found
}

fn keys<'k, V>(a: &'k BTreeMap<String, V>, b: &'k BTreeMap<String, V>) -> BTreeSet<&'k String> {
    a.keys().chain(b.keys()).collect()
}

fn only_one(what: String, first_has_it: bool) -> Difference {
    let (first, second) = if first_has_it { (PRESENT, ABSENT) } else { (ABSENT, PRESENT) };
    Difference { what, first: first.into(), second: second.into() }
}

/// The fields that are not the same.
fn fields(prefix: &str, (a, b): (&Settings, &Settings), found: &mut Vec<Difference>) {
    let value = |side: &Settings, key: &str| side.get(key).cloned().unwrap_or_else(|| ABSENT.into());
    let all = keys(a, b).into_iter().map(|key| Difference {
        what: format!("{prefix}{key}"),
        first: value(a, key),
        second: value(b, key),
    });
    found.extend(all.filter(|difference| difference.first != difference.second));
}

/// A difference of some detectors, with the models and detectors that it holds for.
type Shared = (Difference, Vec<(String, String)>);

/// Detectors of the models that both have.
fn detectors(a: &BTreeMap<String, Named>, b: &BTreeMap<String, Named>, found: &mut Vec<Difference>) {
    let (mut options, mut lone): (Vec<Shared>, Vec<Shared>) = (vec![], vec![]);
    let mut count = 0;
    let add = |shared: &mut Vec<Shared>, difference: Difference, place: (&String, &String)| {
        let place = (place.0.clone(), place.1.clone());
        match shared.iter_mut().find(|(known, _)| *known == difference) {
            Some((_, places)) => places.push(place),
            None => shared.push((difference, vec![place])),
        }
    };
    for (model, of_a) in a {
        let Some(of_b) = b.get(model) else { continue };
        for label in keys(of_a, of_b) {
            match (of_a.get(label), of_b.get(label)) {
                (Some(own), Some(other)) => {
                    count += 1;
                    let mut differences = vec![];
                    fields("", (own, other), &mut differences);
                    differences.into_iter().for_each(|difference| add(&mut options, difference, (model, label)));
                }
                (one, _) => add(&mut lone, only_one(format!("detector {label}"), one.is_some()), (model, label)),
            }
        }
    }
    let models = a.keys().filter(|model| b.contains_key(*model)).count();
    found.extend(lone.into_iter().map(|(difference, places)| {
        let of =
            if places.len() == models { String::new() } else { format!(" of {}", list(&places, |place| &place.0)) };
        Difference { what: format!("{}{of}", difference.what), ..difference }
    }));
    found.extend(options.into_iter().map(|(difference, places)| {
        let place = |place: &(String, String)| format!("{}, {}", place.0, place.1);
        let of = if places.len() == count && count > 1 {
            "all detectors".to_owned()
        } else {
            places.iter().map(place).collect::<Vec<_>>().join("; ")
        };
        Difference { what: format!("{} ({of})", difference.what), ..difference }
    }));
}

fn list(places: &[(String, String)], name: impl Fn(&(String, String)) -> &String) -> String {
    places.iter().map(|place| name(place).as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{DetectorRecord, GammasRecord, ModelRecord};

    fn detector(label: &str, norm: f64) -> DetectorRecord {
        let gammas = Some(GammasRecord { cosine: 1.0, norm });
        DetectorRecord { label: label.into(), gammas, protocol: None, scores: None }
    }

    fn manifest(sources: &[&str], detectors: &[DetectorRecord]) -> Manifest {
        let model = |source: &&str| ModelRecord {
            source: (*source).into(),
            fingerprint: "f".into(),
            weights: crate::manifest::Weights::Unmarked,
            parameterization: "epsilon".into(),
            latent_shape: (4, 8, 8),
            detectors: detectors.to_vec(),
            prompts: crate::manifest::PromptCounts::default(),
            cost: crate::RunCost::default(),
            planned: crate::RunCost::default(),
        };
        Manifest { models: sources.iter().map(model).collect(), ..Manifest::default() }
    }

    fn told(a: &Manifest, b: &Manifest) -> Vec<String> {
        let told = |d: Difference| format!("{}: {} | {}", d.what, d.first, d.second);
        differing_settings(a, b).into_iter().map(told).collect()
    }

    #[test]
    fn detectors_are_matched_by_name_and_not_by_place() {
        let a = manifest(&["x", "y"], &[detector("A", 1.0), detector("B", 2.0)]);
        let b = manifest(&["y", "x"], &[detector("C", 7.0), detector("B", 2.0), detector("A", 1.0)]);
        assert_eq!(told(&a, &b), ["detector C: absent | present"]);
    }

    #[test]
    fn what_differs_alike_is_told_once() {
        let a = manifest(&["x", "y"], &[detector("A", 1.0), detector("B", 1.0)]);
        let b = manifest(&["x", "y"], &[detector("A", 3.0), detector("B", 3.0)]);
        assert_eq!(told(&a, &b), ["gammas.norm (all detectors): 1.0 | 3.0"]);
        let b = manifest(&["x", "y"], &[detector("A", 1.0), detector("B", 3.0)]);
        assert_eq!(told(&a, &b), ["gammas.norm (x, B; y, B): 1.0 | 3.0"]);
        let b = manifest(&["x"], &[detector("A", 1.0), detector("B", 1.0)]);
        assert_eq!(told(&a, &b), ["model y: present | absent"]);
    }

    #[test]
    fn one_model_each_is_compared_whatever_it_is() {
        let (a, b) = (manifest(&["x"], &[detector("A", 1.0)]), manifest(&["y"], &[detector("A", 1.0)]));
        assert_eq!(told(&a, &b), ["model: source: \"x\" | \"y\""]);
    }

    #[test]
    fn entries_of_the_experiment_have_names_and_words_do_not_count() {
        let settings = |rows: &[(&str, &str)]| rows.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let a = settings(&[
            ("title", "a"),
            ("detectors.0.name", "\"wen\""),
            ("detectors.0.seeds.0", "42"),
            ("tables.0", "x"),
        ]);
        let b = settings(&[("title", "b"), ("detectors.0.name", "\"ren\""), ("detectors.1.name", "\"wen\"")]);
        let manifest = |settings| Manifest { settings, ..Manifest::default() };
        assert_eq!(told(&manifest(a), &manifest(b)), ["detector wen: seeds.0: 42 | absent"]);
    }
}
