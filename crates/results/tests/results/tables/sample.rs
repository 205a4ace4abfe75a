//! Tables to write.

use memscope_results::paper::{Method, Model, paper};
use memscope_results::stats::{Ddof, Interval, Summary};
use memscope_results::table::{Cell, Column, ColumnKind, ResultTable};

/// Every kind of cell, footnotes, marks, and text that each format must escape.
pub(crate) fn table() -> ResultTable {
    let mut table = ResultTable::new(
        "table1",
        "Detection: 50 % of it & more",
        vec![
            Column::new("method", "Method", ColumnKind::Text),
            Column::new("n", "n", ColumnKind::Integer),
            Column::new("auc", "AUC", ColumnKind::Measured),
            Column::new("auc_paper", "AUC, paper", ColumnKind::Paper),
            Column::new("bias", "Bias", ColumnKind::Number),
            Column::new("time", "Time", ColumnKind::Measured).with_unit("s"),
        ],
    )
    .expect("valid columns");
    table.set_provenance("model", "embedded:emoji-eps");
    table.set_provenance("dtype", "f16");
    table.set_provenance("weights_sha256", "0f_1e");
    table.set_provenance("dtype", "f32");

    let summary = Summary::of(&[0.990, 0.994, 0.998], Ddof::Sample).expect("finite");
    let interval = Interval { low: 0.9871, high: 0.9979 };
    let published =
        |method, table: &mut ResultTable| paper().table1(Model::Sd20, 1, method).expect("in Table 1").tpr1.cell(table);
    let single = Summary::of(&[1.25], Ddof::Sample).expect("finite");
    let few = table.footnote("only 90 negatives: 1 % FPR is less than one of them");
    let ours = published(Method::Ours, &mut table);
    let wen = published(Method::Wen, &mut table);
    table
        .push_row(vec![
            Cell::text("M"),
            Cell::integer(4),
            Cell::measured(summary, Some(interval), 3).with_note(few),
            ours,
            Cell::number(-0.5, 2),
            Cell::measured(single, None, 2),
        ])
        .expect("fits");
    table
        .push_row(vec![
            Cell::text("a|b, \"c\"\n\\d* `e` [f](g) <b>$x_1$</b> ~^#%{} -- it''s"),
            Cell::integer(-1),
            Cell::missing("not run"),
            wen,
            Cell::number(f64::NAN, 2),
            Cell::missing("not run"),
        ])
        .expect("fits");
    table
        .push_row(vec![
            Cell::text("[日本語 😀 é] *\u{1b}[31mred"),
            Cell::integer(0),
            Cell::measured(single, None, 3),
            Cell::missing("not in the paper"),
            Cell::number(-0.0001, 2),
            Cell::number(12.0, 1),
        ])
        .expect("fits");
    table
}

/// No rows, notes or provenance.
pub(crate) fn empty() -> ResultTable {
    ResultTable::new("empty", "Nothing", vec![Column::new("a", "A", ColumnKind::Text)]).expect("valid columns")
}
