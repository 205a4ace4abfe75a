//! A local HTTP server that plays the Hugging Face Hub, its storage, and a server of plain files.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The commit of every repository.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// The token that opens gated repositories.
pub(crate) const TOKEN: &str = "hf_good";

/// The server; it lives until the test process ends.
#[derive(Clone)]
pub(crate) struct FakeHub {
    port: u16,
    state: Arc<Mutex<State>>,
}

/// What the server has, and how it misbehaves.
#[derive(Default)]
pub(crate) struct State {
    /// Files of repositories, by `owner/name/path`.
    files: BTreeMap<String, Vec<u8>>,
    /// Files need the token.
    pub(crate) gated: bool,
    /// The storage closes the connection after so many bytes, so many times.
    pub(crate) cut: Option<(usize, usize)>,
    /// The storage changes a byte.
    pub(crate) corrupt: bool,
    /// The listing has sizes and hashes, as the Hub's has and some mirrors' have not.
    pub(crate) listed_hashes: bool,
    /// What else goes wrong, by the first fault whose path matches.
    pub(crate) faults: Vec<Fault>,
    /// Requests: method, path, range, authorization.
    pub(crate) requests: Vec<Request>,
}

/// Something that goes wrong with requests whose path holds a text.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// Part of the path.
    pub(crate) path: &'static str,
    /// How often it happens.
    pub(crate) times: usize,
    pub(crate) kind: FaultKind,
}

#[derive(Clone, Debug)]
pub(crate) enum FaultKind {
    /// Another answer: status line, headers, body.
    Answer(&'static str, Vec<(&'static str, String)>, Vec<u8>),
    /// So much more is announced than there is, in the answer to HEAD.
    AnnouncesMore(i64),
    /// Nothing is said.
    Silent,
    /// A byte of the body now and then.
    Drips,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) range: Option<usize>,
    pub(crate) authorization: Option<String>,
}

struct Answer {
    status: &'static str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Bytes of the body that are really sent.
    sent: usize,
    /// Length that is announced, where it is not that of the body.
    length: Option<i64>,
    pace: Pace,
}

#[derive(Clone, Copy, PartialEq)]
enum Pace {
    AtOnce,
    Drip,
    Never,
}

impl FakeHub {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hub = Self { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let server = hub.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                thread::spawn(move || server.serve(stream));
            }
        });
        hub
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a file of `owner/name`.
    pub(crate) fn publish(&self, id: &str, path: &str, bytes: Vec<u8>) {
        self.state().files.insert(format!("{id}/{path}"), bytes);
    }

    /// Publishes a folder as `owner/name`.
    pub(crate) fn publish_folder(&self, id: &str, folder: &Path) {
        fn walk(hub: &FakeHub, id: &str, folder: &Path, below: &str) {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{below}{}", entry.file_name().to_string_lossy());
                match entry.path().is_dir() {
                    true => walk(hub, id, &entry.path(), &format!("{name}/")),
                    false => hub.publish(id, &name, fs::read(entry.path()).unwrap()),
                }
            }
        }
        walk(self, id, folder, "");
    }

    /// Paths asked for since the last call.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state().requests)
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read_request(&mut reader) {
            let answer = self.faulty(&request);
            if answer.pace == Pace::Never {
                thread::sleep(Duration::from_mins(2));
                return;
            }
            let mut head = format!("HTTP/1.1 {}\r\n", answer.status);
            answer.headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
            let length = answer.length.unwrap_or(answer.body.len() as i64);
            head.push_str(&format!("Content-Length: {length}\r\n\r\n"));
            let body = if request.method == "HEAD" { &[][..] } else { &answer.body[..answer.sent] };
            let mut written = stream.write_all(head.as_bytes());
            match answer.pace {
                Pace::Drip => {
                    for byte in body {
                        written = written.and_then(|()| stream.write_all(&[*byte])).and_then(|()| stream.flush());
                        if written.is_err() {
                            return;
                        }
                        thread::sleep(Duration::from_millis(200));
                    }
                }
                _ => written = written.and_then(|()| stream.write_all(body)),
            }
            if written.is_err() || answer.sent < answer.body.len() {
                return;
            }
        }
    }

    fn faulty(&self, request: &Request) -> Answer {
        let mut state = self.state();
        let fault = state.faults.iter_mut().find(|fault| {
            fault.times > 0
                && request.path.contains(fault.path)
                // Answers to HEAD are headers: what happens to bodies happens to the others.
                && (request.method == "HEAD") == matches!(fault.kind, FaultKind::AnnouncesMore(_))
        });
        let kind = fault.map(|fault| {
            fault.times -= 1;
            fault.kind.clone()
        });
        drop(state);
        let mut answer = self.answer(request);
        match kind {
            None => {}
            Some(FaultKind::Answer(status, headers, body)) => {
                answer = Answer::new(status, body);
                answer.headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            }
            Some(FaultKind::AnnouncesMore(more)) => answer.length = Some(answer.body.len() as i64 + more),
            Some(FaultKind::Silent) => answer.pace = Pace::Never,
            Some(FaultKind::Drips) => answer.pace = Pace::Drip,
        }
        answer
    }

    fn answer(&self, request: &Request) -> Answer {
        let mut state = self.state();
        state.requests.push(request.clone());
        let path = request.path.as_str();
        if let Some(rest) = path.strip_prefix("/api/models/") {
            return listing(&state, rest);
        }
        if let Some(hash) = path.strip_prefix("/storage/") {
            return stored(&mut state, hash, request.range);
        }
        // Small files are answered from another path of the same server.
        if let Some(rest) = path.strip_prefix("/api/resolve-cache/") {
            return match state.files.get(rest) {
                Some(bytes) => Answer::new("200 OK", bytes.clone()).with("ETag", format!("\"{}\"", git_hash(bytes))),
                None => Answer::new("404 Not Found", vec![]),
            };
        }
        let parts: Vec<&str> = path.trim_start_matches('/').splitn(5, '/').collect();
        let [owner, name, "resolve", _, file] = parts[..] else {
            // A server of plain files.
            return match state.files.get(path.trim_start_matches('/')).cloned() {
                Some(bytes) if request.method == "GET" => ranged(&mut state, bytes, request.range),
                Some(bytes) => Answer::new("200 OK", bytes),
                None => Answer::new("404 Not Found", b"404: Not Found".to_vec()),
            };
        };
        if state.gated && request.authorization.as_deref() != Some(&format!("Bearer {TOKEN}")) {
            return Answer::new("401 Unauthorized", vec![]).with("X-Error-Code", "GatedRepo");
        }
        let key = format!("{owner}/{name}/{file}");
        match state.files.get(&key) {
            None => Answer::new("404 Not Found", vec![]).with("X-Error-Code", "EntryNotFound"),
            Some(bytes) if file.ends_with(".safetensors") => Answer::new("302 Found", vec![])
                .with("X-Repo-Commit", COMMIT)
                .with("X-Linked-Etag", format!("\"{}\"", hash(bytes)))
                .with("X-Linked-Size", bytes.len().to_string())
                // Another host, as far as a client can tell.
                .with("Location", format!("http://localhost:{}/storage/{}", self.port, hash(bytes))),
            Some(_) => {
                Answer::new("307 Temporary Redirect", vec![]).with("Location", format!("/api/resolve-cache/{key}"))
            }
        }
    }
}

