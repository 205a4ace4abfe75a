//! Parquet, by polars. Its reader may panic on damaged files; that ends here.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
};

use polars::prelude::{Column as Series, DataType, ParquetReader, PolarsResult, SerReader};

use crate::{
    error::{Error, Result},
    table::{Cell, Column, Columns, Table},
};

/// Rows that are read at most.
const MOST_ROWS: usize = 20_000_000;

/// How many readings are under way whose panics are not the program's.
static CONTAINED: AtomicUsize = AtomicUsize::new(0);

/// Runs a reader; a panic in it becomes `None` and prints nothing.
fn contain<T>(read: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if CONTAINED.load(Ordering::SeqCst) == 0 {
                usual(info);
            }
        }));
    });
    CONTAINED.fetch_add(1, Ordering::SeqCst);
    let result = catch_unwind(AssertUnwindSafe(read));
    CONTAINED.fetch_sub(1, Ordering::SeqCst);
    result.ok()
}

pub(crate) fn read(file: &str, handle: File, columns: Columns) -> Result<Table> {
    let damaged = || Error::form(file, "is not a Parquet file that can be read; write it again, or use CSV");
    contain(|| read_contained(file, handle, columns)).ok_or_else(damaged)?
}

fn read_contained(file: &str, handle: File, columns: Columns) -> Result<Table> {
    let damaged = |_| Error::form(file, "is not a Parquet file that can be read; write it again, or use CSV");
    let mut reader = ParquetReader::new(handle);
    let rows = reader.num_rows().map_err(damaged)?;
    if rows > MOST_ROWS {
        return Err(Error::form(file, format!("says it has {rows} rows; at most {MOST_ROWS} are read")));
    }
    let schema = reader.schema().map_err(damaged)?;
    let wanted = |name: &str| match columns {
        Columns::All => true,
        Columns::Only(names) => names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)),
    };
    let (readable, nested): (Vec<_>, Vec<_>) =
        schema.iter_values().partition(|field| !is_nested(&DataType::from_arrow_field(field)));
    let names: Vec<String> = readable.iter().map(|f| f.name.to_string()).filter(|name| wanted(name)).collect();
    let all = readable.iter().map(|field| Column::new(&field.name, vec![]));
    let mut table = match names.is_empty() {
        // So that a message can say which there are.
        true => Table::new(file, all.collect()),
        false => {
            let frame = reader.with_columns(Some(names)).finish().map_err(damaged)?;
            let columns = frame.columns().iter().map(column).collect::<PolarsResult<Vec<_>>>();
            Table::new(file, columns.map_err(damaged)?)
        }
    };
    table.left_out = nested.iter().map(|field| field.name.to_string()).collect();
    Ok(table)
}

fn is_nested(kind: &DataType) -> bool {
    kind.is_nested() || matches!(kind, DataType::Binary | DataType::Null | DataType::Unknown(_))
}

/// The cells of a column: floats with all their digits, categories and times as text.
fn column(series: &Series) -> PolarsResult<Column> {
    let kind = series.dtype();
    let cells = if kind.is_float() {
        let wide = series.cast(&DataType::Float64)?;
        wide.f64()?.iter().map(|value| value.map_or(Cell::Empty, |value| Cell::Bare(value.to_string()))).collect()
    } else {
        let bare = kind.is_integer() || kind.is_bool();
        let text = series.cast(&DataType::String)?;
        let cell = |text: Option<&str>| match text {
            None | Some("") => Cell::Empty,
            Some(text) if bare => Cell::Bare(text.to_owned()),
            Some(text) => Cell::Text(text.to_owned()),
        };
        text.str()?.iter().map(cell).collect()
    };
    Ok(Column::new(series.name(), cells))
}
