//! Figures and reports, from results only: no network is asked here.
//!
//! [`results`] turns what an experiment measured into figures, [`pages`] a results folder into a [`report`].
//!
//! A figure is a struct of [`figures`] filled with numbers and a [`Meta`]; the [`Figure`] trait turns any of them into
//! SVG (text stays text) or PNG (for places that show no SVG), in a light or a dark [`Theme`]. Both come from one
//! drawing code: a figure makes a [`Scene`] of marks, and the scene is painted through a `plotters` backend.

mod axis;
mod check;
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
pub mod results;
mod scene;
mod text;
mod theme;

pub use axis::{AxisSpec, Direction, Scale};
pub use color::{diverging, luminance, sequential};
pub use error::Error;
pub use figure::{Figure, Meta};
pub use scene::Scene;
pub use theme::{Color, Theme};
