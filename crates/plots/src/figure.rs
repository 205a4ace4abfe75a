//! What every figure can do.

use crate::{Error, Scene, Theme, render};
use memscope_results::{Error as ResultsError, figures::Meta, files};
use std::path::{Path, PathBuf};

/// A figure with checked input that can be drawn in any theme and format.
pub trait Figure {
    /// Name, alternative text and caption.
    fn meta(&self) -> &Meta;

    /// Checks the input and lays the figure out.
    ///
    /// # Errors
    /// [`Error`] with the figure and the field at fault, when the input cannot be drawn.
    fn scene(&self, theme: Theme) -> Result<Scene, Error>;

    /// File stem.
    fn name(&self) -> &str {
        &self.meta().name
    }

    /// One sentence for screen readers.
    fn alt(&self) -> &str {
        &self.meta().alt
    }

    /// Small print, one paragraph each.
    fn caption(&self) -> &[String] {
        &self.meta().caption
    }

    /// Width and height in pixels; the same for both themes.
    ///
    /// # Errors
    /// As [`Figure::scene`].
    fn size(&self) -> Result<(u32, u32), Error> {
        let scene = self.scene(Theme::Light)?;
        Ok((scene.width, scene.height))
    }

    /// The figure as an SVG document; text stays text.
    ///
    /// # Errors
    /// As [`Figure::scene`], and [`Error::Drawing`].
    fn svg(&self, theme: Theme) -> Result<String, Error> {
        let drawing = |message| Error::Drawing { figure: self.name().into(), message };
        render::svg(&self.scene(theme)?, self.alt()).map_err(drawing)
    }

    /// The figure as a PNG file with `scale` image pixels per pixel (0 counts as 1).
    ///
    /// # Errors
    /// As [`Figure::scene`], and [`Error::Drawing`].
    fn png(&self, theme: Theme, scale: u32) -> Result<Vec<u8>, Error> {
        let drawing = |message| Error::Drawing { figure: self.name().into(), message };
        render::png(&self.scene(theme)?, scale.max(1)).map_err(drawing)
    }

    /// Writes `NAME.svg` and `NAME.png` (light, two image pixels per pixel) into `folder`, creating it if needed.
    ///
    /// # Errors
    /// As [`Figure::svg`], [`Error::Name`], and where the folder does not take the files.
    fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let name = self.name();
        check_name(name)?;
        let files = [("svg", self.svg(Theme::Light)?.into_bytes()), ("png", self.png(Theme::Light, 2)?)];
        let make = std::fs::create_dir_all(folder);
        make.map_err(|source| ResultsError::Write { path: folder.to_owned(), source })?;
        let mut paths = Vec::new();
        for (extension, bytes) in files {
            let path = folder.join(format!("{name}.{extension}"));
            files::write_file(&path, &bytes)?;
            paths.push(path);
        }
        Ok(paths)
    }
}

/// A name that can be a file stem.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
        return Err(Error::Name(name.to_owned()));
    }
    Ok(())
}
