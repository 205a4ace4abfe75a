//! Downloads one file: checked, and resumed where an earlier attempt ended.

use std::{path::Path, time::Duration};

use ureq::http::Method;

use crate::{
    address::Address,
    client::{Answer, Client, Follow, Silence, busy, is_busy, late},
    error::{Error, Result},
    exchange::{Head, Waited, pause},
    hash::ContentHash,
    limits::{Guard, retry_after},
    partial::{Partial, partial_path},
    watch::FetchWatch,
};

/// A file to download.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Where it is.
    pub url: Address,
    /// Its bytes.
    pub size: u64,
    /// The hash of its content.
    pub hash: ContentHash,
}

/// How an attempt ended.
enum Ended {
    Whole,
    /// Another attempt may bring more.
    Early {
        reason: String,
        wait: Option<Duration>,
    },
    /// The server sends so little that what it brings does not count.
    Slow,
}

impl Client {
    /// Downloads a file to `to`, whose folder exists. Until it is complete and checked it is called `to`.incomplete,
    /// and a later call goes on from there. `watch` is told how many bytes are there.
    ///
    /// # Errors
    /// If the server cannot be reached, refuses, is too slow, or sends something else than was announced; if the file
    /// cannot be written; if the user stops.
    pub fn fetch(&self, remote: &Remote, to: &Path, watch: &dyn TransferWatch) -> Result<()> {
        self.bring(remote, Some(remote.hash.digits()), to, watch).map(|_| ())
    }

    /// The same for a file whose hash is not known: only its algorithm is, and what came out is returned. What an earlier
    /// attempt left must be of the same version.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub(crate) fn fetch_any(&self, remote: &Remote, to: &Path, watch: &dyn TransferWatch) -> Result<String> {
        self.bring(remote, None, to, watch)
    }

    fn bring(&self, remote: &Remote, expected: Option<&str>, to: &Path, watch: &dyn TransferWatch) -> Result<String> {
        let should_stop = || watch.should_stop();
        let guard = Guard { should_stop: &should_stop, deadline: self.limits.deadline(remote.size) };
        let mut body = Partial::open(to, &remote.hash, remote.size, &should_stop)?;
        let mut leftover = body.length > 0;
        loop {
            self.complete(remote, &mut body, to, watch, &guard)?;
            let got = body.digits();
            if expected.is_none_or(|expected| got == expected) {
                body.finish(to)?;
                return Ok(got);
            }
            if !leftover {
                body.discard()?;
                let (algorithm, expected) = (remote.hash.algorithm(), remote.hash.to_string());
                return Err(Error::WrongHash { url: remote.url.to_string(), algorithm, expected, got });
            }
            // The earlier part may belong to another version of the file.
            leftover = false;
            body.restart()?;
        }
    }

    /// Reads until the file is whole; an attempt counts as fruitless when it does not bring more than the best one.
    fn complete(
        &self,
        remote: &Remote,
        body: &mut Partial,
        to: &Path,
        watch: &dyn TransferWatch,
        guard: &Guard,
    ) -> Result<()> {
        let (mut best, mut fruitless) = (body.length, 0);
        while body.length != remote.size {
            let (reason, wait, counts) = match self.attempt(remote, body, watch, guard)? {
                Ended::Whole => return Ok(()),
                Ended::Early { reason, wait } => (reason, wait, body.length <= best),
                Ended::Slow => ("the server sends too slowly".to_owned(), None, true),
            };
            tracing::debug!("{}: {reason} after {} bytes", remote.url, body.length);
            best = best.max(body.length);
            fruitless = if counts { fruitless + 1 } else { 0 };
            if fruitless >= self.limits.attempts {
                return Err(Error::Interrupted {
                    url: remote.url.to_string(),
                    got: best,
                    expected: remote.size,
                    attempts: fruitless,
                    reason,
                    partial: partial_path(to),
                });
            }
            let delay = if counts { self.limits.pause_after(fruitless, wait) } else { Duration::ZERO };
            if !pause(delay, guard) {
                return Err(if (guard.should_stop)() { Error::Stopped } else { late(&remote.url) });
            }
        }
        Ok(())
    }

    fn attempt(&self, remote: &Remote, body: &mut Partial, watch: &dyn TransferWatch, guard: &Guard) -> Result<Ended> {
        let url = &remote.url;
        let early = |reason: String| Ok(Ended::Early { reason, wait: None });
        let from = Some(body.length).filter(|length| *length > 0);
        let answer = match self.open(&Method::GET, url, from, Follow::All, guard) {
            Ok(answer) => answer,
            Err(Silence::Final(error)) => return Err(error),
            Err(Silence::Failed(failure)) if failure.lasting && body.length == 0 => {
                return Err(Error::Unreachable { url: url.to_string(), reason: failure.reason });
            }
            Err(Silence::Failed(failure)) => return early(failure.reason),
        };
        match answer.head.status {
            206 if range_start(&answer.head) == from => {}
            // The server starts again: with the whole file, or because the part is longer than the file.
            200 => body.restart()?,
            206 | 416 => {
                body.restart()?;
                return early("the server cannot go on from there".into());
            }
            status if is_busy(status) => {
                let wait = answer.head.text("retry-after").and_then(retry_after);
                return Ok(Ended::Early { reason: busy(url, status, 1).to_string(), wait });
            }
            status => return Err(Error::Status { url: url.to_string(), status }),
        }
        self.read(remote, &answer, body, watch, guard)
    }

    fn read(
        &self,
        remote: &Remote,
        answer: &Answer,
        body: &mut Partial,
        watch: &dyn TransferWatch,
        guard: &Guard,
    ) -> Result<Ended> {
        let mut meter = Meter::new(self.limits.rate, self.limits.window);
        loop {
            watch.progress(body.length);
            let began = std::time::Instant::now();
            match answer.exchange.piece(self.limits.window, guard) {
                Waited::Came(Some(piece)) => {
                    body.append(&piece)?;
                    if body.length > remote.size {
                        body.restart()?;
                        let reason = format!("the server sends more than the {} bytes it announced", remote.size);
                        return Err(Error::Answer { url: remote.url.to_string(), reason });
                    }
                    if body.length < remote.size && meter.is_slow(piece.len(), began.elapsed()) {
                        return Ok(Ended::Slow);
                    }
                }
                Waited::Came(None) if body.length == remote.size => return Ok(Ended::Whole),
                Waited::Came(None) => {
                    let reason = format!("the server sent {} bytes and announced {}", body.length, remote.size);
                    return Ok(Ended::Early { reason, wait: None });
                }
                Waited::Failed(failure) => return Ok(Ended::Early { reason: failure.reason, wait: None }),
                Waited::TooLong => return Ok(Ended::Slow),
                Waited::Stopped => return Err(Error::Stopped),
                Waited::Late => return Err(late(&remote.url)),
            }
        }
    }
}

