//! Which published judges look together, and the folder that they are in.

use std::path::{Path, PathBuf};

use memscope_hub::{CACHE_VARIABLE, cache_folder};

use crate::{
    error::{Error, Result},
    published::{AESTHETIC_CLIP, PUBLISHED_JUDGES, PublishedFile, PublishedJudge, Role},
};

/// Published judges, at most one for each [`Role`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgeSet {
    judges: Vec<&'static PublishedJudge>,
}

/// A file of a set: where it goes, and where it may come from, the preferred first.
pub(crate) struct SetFile {
    pub(crate) judge: &'static PublishedJudge,
    /// Path in the set's folder and origin.
    pub(crate) alternatives: Vec<(String, &'static PublishedFile)>,
}

impl JudgeSet {
    /// The names of the usual set.
    pub const USUAL: [&str; 3] = ["sscd-disc-large", AESTHETIC_CLIP, "aesthetic"];

    /// The set of these names.
    ///
    /// # Errors
    /// When a name is unknown, none is given, or two judges would have the same role.
    pub fn new<S: AsRef<str>>(names: &[S]) -> Result<Self> {
        let mut judges: Vec<&'static PublishedJudge> = vec![];
        for name in names.iter().map(S::as_ref) {
            let unknown = || Error::UnknownJudge {
                name: name.chars().take(60).collect(),
                known: PUBLISHED_JUDGES.iter().map(|judge| judge.name).collect::<Vec<_>>().join(", "),
            };
            let judge = PublishedJudge::find(name).ok_or_else(unknown)?;
            match judges.iter().find(|other| other.role == judge.role) {
                Some(same) if same.name == judge.name => {}
                Some(other) => {
                    return Err(Error::TwoJudges { role: judge.role, first: other.name, second: judge.name });
                }
                None => judges.push(judge),
            }
        }
        if judges.is_empty() {
            return Self::new(&Self::USUAL);
        }
        judges.sort_by_key(|judge| PUBLISHED_JUDGES.iter().position(|known| known.name == judge.name));
        Ok(Self { judges })
    }

    /// The set whose names are joined by `+`; `None` where one of them is no published judge's.
    ///
    /// # Errors
    /// Two of the judges look for the same thing.
    pub fn parse(text: &str) -> Option<Result<Self>> {
        let names: Vec<&str> = text.split('+').collect();
        names.iter().all(|name| PublishedJudge::find(name).is_some()).then(|| Self::new(&names))
    }

    /// Its judges.
    pub fn judges(&self) -> &[&'static PublishedJudge] {
        &self.judges
    }

    /// The names of its judges, joined by `+`.
    pub fn name(&self) -> String {
        self.judges.iter().map(|judge| judge.name).collect::<Vec<_>>().join("+")
    }

    /// The command that downloads it.
    pub fn command(&self) -> String {
        let names: Vec<&str> = self.judges.iter().map(|judge| judge.name).collect();
        let options = if names == Self::USUAL { vec![] } else { names };
        options.iter().fold("memscope models fetch judges".to_owned(), |all, name| format!("{all} --judge {name}"))
    }

    /// The set's folder: `judges/NAME` in the program's cache folder.
    ///
    /// # Errors
    /// When the system names no cache folder.
    pub fn folder(&self) -> Result<PathBuf> {
        Ok(judges_folder()?.join(self.name()))
    }

    /// Whether every file of the set is in its folder; what is in them is not looked at.
    ///
    /// # Errors
    /// When the system names no cache folder.
    pub fn is_there(&self) -> Result<bool> {
        let folder = self.folder()?;
        Ok(self.files().iter().all(|file| file.there(&folder).is_some()))
    }

    /// All files. The quality head brings its CLIP model: as the one that judges alignment where no other does, else into
    /// `quality/clip`.
    pub(crate) fn files(&self) -> Vec<SetFile> {
        let mut all: Vec<SetFile> = self.judges.iter().flat_map(|judge| files_of(judge, "")).collect();
        let has = |role| self.judges.iter().find(|judge| judge.role == role);
        if has(Role::Quality).is_some()
            && has(Role::Alignment).is_none_or(|clip| clip.name != AESTHETIC_CLIP)
            && let Some(clip) = PublishedJudge::find(AESTHETIC_CLIP)
        {
            let prefix = if has(Role::Alignment).is_some() { "quality/" } else { "" };
            all.extend(files_of(clip, prefix));
        }
        all
    }
}

impl SetFile {
    /// Which of the alternatives is in a folder.
    pub(crate) fn there(&self, folder: &Path) -> Option<&(String, &'static PublishedFile)> {
        self.alternatives.iter().find(|(path, _)| folder.join(path).is_file())
    }
}

fn files_of(judge: &'static PublishedJudge, prefix: &str) -> Vec<SetFile> {
    let file = |alternatives: &&'static [PublishedFile]| SetFile {
        judge,
        alternatives: alternatives.iter().map(|file| (format!("{prefix}{}", file.path), file)).collect(),
    };
    judge.files.iter().map(file).collect()
}

/// Where sets are, and files that are not the Hub's.
pub(crate) fn judges_folder() -> Result<PathBuf> {
    cache_folder().map(|folder| folder.join("judges")).ok_or(Error::NoCache { variable: CACHE_VARIABLE })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<String> {
        let set = JudgeSet::new(names).unwrap();
        set.files().into_iter().map(|mut file| file.alternatives.remove(0).0).collect()
    }

    #[test]
    fn sets_have_one_judge_for_each_role() {
        let usual = JudgeSet::new::<&str>(&[]).unwrap();
        assert_eq!(usual.name(), "sscd-disc-large+clip-vit-l-14+aesthetic");
        assert_eq!(JudgeSet::parse(&usual.name()).unwrap().unwrap(), usual);
        assert_eq!(usual.command(), "memscope models fetch judges");
        // The order of names does not matter.
        let membench = JudgeSet::new(&["aesthetic", "clip-vit-g-14", "sscd-disc-large"]).unwrap();
        assert_eq!(membench.name(), "sscd-disc-large+clip-vit-g-14+aesthetic");
        assert!(membench.command().ends_with("--judge sscd-disc-large --judge clip-vit-g-14 --judge aesthetic"));
        assert!(JudgeSet::parse("some/folder").is_none());
        let two = JudgeSet::new(&["clip-vit-l-14", "clip-vit-g-14"]).unwrap_err().to_string();
        assert!(two.contains("clip-vit-l-14") && two.contains("alignment"), "{two}");
        let unknown = JudgeSet::new(&["clip"]).unwrap_err().to_string();
        assert!(unknown.contains("'clip'") && unknown.contains("clip-vit-h-14"), "{unknown}");
    }

    #[test]
    fn the_quality_head_brings_its_own_clip() {
        assert!(paths(&["aesthetic"]).contains(&"clip/model.safetensors".to_owned()));
        let membench = paths(&["clip-vit-g-14", "aesthetic"]);
        assert!(membench.contains(&"clip/open_clip_model.safetensors".to_owned()), "{membench:?}");
        assert!(membench.contains(&"quality/clip/model.safetensors".to_owned()), "{membench:?}");
        assert_eq!(paths(&["sscd-disc-mixup"]), ["sscd/sscd_disc_mixup.torchscript.pt"]);
    }
}
