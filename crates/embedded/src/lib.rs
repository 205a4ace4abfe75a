//! The embedded models: small latent diffusion models with planted memorization, part of the program.
//!
//! Each is a folder in diffusers layout below `data/embedded/`; `prompts.jsonl` lists the planted and
//! ordinary prompts, `ground_truth/` the images behind the planted ones.

use include_dir::{Dir, include_dir};

static DATA: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../data/embedded");

/// An embedded model.
#[derive(Clone, Copy, Debug)]
pub struct Model(&'static Dir<'static>);

impl Model {
    /// Its name, e.g. `emoji-eps`.
    pub fn name(&self) -> &'static str {
        self.0.path().to_str().unwrap_or_default()
    }

    /// The bytes of a file given by its path in diffusers layout, e.g. `unet/config.json`.
    pub fn file(&self, path: &str) -> Option<&'static [u8]> {
        self.0.get_file(self.0.path().join(path)).map(include_dir::File::contents)
    }
}

/// All embedded models, by name.
pub fn models() -> Vec<Model> {
    let mut models: Vec<_> =
        DATA.dirs().filter(|dir| dir.get_file(dir.path().join("model_index.json")).is_some()).map(Model).collect();
    models.sort_by_key(Model::name);
    models
}

/// The model of that name.
pub fn model(name: &str) -> Option<Model> {
    models().into_iter().find(|model| model.name() == name)
}

/// A file that all models share, e.g. `prompts.jsonl` or `ground_truth/….png`.
pub fn shared_file(path: &str) -> Option<&'static [u8]> {
    DATA.get_file(path).map(include_dir::File::contents)
}