/// Told how a transfer goes; may ask to stop.
pub trait TransferWatch {
    /// So many bytes of the file are there.
    fn progress(&self, _there: u64) {}

    /// Whether the user wants to stop; asked some twenty times a second.
    fn should_stop(&self) -> bool;
}

/// One file of several: what it brings is added to what came before.
pub(crate) struct OneOf<'a> {
    pub(crate) watch: &'a dyn FetchWatch,
    pub(crate) file: &'a str,
    /// Bytes that came with earlier files.
    pub(crate) before: u64,
    /// Bytes of the file that were there already.
    pub(crate) had: std::cell::Cell<Option<u64>>,
    pub(crate) total: u64,
}

impl TransferWatch for OneOf<'_> {
    fn progress(&self, there: u64) {
        let had = self.had.get().unwrap_or(there).min(there);
        self.had.set(Some(had));
        self.watch.progress(self.file, (self.before + (there - had)).min(self.total), self.total);
    }

    fn should_stop(&self) -> bool {
        self.watch.should_stop()
    }
}

/// Bytes a second, measured over the time spent waiting for them.
struct Meter {
    rate: u64,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Meter {
    fn new(rate: u64, window: Duration) -> Self {
        Self { rate, window, waited: Duration::ZERO, bytes: 0 }
    }

    fn is_slow(&mut self, bytes: usize, waited: Duration) -> bool {
        self.bytes += bytes as u64;
        self.waited += waited;
        if self.waited < self.window {
            return false;
        }
        let slow = self.bytes < self.rate * self.window.as_secs();
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        slow
    }
}

fn range_start(head: &Head) -> Option<u64> {
    head.text("content-range")?.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}
