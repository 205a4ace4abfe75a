//! Tables about graded truth and ranks, over made-up scores whose statistics are known.

use memscope_eval::{
    prompts::{KnownPrompt, Reproduction},
    report::tables::{ModelHyperparameters, ModelScores},
    score::{DetectorScores, GradedScores, SeedScores},
    spec::{DetectorEntry, DetectorName, ReportSettings, TableKind},
};
use memscope_metric::Score;
use memscope_results::{ResultTable, table::CellValue};

const SEEDS: [u64; 2] = [42, 51];

/// A prompt whose four draws of each seed have these outcomes.
fn prompt(name: &str, outcomes: [u8; 8]) -> KnownPrompt {
    let rate = f64::from(outcomes.iter().sum::<u8>()) / 8.0;
    KnownPrompt {
        verified: Some(rate > 0.9),
        reproduction: Some(Reproduction {
            rate,
            interval: (0.0, 1.0),
            seeds: SEEDS.to_vec(),
            generations: 4,
            outcomes: outcomes.to_vec(),
        }),
        ..KnownPrompt::new(name, "verbatim")
    }
}

fn prompts() -> Vec<KnownPrompt> {
    vec![
        prompt("never", [0; 8]),
        prompt("half", [1, 0, 1, 0, 1, 1, 0, 0]),
        prompt("mostly", [1, 1, 0, 1, 1, 1, 1, 0]),
        prompt("always", [1; 8]),
    ]
}

/// Scores that a function of prompt, seed and generation gives; with several generations, their mean.
fn graded(detector: DetectorName, score: impl Fn(usize, u64, usize) -> f64) -> GradedScores {
    let count = prompts().len();
    let draw = |seed, generation| (0..count).map(|at| score(at, seed, generation)).collect::<Vec<_>>();
    let several = |n: usize| {
        let mean = |at, seed| (0..n).map(|g| score(at, seed, g)).sum::<f64>() / n as f64;
        (n, SEEDS.iter().map(|seed| (0..count).map(|at| mean(at, *seed)).collect()).collect())
    };
    GradedScores {
        detector: DetectorEntry::from(detector),
        seeds: SEEDS.to_vec(),
        by_generations: vec![several(1), several(4)],
        draws: SEEDS.iter().map(|seed| (0..4).map(|generation| draw(*seed, generation)).collect()).collect(),
    }
}

fn model(graded: Vec<GradedScores>, detectors: Vec<DetectorScores>) -> ModelScores {
    ModelScores {
        model: "made up".into(),
        paper: None,
        memorized: vec![],
        non_memorized: vec![],
        graded_prompts: prompts(),
        detectors,
        graded,
        mitigation: None,
        hyperparameters: ModelHyperparameters { gammas: vec![], seeds: SEEDS.to_vec() },
        analyses: vec![],
        latent_shape: (4, 8, 8),
        sigmas: vec![],
    }
}

fn build(kind: TableKind, model: ModelScores) -> ResultTable {
    let report =
        ReportSettings { generations: vec![1, 4], target_fpr: 0.25, resamples: 400, ..ReportSettings::default() };
    kind.build("made-up", "Made up", &[model], &report).unwrap()
}

fn number(table: &ResultTable, row: usize, key: &str) -> f64 {
    table.cell(row, key).unwrap().value.number().unwrap_or_else(|| panic!("row {row} has no {key}"))
}

fn text(table: &ResultTable, row: usize, key: &str) -> String {
    table.cell(row, key).unwrap().value.plain()
}

fn outcome(at: usize, seed: u64, generation: usize) -> f64 {
    let known = prompts()[at].reproduction.clone().unwrap();
    f64::from(u8::from(known.outcome(seed, generation).unwrap()))
}

