//! What can be wrong with a table.

use thiserror::Error;

use super::column::ColumnKind;

/// Why a table or a row was refused. Rows count from 0.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TableError {
    // The table.
    /// The name does not do as a file stem.
    #[error("table name {name:?} is not made of letters, digits, '_', '-' and '.' or starts with a dot")]
    BadName {
        /// The name.
        name: String,
    },
    /// No columns.
    #[error("table {table}: no columns")]
    NoColumns {
        /// Name of the table.
        table: String,
    },
    /// A column key that is no identifier.
    #[error("table {table}: column key {key:?} is not made of lower-case letters, digits and '_'")]
    BadKey {
        /// Name of the table.
        table: String,
        /// The key.
        key: String,
    },
    /// Two columns share a field, counting those that CSV derives (`auc_std` and so on).
    #[error("table {table}: field {key:?} occurs twice")]
    DuplicateKey {
        /// Name of the table.
        table: String,
        /// The field.
        key: String,
    },

    // A row.
    /// A row has not one cell per column.
    #[error("table {table}, row {row}: {found} cells for {expected} columns")]
    RowWidth {
        /// Name of the table.
        table: String,
        /// Position of the row.
        row: usize,
        /// Columns of the table.
        expected: usize,
        /// Cells of the row.
        found: usize,
    },
    /// A cell does not fit its column.
    #[error("table {table}, row {row}, column {column}: a {found} cell in a column of kind {expected}")]
    CellKind {
        /// Name of the table.
        table: String,
        /// Position of the row.
        row: usize,
        /// Key of the column.
        column: String,
        /// Kind of the column.
        expected: ColumnKind,
        /// Kind of the cell.
        found: &'static str,
    },
    /// A column is asked for that the table does not have.
    #[error("table {table} has no column {key}; it has {}", known.join(", "))]
    NoColumn {
        /// Name of the table.
        table: String,
        /// The key.
        key: String,
        /// The keys there are.
        known: Vec<String>,
    },
    /// A cell refers to a footnote that the table does not have.
    #[error("table {table}, row {row}, column {column}: there is no footnote {index}")]
    NoFootnote {
        /// Name of the table.
        table: String,
        /// Position of the row.
        row: usize,
        /// Key of the column.
        column: String,
        /// Position of the footnote.
        index: usize,
    },
}
