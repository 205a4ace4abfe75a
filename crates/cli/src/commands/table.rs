use memscope_results::{ResultTable, compare::TABLE_LIMIT, export::Format, files};

use crate::{
    args::Table,
    exit_code::UserError,
    output::{print_data, print_table},
};

/// `memscope table`.
pub(crate) fn run(args: &Table) -> anyhow::Result<()> {
    let table: ResultTable = files::read_json(&args.file, TABLE_LIMIT)?;
    let table = if args.columns.is_empty() {
        table
    } else {
        table.select(&args.columns).map_err(|e| UserError::input(e.to_string()))?
    };
    if args.format == Format::Text {
        return print_table(&table);
    }
    let mut text = vec![];
    args.format.exporter().write(&table, &mut text)?;
    print_data(&text)
}
