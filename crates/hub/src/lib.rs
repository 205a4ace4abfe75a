//! Where files come from: models of the Hugging Face Hub and published prompt lists.
//!
//! A [`Hub`] plans ([`Hub::plan`]) which files of a [`HubModel`] are missing in the cache, brings them
//! ([`Hub::fetch`]), and checks what is there ([`Hub::verify`]). Which files are wanted is a [`Selection`], so that this
//! crate knows no network architecture. A [`Client`] brings one file, checked and resumable. [`lists`] has the published
//! prompt lists.
//!
//! Nothing is trusted: every content is checked against its hash, servers have limits of time and size, the token goes
//! to one server, and nothing is written outside the cache or through links.

mod address;
mod client;
mod environment;
mod error;
mod exchange;
mod fetch;
mod files;
mod folder;
mod gather;
mod hash;
mod id;
mod limits;
pub mod lists;
mod named;
mod partial;
mod plain;
mod plan;
mod record;
mod repository;
mod selection;
mod transfer;
mod verify;
mod watch;

pub use address::Address;
pub use client::Client;
pub use environment::{Hub, Network};
pub use error::{Absence, Error, Result};
pub use folder::{CACHE_VARIABLE, cache_folder};
pub use gather::gather;
pub use hash::ContentHash;
pub use id::{HubModel, Variant};
pub use named::{NAMED_MODELS, NamedModel};
pub use plain::{Announced, Arrived, PlainFile};
pub use plan::{FetchPlan, PlannedFile};
pub use selection::{Chosen, Selection};
pub use transfer::{Remote, TransferWatch};
pub use verify::{FileState, Verification, VerifiedFile};
pub use watch::FetchWatch;
