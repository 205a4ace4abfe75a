//! Statistics against other implementations, by their properties, and on bad input.

mod bad_input;
mod bootstrap;
mod conformal;
mod correlation;
mod golden;
mod properties;
mod published;
mod reference;
