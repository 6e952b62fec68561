//! The way to the upstream: one pool of connections per worker. On one of HTTP/1.1 there is one
//! exchange at a time, one of HTTP/2 is shared by many.
//!
//! Dials and speaks; what a request says was settled before. Nothing here outlives a
//! deadline: name look-up, TCP and TLS have `limits.upstream_connect`, the response head has the
//! upstream's `timeout`, and each piece of the body has `limits.upstream_idle`.

mod balance;
mod checks;
mod connect;
mod deadline;
mod fetch;
mod http1;
mod http2;
mod line;
mod names;
mod outgoing;
mod peers;
mod response;
mod room;
mod socket;
mod stream;
mod switch;
#[cfg(test)]
mod tests;
mod transport;

use std::cell::RefCell;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use hashbrown::HashMap;
use http::{Response, StatusCode};
use tokio::time::Instant;

pub use checks::{Checks, answers};
pub use connect::{ConnectError, Target};
pub use fetch::{FetchError, Fetched, fetch};
pub use http1::Fault;
#[cfg(any(test, fuzzing))]
pub(crate) use http1::{differential::check as differential, written};
pub use outgoing::Outgoing;
pub use response::{ResponseBody, ResponseFault};
pub use room::Room;
pub use switch::{Answer, Switched};

use crate::alarm::Alarm;
use crate::body::{BodyFault, Upload};
use crate::late::Late;
use balance::{Balance, Undone};
use deadline::Deadline;
use http1::Connection;
use line::{Incoming, Line, Unanswered};
use names::Names;
use peers::Peers;

