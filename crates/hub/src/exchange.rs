//! One HTTP request on a thread of its own, so that whoever waits for it can stop at any moment: while a name is looked
//! up, a connection made, or a server says nothing.

use std::{
    io::Read,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use ureq::{
    Agent,
    http::{HeaderMap, Method, Request},
};

use crate::{address::reason, limits::Guard};

/// Status and headers of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: HeaderMap,
}

impl Head {
    /// A header as text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    /// Asking again will not help: no such host, nobody listens there.
    pub(crate) lasting: bool,
}

/// What waiting brought.
pub(crate) enum Waited<T> {
    Came(T),
    Failed(Failure),
    /// Nothing within the time given.
    TooLong,
    /// The user wants to stop.
    Stopped,
    /// The deadline of the whole undertaking has passed.
    Late,
}

enum Message {
    Head(Head),
    Piece(Vec<u8>),
    End,
    Failed(Failure),
}

/// A request under way. Dropped, its thread ends at the next byte or time-out.
pub(crate) struct Exchange {
    receiver: Receiver<Message>,
}

/// Bytes of a body handed over at once.
const PIECE: usize = 1 << 18;
/// Pieces that wait to be taken.
const WAITING: usize = 4;
/// How often a waiting thread looks up.
const TICK: Duration = Duration::from_millis(50);

impl Exchange {
    /// Sends a request without body.
    pub(crate) fn start(agent: &Agent, method: Method, url: &str, headers: &[(&'static str, String)]) -> Self {
        let (sender, receiver) = sync_channel(WAITING);
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let agent = agent.clone();
        let failed = sender.clone();
        let started = match request.body(()) {
            Ok(request) => thread::Builder::new()
                .name("download".into())
                .spawn(move || run(&agent, request, &sender))
                .map(|_| ())
                .map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = started {
            // The channel has room for it.
            let _ = failed.send(Message::Failed(Failure { reason: reason(&error), lasting: true }));
        }
        Self { receiver }
    }

    /// Waits for the headers.
    pub(crate) fn head(&self, limit: Duration, guard: &Guard) -> Waited<Head> {
        match self.wait(limit, guard) {
            Waited::Came(Message::Head(head)) => Waited::Came(head),
            Waited::Came(_) => Waited::Failed(ended()),
            Waited::Failed(failure) => Waited::Failed(failure),
            Waited::TooLong => Waited::TooLong,
            Waited::Stopped => Waited::Stopped,
            Waited::Late => Waited::Late,
        }
    }

    /// Waits for the next bytes of the body; `None` at its end.
    pub(crate) fn piece(&self, limit: Duration, guard: &Guard) -> Waited<Option<Vec<u8>>> {
        match self.wait(limit, guard) {
            Waited::Came(Message::Piece(piece)) => Waited::Came(Some(piece)),
            Waited::Came(Message::End) => Waited::Came(None),
            Waited::Came(_) => Waited::Failed(ended()),
            Waited::Failed(failure) => Waited::Failed(failure),
            Waited::TooLong => Waited::TooLong,
            Waited::Stopped => Waited::Stopped,
            Waited::Late => Waited::Late,
        }
    }

    fn wait(&self, limit: Duration, guard: &Guard) -> Waited<Message> {
        let until = Instant::now() + limit;
        loop {
            if (guard.should_stop)() {
                return Waited::Stopped;
            }
            match self.receiver.recv_timeout(TICK) {
                Ok(Message::Failed(failure)) => return Waited::Failed(failure),
                Ok(message) => return Waited::Came(message),
                Err(RecvTimeoutError::Disconnected) => return Waited::Failed(ended()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            if now >= guard.deadline {
                return Waited::Late;
            }
            if now >= until {
                return Waited::TooLong;
            }
        }
    }
}

fn ended() -> Failure {
    Failure { reason: "the connection ended".into(), lasting: false }
}

/// Waits, unless the user wants to stop or the deadline passes; says whether the whole time has passed.
pub(crate) fn pause(duration: Duration, guard: &Guard) -> bool {
    let until = Instant::now() + duration;
    if until > guard.deadline {
        return false;
    }
    while !(guard.should_stop)() {
        match until.checked_duration_since(Instant::now()) {
            Some(rest) if !rest.is_zero() => thread::sleep(rest.min(TICK)),
            _ => return true,
        }
    }
    false
}

/// The thread: whoever waits may have gone, which is the end of it.
fn run(agent: &Agent, request: Request<()>, sender: &SyncSender<Message>) {
    let response = match agent.run(request) {
        Ok(response) => response,
        Err(error) => {
            let _ = sender.send(Message::Failed(failure(&error)));
            return;
        }
    };
    let (parts, body) = response.into_parts();
    let head = Head { status: parts.status.as_u16(), headers: parts.headers };
    if sender.send(Message::Head(head)).is_err() {
        return;
    }
    let mut reader = body.into_with_config().limit(u64::MAX).reader();
    let mut piece = vec![0; PIECE];
    loop {
        let message = match reader.read(&mut piece) {
            Ok(0) => Message::End,
            Ok(count) => Message::Piece(piece[..count].to_vec()),
            Err(error) => Message::Failed(Failure { reason: reason(&error.to_string()), lasting: false }),
        };
        let last = !matches!(message, Message::Piece(_));
        if sender.send(message).is_err() || last {
            return;
        }
    }
}

fn failure(error: &ureq::Error) -> Failure {
    let lasting = match error {
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::BadUri(_)
        | ureq::Error::Http(_)
        | ureq::Error::InvalidProxyUrl
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::Tls(_)
        | ureq::Error::Rustls(_) => true,
        _ => false,
    };
    Failure { reason: reason(&error.to_string()), lasting }
}
