//! Asks servers: redirects, the token, attempts.

use std::{path::Path, sync::Arc, time::Instant};

use ureq::{
    Agent,
    config::RedirectAuthHeaders,
    http::Method,
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

use crate::{
    address::{Address, Origin, Token, reason},
    error::{Error, Result},
    exchange::{Exchange, Failure, Head, Waited, pause},
    files::read_small,
    folder::variable_folder,
    limits::{Guard, Limits, retry_after},
};

/// An HTTP client; proxies are those of the environment, certificates the usual ones or those of `SSL_CERT_FILE`.
pub struct Client {
    agent: Agent,
    token: Option<(Origin, Token)>,
    pub(crate) limits: Limits,
}

/// Which redirects are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    /// All.
    All,
    /// Those of the Hub; one to the storage, which says what the file is, is the answer.
    UntilDescribed,
}

/// Headers of an answer whose body is still to come.
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) exchange: Exchange,
}

/// Why a server did not answer.
pub(crate) enum Silence {
    /// The network.
    Failed(Failure),
    /// Not to be tried again.
    Final(Error),
}

impl From<Error> for Silence {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

const REDIRECTS: usize = 8;

impl Client {
    /// A client without token.
    ///
    /// # Errors
    /// If `SSL_CERT_FILE` names no certificates.
    pub fn new() -> Result<Self> {
        Self::with_token(None)
    }

    /// A client that shows a token to one server: same scheme, host and port.
    pub(crate) fn with_token(token: Option<(Origin, Token)>) -> Result<Self> {
        let limits = Limits::from_env();
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // Followed here, so that the token's way is known.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::Never)
            .user_agent(concat!("memscope/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .timeout_recv_response(Some(limits.answer))
            .timeout_per_read(Some(limits.window));
        if let Some(path) = variable_folder("SSL_CERT_FILE") {
            config = config.tls_config(TlsConfig::builder().root_certs(certificates(&path)?).build());
        }
        Ok(Self { agent: config.build().new_agent(), token, limits })
    }

    /// Sends a request and waits for the headers of the answer that is no redirect.
    pub(crate) fn open(
        &self,
        method: &Method,
        address: &Address,
        range_from: Option<u64>,
        follow: Follow,
        guard: &Guard,
    ) -> std::result::Result<Answer, Silence> {
        let mut asked = address.clone();
        for _ in 0..=REDIRECTS {
            let mut headers = vec![];
            if let Some((origin, token)) = &self.token
                && asked.origin().as_ref() == Some(origin)
            {
                headers.push(("authorization", token.header()));
            }
            if let Some(start) = range_from {
                headers.push(("range", format!("bytes={start}-")));
            }
            let exchange = Exchange::start(&self.agent, method.clone(), asked.secret(), &headers);
            let limit = self.limits.connect + self.limits.answer;
            let head = match exchange.head(limit, guard) {
                Waited::Came(head) => head,
                Waited::Failed(failure) => return Err(Silence::Failed(failure)),
                Waited::TooLong => return Err(Silence::Failed(silent(limit.as_secs()))),
                Waited::Stopped => return Err(Error::Stopped.into()),
                Waited::Late => return Err(late(address).into()),
            };
            let described = follow == Follow::UntilDescribed && head.text("x-linked-etag").is_some();
            let location = match head.status {
                301 | 302 | 303 | 307 | 308 if !described => head.text("location"),
                _ => None,
            };
            let Some(location) = location else { return Ok(Answer { head, exchange }) };
            asked = asked.redirected(location).map_err(|reason| Error::Answer { url: address.to_string(), reason })?;
        }
        Err(Error::Answer { url: address.to_string(), reason: "is redirected too often".into() }.into())
    }

    /// Asks for something small: status, headers and body, with several attempts.
    ///
    /// # Errors
    /// If nobody answers, the answer is an "again later" after all attempts, or the body is longer than `limit` bytes.
    pub(crate) fn ask(
        &self,
        method: &Method,
        address: &Address,
        limit: usize,
        follow: Follow,
        should_stop: &dyn Fn() -> bool,
    ) -> Result<(Head, Vec<u8>)> {
        let guard = Guard { should_stop, deadline: Instant::now() + self.limits.small };
        let mut fruitless = 0;
        loop {
            let answer = self.open(method, address, None, follow, &guard);
            let (asked, error) = match answer.map(|answer| self.take(answer, method, address, limit, &guard)) {
                Ok(Ok((head, _))) if is_busy(head.status) => {
                    (head.text("retry-after").and_then(retry_after), busy(address, head.status, fruitless + 1))
                }
                Ok(Ok(taken)) => return Ok(taken),
                Err(Silence::Final(error)) | Ok(Err(Silence::Final(error))) => return Err(error),
                Err(Silence::Failed(failure)) | Ok(Err(Silence::Failed(failure))) => {
                    let error = Error::Unreachable { url: address.to_string(), reason: failure.reason };
                    if failure.lasting {
                        return Err(error);
                    }
                    (None, error)
                }
            };
            fruitless += 1;
            if fruitless >= self.limits.attempts || !pause(self.limits.pause_after(fruitless, asked), &guard) {
                return Err(if should_stop() { Error::Stopped } else { error });
            }
        }
    }

    fn take(
        &self,
        answer: Answer,
        method: &Method,
        address: &Address,
        limit: usize,
        guard: &Guard,
    ) -> std::result::Result<(Head, Vec<u8>), Silence> {
        let mut body = vec![];
        if *method == Method::HEAD {
            return Ok((answer.head, body));
        }
        loop {
            match answer.exchange.piece(self.limits.window, guard) {
                Waited::Came(Some(piece)) => body.extend(piece),
                Waited::Came(None) => break,
                Waited::Failed(failure) => return Err(Silence::Failed(failure)),
                Waited::TooLong => return Err(Silence::Failed(silent(self.limits.window.as_secs()))),
                Waited::Stopped => return Err(Error::Stopped.into()),
                Waited::Late => return Err(late(address).into()),
            }
            if body.len() > limit {
                let reason = format!("the answer is longer than {limit} bytes");
                return Err(Error::Answer { url: address.to_string(), reason }.into());
            }
        }
        Ok((answer.head, body))
    }
}

/// "Again later": too many requests, or a server that is not well.
pub(crate) fn is_busy(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504)
}

pub(crate) fn busy(address: &Address, status: u16, attempts: u32) -> Error {
    Error::Busy { url: address.to_string(), status, attempts }
}

pub(crate) fn late(address: &Address) -> Error {
    Error::TooSlow { url: address.to_string() }
}

pub(crate) fn silent(seconds: u64) -> Failure {
    Failure { reason: format!("the server said nothing for {seconds} s"), lasting: false }
}

/// Bytes of a file of certificates at most.
const MOST_CERTIFICATES: u64 = 16 << 20;

fn certificates(path: &Path) -> Result<RootCerts> {
    let fail = |reason: String| Error::Certificates { path: path.to_owned(), reason };
    let pem = read_small(path, MOST_CERTIFICATES).map_err(|e| fail(e.to_string()))?;
    let pem = pem.ok_or_else(|| fail("is not there".into()))?;
    let items =
        parse_pem(&pem).collect::<std::result::Result<Vec<_>, _>>().map_err(|e| fail(reason(&e.to_string())))?;
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
