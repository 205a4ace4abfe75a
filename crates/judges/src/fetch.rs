//! Downloads published judges: what is the Hub's into the Hub's cache, the rest beside the set; the set's folder links
//! to both.

use std::{
    env,
    path::{Path, PathBuf},
};

use memscope_hub::{
    Address, Announced, Arrived, Chosen, Client, FetchPlan, FetchWatch, Hub, HubModel, Network, PlainFile, Selection,
    TransferWatch, gather,
};

use crate::{
    error::{Error, Result},
    published::Origin,
    set::{JudgeSet, SetFile, judges_folder},
};

/// The variable that names another server for files that are not the Hub's, e.g. a mirror; the path stays.
pub const MIRROR_VARIABLE: &str = "MEMSCOPE_JUDGES_URL";

/// What a download of judges would bring.
pub struct JudgePlan {
    folder: PathBuf,
    hub: Hub,
    repositories: Vec<Repository>,
    plain: Vec<Plain>,
}

/// Files of one repository of the Hub.
struct Repository {
    plan: FetchPlan,
    /// Path in the set's folder, path in the repository.
    files: Vec<(String, &'static str)>,
}

/// A file at a plain address.
struct Plain {
    /// Path in the set's folder.
    path: String,
    /// Where it is kept.
    at: PathBuf,
    file: PlainFile,
    state: State,
}

enum State {
    There(Arrived),
    Missing(Announced),
}

/// What came of a set.
#[derive(Debug)]
pub struct FetchedJudges {
    /// The set's folder.
    pub folder: PathBuf,
    /// Files at plain addresses, with their hashes.
    pub plain: Vec<Arrived>,
    /// Repositories of the Hub and the commits that were taken.
    pub repositories: Vec<(String, String)>,
}

impl JudgeSet {
    /// Asks the servers what the set consists of, and what of it is missing; files that are there are hashed again.
    ///
    /// # Errors
    /// When the network may not be asked, a server does not answer, or a file is not published any more.
    pub fn plan(&self, hub: Hub, should_stop: &dyn Fn() -> bool) -> Result<JudgePlan> {
        if hub.network() == Network::Offline {
            return Err(Error::Offline { judges: self.name(), command: self.command() });
        }
        let kept = judges_folder()?.join("files");
        let (mut repositories, mut plain) = (vec![], vec![]);
        let mut of_hub: Vec<(&'static str, Vec<SetFile>)> = vec![];
        for file in self.files() {
            match file.alternatives.first().map(|(_, published)| published.origin) {
                Some(Origin::Hub { repository, .. }) => {
                    match of_hub.iter_mut().find(|(known, files)| same(known, files, repository, &file)) {
                        Some((_, files)) => files.push(file),
                        None => of_hub.push((repository, vec![file])),
                    }
                }
                _ => plain.extend(plan_plain(&file, &kept, should_stop)?),
            }
        }
        for (repository, files) in of_hub {
            let model: HubModel = repository.parse()?;
            let wanted = Wanted { files: &files, repository };
            let plan = hub.plan(&model, &wanted, should_stop)?;
            let names: Vec<&str> = plan.files.iter().map(|file| file.path.as_str()).collect();
            let files = files.iter().filter_map(|file| wanted.taken(file, &names)).collect();
            repositories.push(Repository { plan, files });
        }
        Ok(JudgePlan { folder: self.folder()?, hub, repositories, plain })
    }
}

/// Files of one repository that go into the same folder.
fn same(known: &str, files: &[SetFile], repository: &str, file: &SetFile) -> bool {
    let folder = |file: &SetFile| {
        file.alternatives.first().and_then(|(path, _)| path.rsplit_once('/').map(|(folder, _)| folder.to_owned()))
    };
    known == repository && files.first().is_some_and(|first| folder(first) == folder(file))
}

fn plan_plain(file: &SetFile, kept: &Path, should_stop: &dyn Fn() -> bool) -> Result<Option<Plain>> {
    let Some((path, published)) = file.alternatives.first() else { return Ok(None) };
    let Origin::Url(url) = published.origin else { return Ok(None) };
    let plain = PlainFile { url: address(url), sha256: published.sha256.map(str::to_owned) };
    let at = kept.join(path.rsplit('/').next().unwrap_or(path));
    let state = match plain.there(&at, should_stop)? {
        Some(arrived) => State::There(arrived),
        None => State::Missing(Client::new()?.announced(&plain.url, should_stop)?),
    };
    Ok(Some(Plain { path: path.clone(), at, file: plain, state }))
}

/// The address of a file, on the mirror if there is one.
fn address(url: &str) -> Address {
    let mirror = env::var(MIRROR_VARIABLE).ok().filter(|mirror| !mirror.is_empty());
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
    match (mirror, path) {
        (Some(mirror), Some(path)) => Address::new(format!("{}/{path}", mirror.trim_end_matches('/'))),
        _ => Address::new(url),
    }
}

impl JudgePlan {
    /// The set's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes that are missing.
    pub fn missing(&self) -> u64 {
        let plain = self.plain.iter().map(|plain| match &plain.state {
            State::There(_) => 0,
            State::Missing(announced) => announced.size,
        });
        plain.chain(self.repositories.iter().map(|repository| repository.plan.missing)).fold(0, u64::saturating_add)
    }

