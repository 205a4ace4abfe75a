use thiserror::Error;

/// Why a report could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A row does not have one cell per column.
    #[error("table `{table}`, row {row}: {found} cells for {expected} columns")]
    RowWidth {
        /// Name of the table.
        table: String,
        /// Row, from 0.
        row: usize,
        /// Number of columns.
        expected: usize,
        /// Number of cells.
        found: usize,
    },
    /// The prompts could not be written as JSON.
    #[error("the prompts of the report could not be written")]
    Prompts(#[source] serde_json::Error),
    /// The template engine failed.
    #[error("report could not be rendered")]
    Render(#[from] askama::Error),
}
