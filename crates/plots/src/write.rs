//! The figures of a run, with their numbers beside them.

use memscope_results::{
    Error as ResultsError, OpenRun,
    figures::{FORMAT, FigureData, FigureFile},
};

use crate::{Error, Figure, Theme, figure::check_name};

/// Writes NAME.svg, NAME.png, NAME-dark.svg, and the numbers as NAME.json and NAME.csv, for every figure of a run;
/// `command` makes them again.
///
/// # Errors
/// As [`Figure::svg`], [`Error::Name`], and where the folder does not take a file.
pub fn write_figures(figures: &[FigureData], run: &mut OpenRun, command: &str) -> Result<(), Error> {
    let folder = run.folder().figures();
    for figure in figures {
        let name = figure.name();
        check_name(name)?;
        // Drawn first: what cannot be drawn leaves no numbers behind, either.
        let light = figure.svg(Theme::Light)?.into_bytes();
        let files = [
            ("-dark.svg", figure.svg(Theme::Dark)?.into_bytes()),
            (".svg", light),
            (".png", figure.png(Theme::Light, 2)?),
            (".csv", figure.csv().into_bytes()),
            (".json", json(figure, command)?),
        ];
        for (ending, bytes) in files {
            run.write(&folder.join(format!("{name}{ending}")), &bytes)?;
        }
    }
    Ok(())
}

fn json(figure: &FigureData, command: &str) -> Result<Vec<u8>, Error> {
    let file = FigureFile { format: FORMAT, command: command.to_owned(), figure: figure.clone() };
    serde_json::to_vec(&file).map_err(|error| {
        let path = format!("{}.json", figure.name()).into();
        Error::Results(ResultsError::Damaged { path, reason: error.to_string() })
    })
}
