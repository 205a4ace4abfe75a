//! What looks at folders of pictures; no diffusion model is asked.

mod by_judge;
mod duplicates;
mod rows;
mod similarity;

use std::path::Path;

use memscope_eval::{spec::JudgeSource, task::Watch, tasks::JudgeFiles};
use memscope_judges::{Error as JudgeError, JudgeSet, Judges, PictureFile, Sscd, Survey, Watching};
use serde::Serialize;

pub(crate) use self::{
    by_judge::run as judge,
    duplicates::{COSINE, run as duplicates},
    similarity::{map_png, run as similarity},
};
use crate::{
    args::JudgeArgs,
    exit_code::UserError,
    progress::{Progress, stop_requested},
};

/// What to do where there are no judges.
const REMEDY: &str = "this version of memscope has no judges of its own; run `memscope models fetch judges`, then give \
                      --judges sscd-disc-large+clip-vit-l-14+aesthetic, or a folder";

/// The judges that `--judges` names; `None` where nothing is named and the program has none.
pub(crate) fn find(given: Option<&str>) -> anyhow::Result<Option<JudgeFiles>> {
    let found = JudgeFiles::find(&source(given)?)?;
    match (found, given) {
        (None, Some(_)) => Err(UserError::model(format!("--judges embedded: {REMEDY}")).into()),
        (found, _) => Ok(found),
    }
}

/// Where the judges are that `--judges` names.
fn source(given: Option<&str>) -> anyhow::Result<JudgeSource> {
    let text = match given {
        None | Some("embedded") => return Ok(JudgeSource::Embedded),
        Some(text) => text,
    };
    match JudgeSet::parse(text) {
        Some(set) => {
            let set = set?;
            if !set.is_there()? {
                let message = format!("--judges {text}: not all of them are there; run `{}`", set.command());
                return Err(UserError::model(message).into());
            }
            Ok(JudgeSource::Folder(set.folder()?))
        }
        None if Path::new(text).is_dir() => Ok(JudgeSource::Folder(text.into())),
        None => {
            let message =
                format!("--judges {text}: it is neither a folder, nor embedded, nor names of published judges");
            Err(UserError::input(message).into())
        }
    }
}

/// The judges that `--judges` names; `None` where it is not given: commands that draw look at pixels alone then.
pub(crate) fn named(given: Option<&str>) -> anyhow::Result<Option<JudgeFiles>> {
    given.map_or(Ok(None), |given| find(Some(given)))
}

/// The same where copies are told: a folder must have a copy descriptor.
pub(crate) fn named_descriptor(given: Option<&str>) -> anyhow::Result<Option<JudgeFiles>> {
    if let Some(text) = given
        && let JudgeSource::Folder(folder) = source(given)?
        && !folder.join("sscd").is_dir()
    {
        let message =
            format!("--judges {text} has no copy descriptor (sscd/); give another, or leave it out for pixels");
        return Err(UserError::model(message).into());
    }
    named(given)
}

/// Opens judges, the copy descriptor with the preprocessing that is asked for.
fn open(files: &JudgeFiles, args: &JudgeArgs) -> anyhow::Result<Judges> {
    let mut judges = files.open()?;
    if let Some(named) = args.preprocessing {
        judges.similarity = judges.similarity.map(|sscd| sscd.with_preprocessing(named.preprocessing()));
    }
    Ok(judges)
}

/// A copy descriptor, if one is wanted and there; else pixels.
fn descriptor(args: &JudgeArgs, pixels: bool) -> anyhow::Result<Option<Sscd>> {
    if pixels {
        return Ok(None);
    }
    let Some(files) = find(args.judges.as_deref())? else {
        if args.preprocessing.is_some() {
            return Err(UserError::model(format!("--preprocessing needs a copy descriptor; {REMEDY}")).into());
        }
        tracing::warn!("pixels are compared: {REMEDY}");
        return Ok(None);
    };
    let sscd = open(&files, args)?.similarity;
    let missing = || {
        let judges = args.judges.as_deref().unwrap_or("embedded");
        UserError::model(format!("--judges {judges} has no copy descriptor (sscd/); give another, or --pixels"))
    };
    Ok(Some(sscd.ok_or_else(missing)?))
}

/// A file that could not be read.
#[derive(Serialize)]
struct Unreadable {
    picture: String,
    reason: String,
}

/// Warns of what could not be read; nothing that could is an error.
fn unreadable<T>(files: &[PictureFile], survey: &Survey<T>, folder: &Path) -> anyhow::Result<Vec<Unreadable>> {
    const MOST: usize = 20;
    if survey.seen.is_empty() {
        let first = survey.unreadable.first().map_or_else(String::new, |(_, error)| format!("; {error}"));
        return Err(UserError::input(format!("{}: no picture can be read{first}", folder.display())).into());
    }
    let all: Vec<Unreadable> = survey
        .unreadable
        .iter()
        .map(|(place, error)| Unreadable {
            picture: files.get(*place).map_or_else(String::new, |file| file.name.clone()),
            reason: match error {
                JudgeError::Picture { reason, .. } => reason.clone(),
                other => other.to_string(),
            },
        })
        .collect();
    for Unreadable { picture, reason } in all.iter().take(MOST) {
        tracing::warn!("{picture} is left out: {reason}");
    }
    if all.len() > MOST {
        tracing::warn!("{} further files are left out", all.len() - MOST);
    }
    Ok(all)
}

/// Shows how far it is.
pub(crate) struct Shown<'a>(pub(crate) &'a mut Progress);

impl Watching for Shown<'_> {
    fn goes_on(&mut self, done: usize, total: usize) -> bool {
        self.0.progress(done, total);
        !stop_requested()
    }
}

/// What ended early is an error.
pub(crate) fn whole<T>(found: Option<T>) -> anyhow::Result<T> {
    found.ok_or_else(|| UserError::interrupted("stopped; nothing was written").into())
}
