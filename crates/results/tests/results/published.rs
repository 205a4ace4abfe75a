//! The paper's numbers, spot-checked, and the footnotes where they cannot be taken literally.

use memscope_results::paper::{Component, CosinePair, Gammas, Method, Model, Normalization, PaperCell, paper};
use memscope_results::table::{CellValue, Column, ColumnKind, ResultTable};

const MODELS: [Model; 2] = [Model::Sd14, Model::Sd20];
const METHODS: [Method; 4] = [Method::Ren, Method::Wen, Method::Jeon, Method::Ours];
const PAIRS: [CosinePair; 3] =
    [CosinePair::UnconditionalConditional, CosinePair::ConditionalDifference, CosinePair::UnconditionalDifference];
const COMPONENTS: [Component; 3] = [Component::Norm, Component::Cosine, Component::Combined];

/// Every cell of Tables 1 to 4 and 7 with its model.
fn cells() -> Vec<(Model, PaperCell<'static>)> {
    let paper = paper();
    let mut cells = Vec::new();
    for model in MODELS {
        let mut found = Vec::new();
        for n in [1, 4] {
            found.extend(METHODS.map(|method| paper.table1(model, n, method)));
            found.extend(PAIRS.map(|pair| paper.table2(model, n, pair)));
            found.extend(COMPONENTS.map(|component| paper.table3(model, n, component)));
            found.extend([Gammas::Table5, Gammas::Ones].map(|gammas| paper.table7(model, n, gammas)));
        }
        let normalizations = [Normalization::L1, Normalization::L2, Normalization::SpatialL2];
        found.extend(normalizations.map(|normalization| paper.table4_normalization(model, normalization)));
        found.extend([1, 21, 41].map(|t_cos| paper.table4_timestep(model, t_cos)));
        cells.extend(found.into_iter().map(|cell| (model, cell.expect("every combination is printed"))));
    }
    cells
}

#[test]
fn table_1() {
    let ours = paper().table1(Model::Sd20, 1, Method::Ours).expect("printed");
    assert_eq!((ours.auc.value, ours.auc.std), (0.953, Some(0.016)));
    assert_eq!((ours.tpr1.value, ours.tpr1.std), (0.791, Some(0.015)));
    assert_eq!((ours.auc.source, ours.auc.quoted), ("Table 1", false));
    let time = ours.time_s.expect("printed");
    assert_eq!((time.value, time.decimals), (2.2, 2));

    let jeon = paper().table1(Model::Sd14, 4, Method::Jeon).expect("printed");
    assert_eq!((jeon.auc.value, jeon.auc.std, jeon.auc.quoted), (0.998, None, true));
    assert!(!jeon.time_s.expect("printed").quoted, "the times are the paper's own");
    assert_eq!(paper().table1(Model::Rv51, 1, Method::Ours), None);
    assert_eq!(paper().table1(Model::Sd14, 2, Method::Ours), None);
}

#[test]
fn only_other_methods_in_table_1_are_quoted() {
    for model in MODELS {
        for (n, method) in [1, 4].into_iter().flat_map(|n| METHODS.map(|method| (n, method))) {
            let cell = paper().table1(model, n, method).expect("printed");
            assert_eq!(cell.tpr1.quoted, method != Method::Ours);
            assert_eq!(cell.tpr1.std.is_some(), method == Method::Ours);
        }
    }
    let quoted = cells().iter().filter(|(_, cell)| cell.auc.quoted || cell.tpr1.quoted).count();
    assert_eq!(quoted, 12);
}

