//! Figures and reports, from result tables only.
