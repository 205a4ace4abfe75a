//! What every figure can do.

use crate::{Error, Scene, Theme, render};
use std::path::{Path, PathBuf};

/// What a figure carries besides its numbers.
#[derive(Debug, Clone, Default)]
pub struct Meta {
    /// File stem: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// One sentence that says what the figure shows, for readers who cannot see it.
    pub alt: String,
    /// Small print under the picture, one paragraph each: n, models, preset, hash, rules, grid, clipping.
    pub caption: Vec<String>,
}

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
    /// As [`Figure::svg`], [`Error::Name`] and [`Error::Write`].
    fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let name = self.name();
        let allowed = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
            return Err(Error::Name(name.to_owned()));
        }
        let files = [("svg", self.svg(Theme::Light)?.into_bytes()), ("png", self.png(Theme::Light, 2)?)];
        std::fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })?;
        let mut paths = Vec::new();
        for (extension, bytes) in files {
            let path = folder.join(format!("{name}.{extension}"));
            std::fs::write(&path, bytes).map_err(|source| Error::Write { path: path.clone(), source })?;
            paths.push(path);
        }
        Ok(paths)
    }
}