#[test]
fn other_tables() {
    let paper = paper();
    let pair = paper.table2(Model::Sd14, 1, CosinePair::UnconditionalConditional).expect("printed");
    assert_eq!((pair.auc.value, pair.tpr1.value, pair.time_s), (0.980, 0.908, None));
    let norm = paper.table3(Model::Sd14, 4, Component::Norm).expect("printed");
    assert_eq!((norm.auc.value, norm.tpr1.value), (0.992, 0.944));
    let l1 = paper.table4_normalization(Model::Sd20, Normalization::L1).expect("printed");
    assert_eq!((l1.auc.value, l1.tpr1.value, l1.auc.source), (0.937, 0.804, "Table 4"));
    let late = paper.table4_timestep(Model::Sd20, 41).expect("printed");
    assert_eq!((late.auc.value, late.tpr1.value), (0.933, 0.805));
    let gammas = paper.table5(Model::Sd14).expect("printed");
    assert_eq!((gammas.gamma_cos, gammas.gamma_norm, gammas.seed), (2.0, 1.0, 42));
    let config = paper.table6(Model::Sd14, 5).expect("printed");
    assert_eq!((config.lr, config.iterations, config.target_loss), (0.03, 1, -0.2));
    assert_eq!(paper.table6(Model::Sd20, 6), None);
    let ones = paper.table7(Model::Sd20, 1, Gammas::Ones).expect("printed");
    assert_eq!((ones.auc.value, ones.tpr1.value), (0.949, 0.721));
    let rv = paper.table8(4).expect("printed");
    assert_eq!((rv.tpr1.value, rv.tpr1.std), (0.756, Some(0.004)));
    assert_eq!(rv.tpr1.footnotes.len(), 1);
    assert!((paper.figure2_isotropy().value - 0.166).abs() < 1e-12);
    assert!((paper.figure2_anisotropy().value - 0.022).abs() < 1e-12);
    assert!((paper.figure2_clip() - 2.0).abs() < 1e-12);
}

#[test]
fn every_rate_of_a_single_run_is_a_count_or_has_a_footnote() {
    let thousandths = |value: f64| (value * 1000.0).round() as i64;
    let mut unexplained = Vec::new();
    for (model, cell) in cells() {
        let positives = if model == Model::Sd14 { 500 } else { 219 };
        let printed = thousandths(cell.tpr1.value);
        let reachable = (0..=positives).any(|count| thousandths(f64::from(count) / f64::from(positives)) == printed);
        if cell.tpr1.std.is_none() && !reachable {
            assert!(!cell.tpr1.footnotes.is_empty(), "{model} {} needs a footnote", cell.tpr1.value);
            unexplained.push(printed);
        }
    }
    unexplained.sort_unstable();
    // Twice each: Wen's row of Table 1 and the norm of Table 3.
    assert_eq!(unexplained, [401, 739, 739, 794, 800, 805, 806, 876, 876]);
}

#[test]
fn the_speed_claims_follow_from_table_1_to_the_last_digit_or_so() {
    for (model, n) in [(Model::Sd14, 1), (Model::Sd14, 4), (Model::Sd20, 1), (Model::Sd20, 4)] {
        let seconds = |method| paper().table1(model, n, method).expect("printed").time_s.expect("printed").value;
        let claim = paper().speedup_over_jeon(model, n).expect("printed");
        let ratio = seconds(Method::Jeon) / seconds(Method::Ours);
        assert!((claim.value - ratio).abs() < 0.01);
        let rounds = (claim.value - ratio).abs() <= 0.005;
        assert_eq!(rounds, claim.footnotes.is_empty(), "{model} n = {n}");
    }
}

#[test]
fn a_number_takes_its_footnotes_into_a_table() {
    let column = Column::new("tpr1", "TPR", ColumnKind::Paper);
    let mut table = ResultTable::new("t", "T", vec![column]).expect("valid");
    let number = paper().table1(Model::Sd20, 1, Method::Wen).expect("printed").tpr1;
    let cell = number.cell(&mut table);
    assert_eq!(cell.notes.len(), 1);
    assert!(table.footnotes()[0].contains("cut off"));
    let CellValue::Paper { value, quoted, .. } = cell.value else { panic!("not a published number") };
    assert_eq!((value, quoted), (0.739, true));
}
