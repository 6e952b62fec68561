//! Who speaks to the admin API.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::net::UnixStream;
use tokio::sync::Notify;

use super::{Problem, closing};
use crate::tokens::{Plugins, Who};

/// The other end of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Peer {
    /// A process on this machine, by its user (`SO_PEERCRED`, unix(7)).
    user: Option<u32>,
    /// Where it connects from, over TCP.
    pub(super) address: Option<IpAddr>,
    /// Told as soon as it has shown an admin token.
    pub(super) known: Arc<Notify>,
}

impl Peer {
    /// The other end of a connection.
    pub(super) fn of(stream: &UnixStream) -> Self {
        Self {
            user: stream.peer_cred().ok().map(|peer| peer.uid()),
            ..Self::default()
        }
    }

    /// Whoever connects from there.
    pub(super) fn at(address: IpAddr) -> Self {
        Self {
            address: Some(address.to_canonical()),
            ..Self::default()
        }
    }

    /// For the audit.
    fn name(&self) -> Arc<str> {
        let Some(id) = self.user else {
            return "unix:?".into();
        };
        match user_name(id) {
            Some(name) => format!("unix:{name}").into(),
            None => format!("unix:{id}").into(),
        }
    }
}

/// The name of a user of this system (passwd(5)).
pub fn user_name(user: u32) -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id = fields.nth(1)?;
        let good =
            (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        (id.parse() == Ok(user) && good).then(|| name.to_owned())
    })
}

/// Whoever can open the socket may do all.
pub(super) async fn by_user(
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let who = Who {
        by: peer.name(),
        plugins: Plugins::All,
    };
    request.extensions_mut().insert(who);
    next.run(request).await
}

/// Who holds this secret, if it is that of an admin token and may be used from this address.
pub type Authenticate = Arc<dyn Fn(&[u8], IpAddr) -> Result<Who, NotAdmin> + Send + Sync>;

/// Why a credential opens nothing here. Its `Display` is for its holder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmin {
    /// It is wrong, in these words.
    #[error("{0}")]
    Refused(String),
    /// It is one wrong credential too many from there.
    #[error("Too many wrong credentials came from here: try again in {seconds} s.")]
    TooMany {
        /// After how many seconds another one may come.
        seconds: u64,
    },
}

/// Whoever holds an admin token may do what it is for.
pub(super) async fn by_token(
    State(authenticate): State<Authenticate>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut fields = request.headers().get_all(header::AUTHORIZATION).iter();
    let presented = match (fields.next(), fields.next()) {
        (Some(one), None) => bearer(one),
        _ => None,
    };
    let Some(secret) = presented else {
        return refused(
            "missing_token",
            "This needs an admin token: `Authorization: Bearer pla_…`.",
        );
    };
    // Every listener that asks for a token knows it; without one, no binding to a network holds.
    let address = peer.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    match authenticate(secret, address) {
        Ok(who) => {
            peer.known.notify_one();
            request.headers_mut().remove(header::AUTHORIZATION);
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Err(reason @ NotAdmin::Refused(_)) => refused("invalid_token", &reason.to_string()),
        Err(reason @ NotAdmin::TooMany { seconds }) => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            let problem = Problem::new(status, "rate_limited", &reason.to_string());
            let mut response = closing(problem.into_response());
            let fields = response.headers_mut();
            fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
    }
}

/// The credential of RFC 6750 §2.1.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let bytes = value.as_bytes();
    let (scheme, secret) = bytes.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| secret.trim_ascii())
}

fn refused(code: &str, detail: &str) -> Response {
    let problem = Problem::new(StatusCode::UNAUTHORIZED, code, detail);
    let mut response = closing(problem.into_response());
    let challenge = if code == "missing_token" {
        "Bearer realm=\"plugway admin\""
    } else {
        "Bearer realm=\"plugway admin\", error=\"invalid_token\""
    };
    let challenge = HeaderValue::from_static(challenge);
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}
