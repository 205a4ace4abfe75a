//! Parquet, by polars. Its reader may panic on damaged files; that ends here.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
};

use polars::prelude::{ArrowDataType, Column as Series, DataType, ParquetReader, PolarsResult, SerReader};

use crate::{
    cells::{Cell, Cells},
    error::{Error, Result},
    parquet_pages,
    table::{Column, Columns, Table, is_alike},
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
    contain(|| read_contained(file, handle, columns)).ok_or_else(|| damaged_file(file))?
}

fn damaged_file(file: &str) -> Error {
    Error::form(file, "is not a Parquet file that can be read; write it again, or use CSV")
}

fn read_contained(file: &str, handle: File, columns: Columns) -> Result<Table> {
    let damaged = |_| damaged_file(file);
    let pages = handle.try_clone();
    let mut reader = ParquetReader::new(handle);
    let rows = reader.num_rows().map_err(damaged)?;
    if rows > MOST_ROWS {
        return Err(Error::form(file, format!("says it has {rows} rows; at most {MOST_ROWS} are read")));
    }
    let schema = reader.schema().map_err(damaged)?;
    let wanted = |name: &str| match columns {
        Columns::All => true,
        Columns::Only(names) => names.iter().any(|wanted| is_alike(wanted, name)),
    };
    let (readable, other): (Vec<_>, Vec<_>) = schema.iter_values().partition(|field| is_readable(field.dtype()));
    let names: Vec<String> = readable.iter().map(|f| f.name.to_string()).filter(|name| wanted(name)).collect();
    if !pages.and_then(|file| parquet_pages::are_sound(&file, &names)).is_ok_and(|sound| sound) {
        return Err(damaged_file(file));
    }
    let all = readable.iter().map(|field| Column::new(&field.name, Cells::default()));
    let mut table = match names.is_empty() {
        // So that a message can say which there are.
        true => Table::new(file, all.collect()),
        false => {
            let frame = reader.with_columns(Some(names)).finish().map_err(damaged)?;
            let columns = frame.columns().iter().map(column).collect::<PolarsResult<Vec<_>>>();
            Table::new(file, columns.map_err(damaged)?)
        }
    };
    table.left_out = other.iter().map(|field| field.name.to_string()).collect();
    Ok(table)
}

/// Whether a column holds text, numbers, truth values or times. Decided by the file's own types, as polars panics on some of
/// those that it was built without.
fn is_readable(kind: &ArrowDataType) -> bool {
    use ArrowDataType as Kind;
    match kind {
        Kind::Dictionary(_, values, _) => is_readable(values),
        Kind::Boolean | Kind::Utf8 | Kind::LargeUtf8 | Kind::Utf8View => true,
        Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 => true,
        Kind::UInt8 | Kind::UInt16 | Kind::UInt32 | Kind::UInt64 => true,
        Kind::Float16 | Kind::Float32 | Kind::Float64 => true,
        Kind::Timestamp(..) | Kind::Date32 | Kind::Date64 | Kind::Time32(_) | Kind::Time64(_) | Kind::Duration(_) => {
            true
        }
        _ => false,
    }
}

/// The cells of a column: floats with all their digits, categories and times as text.
fn column(series: &Series) -> PolarsResult<Column> {
    let kind = series.dtype();
    let cells: Cells = if kind.is_float() {
        let wide = series.cast(&DataType::Float64)?;
        let mut cells = Cells::default();
        for value in wide.f64()?.iter() {
            match value {
                Some(value) => cells.push(Cell::Bare(&value.to_string())),
                None => cells.push(Cell::Empty),
            }
        }
        cells
    } else {
        let bare = kind.is_integer() || kind.is_bool();
        // Times of a zone and spans have no text of their own here: the time in UTC, and the number of units.
        let (plain, suffix) = match kind {
            DataType::Datetime(unit, Some(_)) => {
                (series.to_physical_repr().cast(&DataType::Datetime(*unit, None))?, " UTC".to_owned())
            }
            DataType::Duration(unit) => (series.to_physical_repr(), format!(" {unit}")),
            _ => (series.clone(), String::new()),
        };
        let text = plain.cast(&DataType::String)?;
        let mut cells = Cells::default();
        for text in text.str()?.iter() {
            match text {
                None | Some("") => cells.push(Cell::Empty),
                Some(text) if bare => cells.push(Cell::Bare(text)),
                Some(text) if suffix.is_empty() => cells.push(Cell::Text(text)),
                Some(text) => cells.push(Cell::Text(&format!("{text}{suffix}"))),
            }
        }
        cells
    };
    Ok(Column::new(series.name(), cells))
}