/// `owner/name/revision/REVISION`.
fn listing(state: &State, rest: &str) -> Answer {
    let parts: Vec<&str> = rest.splitn(4, '/').collect();
    let [owner, name, "revision", revision] = parts[..] else { return Answer::new("404 Not Found", vec![]) };
    let prefix = format!("{owner}/{name}/");
    let names: Vec<&str> = state.files.keys().filter_map(|key| key.strip_prefix(&prefix)).collect();
    if names.is_empty() {
        // What the Hub says to those without a token.
        return Answer::new("401 Unauthorized", vec![]).with("X-Error-Code", "RepoNotFound");
    }
    let revision = revision.split('?').next().unwrap_or_default();
    if !["main", COMMIT, "refs%2Fpr%2F1"].contains(&revision) {
        return Answer::new("404 Not Found", vec![]).with("X-Error-Code", "RevisionNotFound");
    }
    let sibling = |name: &&str| {
        let bytes = &state.files[&format!("{prefix}{name}")];
        match (state.listed_hashes, name.ends_with(".safetensors")) {
            (false, _) => serde_json::json!({"rfilename": name}),
            (true, false) => serde_json::json!({"rfilename": name, "size": bytes.len(), "blobId": git_hash(bytes)}),
            (true, true) => serde_json::json!({
                "rfilename": name, "size": bytes.len(), "blobId": git_hash(b"a pointer"),
                "lfs": {"sha256": hash(bytes), "size": bytes.len(), "pointerSize": 134},
            }),
        }
    };
    let siblings: Vec<_> = names.iter().map(sibling).collect();
    let gated = if state.gated { serde_json::json!("auto") } else { serde_json::json!(false) };
    let body = serde_json::json!({"id": prefix, "sha": COMMIT, "gated": gated, "siblings": siblings});
    Answer::new("200 OK", body.to_string().into_bytes())
}

fn stored(state: &mut State, wanted: &str, range: Option<usize>) -> Answer {
    let Some(mut bytes) = state.files.values().find(|bytes| hash(bytes) == wanted).cloned() else {
        return Answer::new("404 Not Found", vec![]);
    };
    if state.corrupt
        && let Some(last) = bytes.last_mut()
    {
        *last ^= 1;
    }
    ranged(state, bytes, range)
}

fn ranged(state: &mut State, mut bytes: Vec<u8>, range: Option<usize>) -> Answer {
    let total = bytes.len();
    let mut answer = match range {
        None => Answer::new("200 OK", bytes),
        Some(start) if start >= total => return Answer::new("416 Range Not Satisfiable", vec![]),
        Some(start) => Answer::new("206 Partial Content", bytes.split_off(start))
            .with("Content-Range", format!("bytes {start}-{}/{total}", total - 1)),
    };
    if let Some((at, times)) = state.cut {
        answer.sent = answer.body.len().min(at);
        state.cut = (times > 1).then_some((at, times - 1));
    }
    answer
}

impl Answer {
    fn new(status: &'static str, body: Vec<u8>) -> Self {
        Self { status, headers: vec![], sent: body.len(), body, length: None, pace: Pace::AtOnce }
    }

    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace();
    let mut request =
        Request { method: words.next()?.to_owned(), path: words.next()?.to_owned(), ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { return Some(request) };
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = value.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok(),
            "authorization" => request.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// `git hash-object`.
pub(crate) fn git_hash(bytes: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
