//! Figures and reports, from results only: no network is asked here.
//!
//! [`pages`] turns a results folder into a [`report`]; [`write_figures`] draws the figures of a run into its folder.
//!
//! A figure is a struct of [`figures`] filled with numbers and a [`Meta`]; the [`Figure`] trait turns any of them into
//! SVG (text stays text) or PNG (for places that show no SVG), in a light or a dark [`Theme`]. Both come from one
//! drawing code: a figure makes a [`Scene`] of marks, and the scene is painted through a `plotters` backend.

pub mod audit;
mod axis;
mod color;
mod error;
mod figure;
pub mod figures;
mod geometry;
mod legend;
mod page;
pub mod pages;
mod panel;
mod render;
pub mod report;
mod scene;
mod style;
mod text;
mod theme;
mod thumbnail;
mod write;

pub use color::{diverging, luminance, sequential};
pub use error::Error;
pub use figure::Figure;
pub use memscope_results::figures::{AxisSpec, Direction, Meta, Scale};
pub use scene::Scene;
pub use theme::{Color, Theme};
pub use write::write_figures;
