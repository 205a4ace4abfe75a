//! Downloads one file: checked, and resumed where an earlier attempt ended.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sha2::{Digest, Sha256};
use ureq::{
    Agent, Body,
    config::RedirectAuthHeaders,
    http::{Response, header},
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

use crate::{error::Error, folder::variable_folder};

/// Told how many bytes of the file are there; may ask to stop.
pub type Progress<'a> = dyn FnMut(u64) -> ControlFlow<()> + 'a;

/// A file to download.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Where it is.
    pub url: String,
    /// Its bytes, where known.
    pub size: Option<u64>,
    /// Its SHA-256 in hex, where known.
    pub sha256: Option<String>,
    /// A token for this server; not passed on to another one that it redirects to.
    pub token: Option<String>,
}

/// An HTTP client; proxies are those of the environment, certificates the usual ones or those of `SSL_CERT_FILE`.
pub struct Client {
    agent: Agent,
}

/// Attempts that bring nothing new before a download is given up.
const ATTEMPTS: usize = 3;
/// Waited after a fruitless attempt, longer each time.
const PAUSE: Duration = Duration::from_millis(300);
const CHUNK: usize = 1 << 20;

impl Client {
    /// A client.
    pub fn new() -> Result<Self, Error> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .user_agent(concat!("memscope/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_mins(1)))
            .timeout_per_read(Some(Duration::from_mins(1)));
        if let Some(path) = variable_folder("SSL_CERT_FILE") {
            config = config.tls_config(TlsConfig::builder().root_certs(certificates(&path)?).build());
        }
        Ok(Self { agent: config.build().new_agent() })
    }

    /// Asks for a small text and its status, redirects followed.
    pub(crate) fn get(&self, url: &str, token: Option<&str>) -> Result<Response<Body>, Error> {
        let mut request = self.agent.get(url);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request.call().map_err(|e| unreachable(url, &e))
    }

    /// Asks for the headers of a file; a redirect is an answer.
    pub(crate) fn head(&self, url: &str, token: Option<&str>) -> Result<Response<Body>, Error> {
        let mut request = self.agent.head(url).config().max_redirects(0).max_redirects_will_error(false).build();
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request.call().map_err(|e| unreachable(url, &e))
    }

    /// Downloads a file to `to`, whose folder exists. Until it is complete and checked it is called
    /// `to`.incomplete, and a later call goes on from there.
    pub fn fetch(&self, remote: &Remote, to: &Path, progress: &mut Progress) -> Result<(), Error> {
        let partial = partial_path(to);
        let write = |source| Error::Write { path: partial.clone(), source };
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&partial).map_err(write)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { path: partial }),
            // Some network file systems have no locks; a mixed-up file would still fail its check.
            Err(TryLockError::Error(error)) => tracing::debug!("cannot lock {}: {error}", partial.display()),
        }
        let mut body = Partial::resume(&mut file).map_err(write)?;
        if remote.size.is_some_and(|size| body.length > size) {
            body.restart().map_err(write)?;
        }
        let resumed = body.length > 0;
        self.complete(remote, &mut body, &partial, progress)?;
        let mut got = body.digest();
        let expected = remote.sha256.as_deref();
        if resumed && expected.is_some_and(|expected| expected != got) {
            // The earlier part may belong to another version of the file.
            body.restart().map_err(write)?;
            self.complete(remote, &mut body, &partial, progress)?;
            got = body.digest();
        }
        if let Some(expected) = expected.filter(|expected| *expected != got) {
            drop(file);
            fs::remove_file(&partial).map_err(write)?;
            return Err(Error::WrongHash { url: remote.url.clone(), expected: expected.to_owned(), got });
        }
        file.sync_all().map_err(write)?;
        // Windows renames no open file.
        drop(file);
        fs::rename(&partial, to).map_err(|source| Error::Write { path: to.to_owned(), source })
    }

    /// Reads until the file is whole; goes on after a broken connection as long as that brings something.
    fn complete(&self, remote: &Remote, body: &mut Partial, path: &Path, progress: &mut Progress) -> Result<(), Error> {
        let mut fruitless = 0;
        while remote.size != Some(body.length) || body.length == 0 {
            let before = body.length;
            match self.read_on(remote, body, path, progress)? {
                Ended::Whole => return Ok(()),
                Ended::Early { reason } => {
                    tracing::debug!("{}: {reason} after {} bytes", remote.url, body.length);
                    fruitless = if body.length > before { 0 } else { fruitless + 1 };
                    std::thread::sleep(PAUSE * fruitless as u32);
                    if fruitless == ATTEMPTS {
                        let (url, got) = (remote.url.clone(), body.length);
                        return Err(match remote.size {
                            Some(expected) => Error::Interrupted { url, got, expected },
                            None => Error::Unreachable { url, reason },
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn read_on(
        &self,
        remote: &Remote,
        body: &mut Partial,
        path: &Path,
        progress: &mut Progress,
    ) -> Result<Ended, Error> {
        let url = &remote.url;
        let write = |source| Error::Write { path: path.to_owned(), source };
        let mut request = self.agent.get(url);
        if let Some(token) = &remote.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.length > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", body.length));
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(error) if body.length > 0 => return Ok(Ended::Early { reason: error.to_string() }),
            Err(error) => return Err(unreachable(url, &error)),
        };
        match response.status().as_u16() {
            206 if range_start(&response) == Some(body.length) => {}
            // The server starts again: with the whole file, or because the part is longer than the file.
            200 => body.restart().map_err(write)?,
            206 | 416 => {
                body.restart().map_err(write)?;
                return Ok(Ended::Early { reason: "the server cannot go on from there".into() });
            }
            status @ 500..=599 => return Ok(Ended::Early { reason: format!("the server answered {status}") }),
            status => return Err(Error::Status { url: url.clone(), status }),
        }
        let mut reader = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut chunk = vec![0; CHUNK];
        loop {
            if progress(body.length).is_break() {
                return Err(Error::Stopped);
            }
            match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => body.append(&chunk[..count]).map_err(write)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Ended::Early { reason: error.to_string() }),
            }
            if let Some(size) = remote.size.filter(|size| body.length > *size) {
                body.restart().map_err(write)?;
                let reason = format!("the server sends more than the {size} bytes it announced");
                return Err(Error::Answer { url: url.clone(), reason });
            }
        }
        match remote.size {
            Some(size) if body.length < size => Ok(Ended::Early { reason: "the connection was closed".into() }),
            _ => Ok(Ended::Whole),
        }
    }
}

/// How reading from a connection ended.
enum Ended {
    Whole,
    Early { reason: String },
}

/// The name of a file while it is not complete.
pub(crate) fn partial_path(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".incomplete");
    name.into()
}

/// The part of a file that is there, with its running hash.
struct Partial<'a> {
    file: &'a mut File,
    length: u64,
    hash: Sha256,
}

impl<'a> Partial<'a> {
    fn resume(file: &'a mut File) -> io::Result<Self> {
        let (mut hash, mut length) = (Sha256::new(), 0);
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = file.read(&mut chunk)?;
            if count == 0 {
                return Ok(Self { file, length, hash });
            }
            hash.update(&chunk[..count]);
            length += count as u64;
        }
    }

    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        (self.length, self.hash) = (0, Sha256::new());
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn digest(&self) -> String {
        hex(&self.hash.clone().finalize())
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn range_start(response: &Response<Body>) -> Option<u64> {
    let value = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    value.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

fn unreachable(url: &str, error: &ureq::Error) -> Error {
    Error::Unreachable { url: url.to_owned(), reason: error.to_string() }
}

fn certificates(path: &Path) -> Result<RootCerts, Error> {
    let fail = |reason: String| Error::Certificates { path: path.to_owned(), reason };
    let pem = fs::read(path).map_err(|e| fail(e.to_string()))?;
    let items = parse_pem(&pem).collect::<Result<Vec<_>, _>>().map_err(|e| fail(e.to_string()))?;
    let found: Vec<_> = items
        .into_iter()
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(fail("holds no certificate".into()));
    }
    Ok(RootCerts::Specific(Arc::new(found)))
}
