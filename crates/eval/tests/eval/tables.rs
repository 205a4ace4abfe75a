//! Tables over made-up scores whose statistics are known.

use memscope_eval::{
    prompts::KnownPrompt,
    report::tables::{ModelHyperparameters, ModelScores},
    score::{DetectorScores, SeedScores},
    spec::{DetectorEntry, DetectorName, FitSettings, ReportSettings, TableKind},
};
use memscope_metric::{Gammas, Score};
use memscope_results::{
    ResultTable,
    paper::{Method, Model, paper},
    table::CellValue,
};

fn prompts(set: &str, weights: &[Option<f64>]) -> Vec<KnownPrompt> {
    let known = |(i, weight): (usize, &Option<f64>)| KnownPrompt {
        weight: *weight,
        verified: weight.map(|weight| weight > 1.0),
        ..KnownPrompt::new(format!("{set} {i}"), set)
    };
    weights.iter().enumerate().map(known).collect()
}

fn score((norm, cosine): (f64, f64)) -> Score {
    Score { value: norm + cosine, parts: vec![("norm", norm), ("cosine", cosine)] }
}

/// Verbatim prompts of weight 48 stand above all others, those of weight 1 below, templates in between.
fn model() -> ModelScores {
    let mut memorized = prompts("verbatim", &[Some(48.0), Some(1.0), Some(48.0), Some(1.0)]);
    memorized.extend(prompts("template", &[Some(48.0), Some(48.0)]));
    let mut others = prompts("general", &[None; 4]);
    others.extend(prompts("unseen", &[None; 4]));
    let run = |seed| SeedScores {
        seed,
        memorized: [9.0, 0.0, 9.5, 0.5, 4.0, 6.0].map(|x| score((x, x / 10.0))).to_vec(),
        non_memorized: [1.0, 2.0, 3.0, 5.0, 1.5, 2.5, 3.5, 4.5].map(|x| score((x, -x / 10.0))).to_vec(),
    };
    ModelScores {
        model: "made up".into(),
        paper: Some(Model::Sd14),
        memorized,
        non_memorized: others,
        detectors: vec![DetectorScores {
            detector: DetectorName::Anisotropy.into(),
            generations: 1,
            runs: vec![run(1), run(2)],
        }],
        hyperparameters: ModelHyperparameters {
            gammas: vec![("M".into(), Gammas { cosine: 2.0, norm: 1.0 })],
            seeds: vec![1, 2],
        },
        graded_prompts: vec![],
        graded: vec![],
        analyses: vec![],
        mitigation: None,
        latent_shape: (4, 8, 8),
        sigmas: vec![],
    }
}

fn build(kind: TableKind, report: &ReportSettings) -> ResultTable {
    kind.build("made-up", "Made up", &[model()], report).unwrap()
}

fn report() -> ReportSettings {
    ReportSettings { generations: vec![1], target_fpr: 0.25, resamples: 50, ..ReportSettings::default() }
}

fn number(table: &ResultTable, row: usize, key: &str) -> f64 {
    table.cell(row, key).unwrap().value.number().unwrap()
}

fn text(table: &ResultTable, row: usize, key: &str) -> String {
    match &table.cell(row, key).unwrap().value {
        CellValue::Text { text } => text.clone(),
        other => panic!("{key} holds {other:?}"),
    }
}

#[test]
fn sets_are_told_apart_pair_by_pair() {
    let table = build(TableKind::BySet, &report());
    let pairs: Vec<(String, String)> =
        (0..4).map(|row| (text(&table, row, "memorized"), text(&table, row, "non_memorized"))).collect();
    let named = |m: &str, o: &str| (m.to_owned(), o.to_owned());
    assert_eq!(
        pairs,
        [
            named("verbatim", "general"),
            named("verbatim", "unseen"),
            named("template", "general"),
            named("template", "unseen")
        ]
    );
    // Two of four verbatim prompts beat all; templates 4.4 and 6.6 beat {.9, 1.8, 2.7} and {.9, 1.8, 2.7, 4.5}.
    assert_eq!(number(&table, 0, "auc"), 0.5);
    assert_eq!(number(&table, 2, "auc"), 7.0 / 8.0);
    assert_eq!(number(&table, 2, "memorized_count"), 2.0);
}