/// Idle connections of one upstream that a worker keeps.
const IDLE_PER_UPSTREAM: usize = 1024;
/// How long one is kept: below the shortest keep-alive in common use (Node.js: five seconds), so
/// that a request rarely meets a connection which is being closed.
const IDLE: Duration = Duration::from_secs(4);

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Not a byte was sent.
    #[error("the upstream can not be reached: {0}")]
    Unreachable(#[source] ConnectError),
    /// Not a byte was sent, and nothing was tried: the process has as many connections to upstreams
    /// as it may.
    #[error("there are too many connections to upstreams")]
    Crowded,
    /// No response head in time.
    #[error("{0}")]
    TimedOut(Late),
    /// What came is no response that can be passed on.
    #[error("the upstream broke the exchange: {0}")]
    Broken(#[source] Broken),
    /// It is spoken to in HTTP/2 alone, which has no upgrade (RFC 9113 §8.6).
    #[error("HTTP/2 has no upgrade")]
    NoUpgrade,
    /// The client's part.
    #[error(transparent)]
    Client(#[from] BodyFault),
}

/// How an upstream broke an exchange.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Connection closed or reset, or a head that can not be parsed.
    #[error("{0}")]
    Codec(#[from] CodecError),
    /// It switched protocols unasked, or to another one than was asked for.
    #[error("it switched to a protocol that it was not asked for")]
    Switched,
    /// Framing that two readers could understand in two ways.
    #[error("{0}")]
    Framing(crate::headers::FramingError),
}

/// What a codec says.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Of HTTP/1.1.
    #[error("{0}")]
    Http1(Fault),
    /// Of HTTP/2.
    #[error("{}", told(.0))]
    Http2(hyper::Error),
}

/// An error of the codec with its cause, which it leaves out itself. Of what HTTP/2 says, only the
/// code: a GOAWAY may hold any text of the upstream's.
fn told(error: &hyper::Error) -> String {
    let Some(cause) = error.source() else {
        return error.to_string();
    };
    match cause.downcast_ref::<h2::Error>() {
        Some(h2) => match (h2.reason(), h2.get_io()) {
            (Some(reason), _) if h2.is_remote() => format!("{error}: it said {reason:?}"),
            (Some(reason), _) => format!("{error}: {reason:?}"),
            (None, Some(io)) => format!("{error}: {io}"),
            (None, None) => error.to_string(),
        },
        None => format!("{error}: {cause}"),
    }
}

/// A worker's connections, by upstream. They outlive configurations.
#[derive(Debug, Default)]
pub struct Upstreams {
    idle: RefCell<HashMap<Arc<str>, Vec<Idle>>>,
    peers: Peers,
    balance: Balance,
    names: Rc<Names>,
    room: Room,
}

#[derive(Debug)]
struct Idle {
    channel: Channel,
    since: Instant,
}

/// One connection of HTTP/1.1.
#[derive(Debug)]
struct Channel {
    connection: Connection,
    /// Where it leads, if that was a matter of a name.
    peer: Option<SocketAddr>,
    /// It has answered a request.
    proven: bool,
    /// Kept from one exchange to the next.
    alarm: Alarm,
}

/// An exchange that did not come to a response.
struct Failed {
    error: UpstreamError,
    /// The request, if nothing of it was sent.
    unsent: Option<Box<Outgoing>>,
    /// Not a byte of an answer came.
    silent: bool,
    /// The upstream says that it did not act on the request.
    refused: bool,
}

impl From<ConnectError> for UpstreamError {
    fn from(error: ConnectError) -> Self {
        if error.is_crowded() {
            Self::Crowded
        } else {
            Self::Unreachable(error)
        }
    }
}

impl Upstreams {
    /// With as many connections as there is room for.
    pub fn within(room: Room) -> Self {
        Self {
            room,
            ..Self::default()
        }
    }

    /// Sends a request and waits for the head of the response.
    ///
    /// A request that was not sent at all (its pooled connection had been closed) is sent again on
    /// another connection; one that may have been sent only if `again` gives it once more, which
    /// it does for a request that may be repeated, and only when not a byte of an answer came on a
    /// connection that had been used before, or the upstream says that it did not act on it (what
    /// `again` is told).
    async fn send_to(
        self: &Rc<Self>,
        target: &Target,
        outgoing: Box<Outgoing>,
        again: impl Fn(bool) -> Option<Box<Outgoing>>,
        deadline: Option<Deadline>,
    ) -> Result<Response<Box<ResponseBody>>, Undone> {
        let upload = outgoing.request.body().upload();
        let mut outgoing = outgoing;
        let mut retries = target.retries;
        loop {
            let must_be_sure = retries == 0 || !outgoing.may_be_repeated();
            let line = match self.line(target, must_be_sure).await {
                Ok(line) => line,
                Err(error) => {
                    // Another target is no way out where there is no room.
                    let crowded = error.is_crowded();
                    return Err(Undone {
                        error: error.into(),
                        unsent: (!crowded).then_some(outgoing),
                        connection_failed: !crowded,
                    });
                }
            };
            let reused = line.is_proven();
            let failed = match exchange(target, line, outgoing, &upload, deadline).await {
                Ok((line, response)) => {
                    let pool = Rc::downgrade(self);
                    let accepted = accept(target, line, response, pool, &upload, deadline);
                    return accepted.map_err(|error| Undone {
                        error,
                        unsent: None,
                        connection_failed: false,
                    });
                }
                Err(failed) => failed,
            };
            if let Some(fault) = upload.fault() {
                return Err(Undone {
                    error: fault.into(),
                    unsent: None,
                    connection_failed: false,
                });
            }
            let connection_failed = !reused && failed.silent;
            let next = match failed.unsent {
                Some(unsent) if reused => Some(unsent),
                None if (reused && failed.silent || failed.refused) && retries > 0 => {
                    retries -= 1;
                    again(failed.refused)
                }
                _ => None,
            };
            outgoing = next.ok_or(Undone {
                error: failed.error,
                unsent: None,
                connection_failed,
            })?;
        }
    }

    /// The connection that was used last, if it can be used. `must_be_sure`: what goes there can not
    /// be sent once more if the connection was closed in this moment.
    fn checkout(&self, key: &Arc<str>, must_be_sure: bool) -> Option<Channel> {
        loop {
            let Idle { channel, since } = self.idle.borrow_mut().get_mut(key)?.pop()?;
            let moved = |peer| !self.names.lead_to(key, peer);
            if since.elapsed() < IDLE
                && !channel.peer.is_some_and(moved)
                && channel.connection.may_be_used(must_be_sure)
            {
                return Some(channel);
            }
        }
    }

    fn give_back(&self, key: &Arc<str>, mut channel: Channel) {
        // What is kept here no other worker has.
        if !channel.connection.is_free() || self.room.is_tight() {
            return;
        }
        channel.connection.shed();
        channel.proven = true;
        let mut idle = self.idle.borrow_mut();
        let entry = Idle {
            channel,
            since: Instant::now(),
        };
        match idle.get_mut(key) {
            Some(list) if list.len() < IDLE_PER_UPSTREAM => list.push(entry),
            Some(_) => {}
            None => drop(idle.insert(Arc::clone(key), vec![entry])),
        }
    }

    /// Closes the connection that has been idle for longest, of any upstream. False if there is none.
    fn make_room(&self) -> bool {
        let mut idle = self.idle.borrow_mut();
        let lists = idle.values_mut().filter(|list| !list.is_empty());
        let oldest = lists.min_by_key(|list| list.first().map(|idle| idle.since));
        oldest.is_some_and(|list| {
            drop(list.remove(0));
            true
        })
    }

    /// Closes what has been idle for too long, or at all where there is hardly room. Called once a
    /// second.
    pub fn tick(&self) {
        let time = if self.room.is_tight() {
            Duration::ZERO
        } else {
            IDLE
        };
        self.idle.borrow_mut().retain(|_, list| {
            list.retain(|idle| {
                idle.since.elapsed() < time && idle.channel.connection.seems_quiet()
            });
            !list.is_empty()
        });
        self.peers.tick(time);
        self.balance.tick();
        self.names.tick();
    }
}

/// Sends a request and waits for the head of its response.
async fn exchange(
    target: &Target,
    mut line: Line,
    outgoing: Box<Outgoing>,
    upload: &Rc<Upload>,
    deadline: Option<Deadline>,
) -> Result<(Line, Response<Incoming>), Failed> {
    let mut answer = std::pin::pin!(line.send(outgoing));
    let alarm = line.alarm();
    let mut until = upload.progress().max(Instant::now()) + target.timeout;
    let in_time = poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = answer.as_mut().poll(cx) {
                return Poll::Ready(Ok(result));
            }
            ready!(alarm.poll(cx, deadline.map_or(until, |it| it.at().min(until))));
            let now = Instant::now();
            // The clock runs while the upstream is waited for: not while the client is
            // (which has a limit of its own), and anew for each piece that is taken.
            until = if upload.waits_for_client() {
                now
            } else {
                upload.progress().max(until - target.timeout)
            } + target.timeout;
            if let Some(deadline) = deadline.filter(|it| it.at() <= now.min(until)) {
                return Poll::Ready(Err(deadline.missed()));
            }
            if until <= now {
                return Poll::Ready(Err(Late::Head(target.timeout)));
            }
        }
    });
    let result = match in_time.await {
        Ok(result) => result,
        Err(late) => {
            line.doubt();
            return Err(Failed {
                error: UpstreamError::TimedOut(late),
                unsent: None,
                silent: false,
                refused: false,
            });
        }
    };
    match result {
        Ok(response) => {
            line.answered();
            Ok((line, response))
        }
        Err(Unanswered { error, unsent }) => Err(Failed {
            silent: line.is_silent(&error),
            refused: http2::is_refused(&error),
            error: UpstreamError::Broken(error.into()),
            unsent,
        }),
    }
}

/// Whether it is a response that can be passed on.
fn check(response: &Response<Incoming>) -> Result<(), Broken> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Broken::Switched);
    }
    crate::headers::framing(response.headers(), response.version()).map_err(Broken::Framing)
}

/// Checks a response's head and binds its body to the connection, which goes back to `pool`.
fn accept(
    target: &Target,
    line: Line,
    response: Response<Incoming>,
    pool: Weak<Upstreams>,
    upload: &Rc<Upload>,
    deadline: Option<Deadline>,
) -> Result<Response<Box<ResponseBody>>, UpstreamError> {
    if let Err(broken) = check(&response) {
        let error = upload.fault().map(UpstreamError::Client);
        return Err(error.unwrap_or(UpstreamError::Broken(broken)));
    }
    let lease = response::Lease {
        line: Some(line),
        pool,
        key: Arc::clone(&target.key),
        upload: Rc::clone(upload),
    };
    let (head, body) = response.into_parts();
    let endless = response::is_endless(&head.headers);
    let idle = (!endless).then_some(target.idle);
    let body = ResponseBody::new(body, lease, head.status, idle, deadline);
    Ok(Response::from_parts(head, Box::new(body)))
}
