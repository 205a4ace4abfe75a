//! Where files come from: models of the Hugging Face Hub and published prompt lists.
//!
//! A [`Hub`] plans ([`Hub::plan`]) which files of a [`HubModel`] are missing in the cache and brings them
//! ([`Hub::fetch`]); which files are wanted is a [`Selection`], so that this crate knows no network architecture. A
//! [`Client`](download::Client) brings one file, checked and resumable. [`lists`] has the published prompt lists.

pub mod download;
mod environment;
mod error;
mod fetch;
mod folder;
mod id;
pub mod lists;
mod named;
mod plan;
mod repository;
mod selection;

pub use environment::{Hub, Network};
pub use error::{Absence, Error, Result};
pub use fetch::FetchWatch;
pub use folder::{CACHE_VARIABLE, cache_folder};
pub use id::{HubModel, Variant};
pub use named::{NAMED_MODELS, NamedModel};
pub use plan::{FetchPlan, PlannedFile};
pub use selection::{Chosen, Selection};
