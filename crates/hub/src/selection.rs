//! Which files of a repository somebody wants.

/// Chooses files by name. The hub knows how to bring files; what they mean is the business of who wants them.
pub trait Selection {
    /// What can go wrong: no such file, or the hub's own errors.
    type Error: From<crate::Error>;

    /// The files wanted among the names of a repository.
    ///
    /// # Errors
    /// If something that is needed is not among them.
    fn choose(&self, names: &[String]) -> Result<Chosen, Self::Error>;

    /// The files that an index names; `index` is one of [`Chosen::indices`], `bytes` its content.
    ///
    /// # Errors
    /// If the index cannot be understood.
    fn named_by(&self, index: &str, bytes: &[u8]) -> Result<Vec<String>, Self::Error>;
}

/// What is wanted of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Files, relative to the repository.
    pub files: Vec<String>,
    /// Those of them that name further files.
    pub indices: Vec<String>,
}