#[test]
fn doses_are_sorted_and_templates_kept_apart() {
    let table = build(TableKind::ByWeight, &report());
    assert_eq!(table.rows().len(), 3);
    let row = |i| (text(&table, i, "memorized"), number(&table, i, "weight"), number(&table, i, "auc"));
    assert_eq!(row(0), ("verbatim".into(), 1.0, 0.0));
    assert_eq!(row(1), ("verbatim".into(), 48.0, 1.0));
    assert_eq!(row(2).0, "template");
    assert_eq!((number(&table, 0, "verified"), number(&table, 1, "verified")), (0.0, 2.0));
    assert_eq!((number(&table, 0, "share"), number(&table, 1, "count")), (1.0, 2.0));
}

#[test]
fn a_picture_among_others_is_a_dose_of_its_own() {
    let mut model = model();
    let seldom = model.memorized.iter_mut().find(|prompt| prompt.weight == Some(48.0)).unwrap();
    seldom.share = Some(0.5);
    let table = TableKind::ByWeight.build("x", "x", &[model], &report()).unwrap();
    let row = |i| (number(&table, i, "share"), number(&table, i, "weight"), number(&table, i, "count"));
    assert_eq!([row(0), row(1), row(2)], [(1.0, 1.0, 2.0), (1.0, 48.0, 1.0), (0.5, 48.0, 1.0)]);
}

#[test]
fn weights_are_fitted_on_some_prompts_and_judged_on_others() {
    let fit = FitSettings { prompts: 3, splits: 5, seed: 0 };
    let table = build(TableKind::GammaFit, &ReportSettings { fit, ..report() });
    assert_eq!(table.rows().len(), 1);
    // The cosine alone separates the classes, so every fit gives it a positive weight.
    let CellValue::Measured { value, std, .. } = table.cell(0, "auc").unwrap().value else { panic!() };
    assert!((0.5..=1.0).contains(&value), "{value}");
    assert!(std.is_some(), "10 fits have a spread");
    let too_many = ReportSettings { fit: FitSettings { prompts: 6, ..fit }, ..report() };
    let error = TableKind::GammaFit.build("x", "x", &[model()], &too_many).unwrap_err().to_string();
    assert!(error.contains("leave none of 6"), "{error}");
}

#[test]
fn hyper_parameters_stand_beside_the_papers() {
    let table = build(TableKind::Hyperparameters, &report());
    assert_eq!((number(&table, 0, "gamma_cos"), number(&table, 0, "paper_gamma_cos")), (2.0, 2.0));
    let table = build(TableKind::MitigationHyperparameters, &report());
    assert_eq!(table.rows().len(), 5);
    assert_eq!(number(&table, 0, "iterations"), f64::from(paper().table6(Model::Sd14, 1).unwrap().iterations));
}

#[test]
fn a_row_of_the_paper_follows_the_entry() {
    let mut model = model();
    let entry = |paper| DetectorEntry::from(DetectorName::Anisotropy).with_paper_row(paper);
    let cell = |model: &ModelScores| {
        let table = TableKind::Detection.build("x", "x", std::slice::from_ref(model), &report()).unwrap();
        number(&table, 0, "paper_auc")
    };
    assert_eq!(cell(&model), paper().table1(Model::Sd14, 1, Method::Ours).unwrap().auc.value);
    model.detectors[0].detector =
        serde_json::from_str(r#"{"name": "anisotropy", "gammas": {"cosine": 1, "norm": 0}}"#).unwrap();
    assert_eq!(model.detectors[0].detector.paper_row(), None, "a variant is not the published method");
    model.detectors[0].detector = entry(Some(memscope_results::paper::PaperRow::Table4Timestep(41)));
    assert_eq!(cell(&model), 0.985);
}