#[test]
fn scores_that_follow_the_rate_correlate_with_it() {
    let up = graded(DetectorName::Wen, |at, _, _| at as f64);
    let down = graded(DetectorName::Jeon, |at, _, _| -(at as f64));
    let table = build(TableKind::Reproduction, model(vec![up, down], vec![]));
    for (row, expected) in [(0, 1.0), (1, -1.0), (2, 1.0), (3, -1.0)] {
        assert!((number(&table, row, "spearman") - expected).abs() < 1e-12);
        assert!((number(&table, row, "kendall") - expected).abs() < 1e-12);
        assert_eq!(number(&table, row, "prompts"), 4.0);
    }
}

#[test]
fn draws_are_told_apart_within_prompts_only_by_their_latent() {
    // One score knows every draw; the other knows the prompt only.
    let knows = graded(DetectorName::Wen, outcome);
    let prompt_only = graded(DetectorName::Jeon, |at, _, _| at as f64);
    let table = build(TableKind::PerDraw, model(vec![knows, prompt_only], vec![]));
    // "never" and "always" are left out: two prompts of eight draws.
    assert_eq!((number(&table, 0, "prompts"), number(&table, 0, "draws")), (2.0, 16.0));
    assert_eq!(number(&table, 0, "copies"), 10.0);
    assert_eq!((number(&table, 0, "all"), number(&table, 0, "within")), (1.0, 1.0));
    // 4 of 8 draws of one prompt and 6 of 8 of the other are copies: of the 60 pairs, those between the prompts that the
    // higher score wins are 6 · 4 = 24, those it loses 4 · 2 = 8, and 16 + 12 pairs within are ties.
    let expected = (24.0 + 0.5 * (16.0 + 12.0)) / 60.0;
    assert!((number(&table, 1, "all") - expected).abs() < 1e-12);
    assert_eq!(number(&table, 1, "within"), 0.5);
    // n = 4: each seed's share of copies against the mean of its four scores.
    assert_eq!((number(&table, 2, "draws"), number(&table, 2, "copies")), (16.0, 10.0));
    assert_eq!(number(&table, 2, "all"), 1.0);
}

#[test]
fn prompts_without_varying_outcome_have_no_concordance() {
    let mut model = model(vec![graded(DetectorName::Wen, |_, _, _| 0.0)], vec![]);
    model.graded_prompts[1] = prompt("never", [0; 8]);
    model.graded_prompts[2] = prompt("never", [0; 8]);
    let table = build(TableKind::PerDraw, model);
    assert!(matches!(table.cell(0, "all").unwrap().value, CellValue::Missing { .. }));
}

/// A detector whose memorized scores lie `shift` above the others.
fn detector(name: DetectorName, shift: f64) -> DetectorScores {
    let score = |value| Score { value, parts: vec![] };
    let spread = |at: usize| (at as f64 * 7.3).sin();
    let run = |seed| SeedScores {
        seed,
        memorized: (0..40).map(|at| score(spread(at) + shift)).collect(),
        non_memorized: (0..40).map(|at| score(spread(at + 3))).collect(),
    };
    DetectorScores { detector: name.into(), generations: 1, runs: SEEDS.map(run).to_vec() }
}

#[test]
fn ranks_are_shared_where_detectors_cannot_be_told_apart() {
    let detectors =
        vec![detector(DetectorName::Ren, 0.0), detector(DetectorName::Wen, 1.5), detector(DetectorName::Jeon, 1.5001)];
    let table = build(TableKind::Ranks, model(vec![], detectors));
    let row = |name: &str| (0..3).find(|row| text(&table, *row, "method").contains(name)).unwrap();
    for equal in ["Wen", "Jeon"] {
        assert_eq!(text(&table, row(equal), "auc_ranks"), "1 to 2");
        assert_eq!(text(&table, row(equal), "auc_apart"), "1 of 2");
    }
    assert_eq!(row("Ren"), 2, "rows are sorted by AUC");
    assert_eq!((text(&table, 2, "auc_ranks"), text(&table, 2, "auc_apart")), ("3".to_owned(), "2 of 2".to_owned()));
}