    /// Downloads what is missing and fills the folder. Stopped or killed, the same call goes on where it was.
    ///
    /// # Errors
    /// When the disk has no room, a file cannot be had or written or is not the one that was announced, or the user stops.
    pub fn fetch(self, watch: &dyn FetchWatch) -> Result<FetchedJudges> {
        let total = self.missing();
        let kept = judges_folder()?.join("files");
        std::fs::create_dir_all(&kept).map_err(|source| memscope_hub::Error::Write { path: kept.clone(), source })?;
        let (mut before, mut arrived) = (0, vec![]);
        for Plain { path, at, file, state } in self.plain {
            let came = match state {
                State::There(arrived) => arrived,
                State::Missing(announced) => {
                    let one = Share { watch, file: &path, before, total };
                    let came = Client::new()?.fetch_plain(&file, &announced, &at, &one)?;
                    before += announced.size;
                    came
                }
            };
            gather(&self.folder, &path, &at)?;
            arrived.push(came);
        }
        let mut repositories = vec![];
        for Repository { plan, files } in self.repositories {
            let share = Share { watch, file: "", before, total };
            let snapshot = self.hub.fetch(&plan, &share)?;
            before += plan.missing;
            for (path, file) in files {
                gather(&self.folder, &path, &snapshot.join(file))?;
            }
            repositories.push((plan.model().to_string(), plan.commit.clone()));
        }
        Ok(FetchedJudges { folder: self.folder, plain: arrived, repositories })
    }
}

/// The files of a repository that a set wants.
struct Wanted<'a> {
    files: &'a [SetFile],
    repository: &'static str,
}

impl Wanted<'_> {
    /// Path in the set's folder and in the repository of the alternative that is taken.
    fn taken(&self, file: &SetFile, names: &[&str]) -> Option<(String, &'static str)> {
        file.alternatives.iter().find_map(|(path, published)| match published.origin {
            Origin::Hub { file, repository } if repository == self.repository && names.contains(&file) => {
                Some((path.clone(), file))
            }
            _ => None,
        })
    }
}

impl Selection for Wanted<'_> {
    type Error = Error;

    fn choose(&self, names: &[String]) -> Result<Chosen> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let choose = |file: &SetFile| {
            let missing = || Error::NotPublished {
                judge: file.judge.name,
                repository: self.repository,
                file: file.alternatives.first().map_or("", |(path, _)| path).to_owned(),
            };
            self.taken(file, &names).map(|(_, name)| name.to_owned()).ok_or_else(missing)
        };
        Ok(Chosen { files: self.files.iter().map(choose).collect::<Result<_>>()?, indices: vec![] })
    }

    fn named_by(&self, _: &str, _: &[u8]) -> Result<Vec<String>> {
        Ok(vec![])
    }
}

/// One of several downloads: what it brings is added to what came before.
struct Share<'a> {
    watch: &'a dyn FetchWatch,
    file: &'a str,
    before: u64,
    total: u64,
}

impl TransferWatch for Share<'_> {
    fn progress(&self, there: u64) {
        self.watch.progress(self.file, (self.before + there).min(self.total), self.total);
    }

    fn should_stop(&self) -> bool {
        self.watch.should_stop()
    }
}

impl FetchWatch for Share<'_> {
    fn progress(&self, file: &str, done: u64, _: u64) {
        self.watch.progress(file, (self.before + done).min(self.total), self.total);
    }

    fn should_stop(&self) -> bool {
        self.watch.should_stop()
    }
}
