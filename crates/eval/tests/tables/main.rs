//! The tables of an experiment.

mod kinds;
