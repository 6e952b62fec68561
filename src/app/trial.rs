//! Requests to a candidate that does not serve yet: over a pipe in the process, through the same
//! code as any other, with tokens, counters and failures of their own.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::control::{Shared, Trial, Tried};
use crate::gateway::Gateway;
use crate::server::{self, Peer};
use crate::snapshot::Published;

/// Bytes that may wait in the pipe.
const PIPE: usize = 64 << 10;
/// Bytes of a refusal, whose code is told.
const REFUSAL: usize = 16 << 10;
/// Requests that are at upstreams at the same time.
const AT_ONCE: usize = 16;
/// How long all of them may take.
const ALTOGETHER: Duration = Duration::from_mins(1);
/// Steps that a request may take to be answered in process.
const STEPS: usize = 1000;

type Answer = Result<Tried, String>;

/// Asks one after the other and sends nothing upstream, so that nothing is ever waited for: this is
/// done when it returns.
pub(super) fn at_once(trial: &Trial) -> Vec<Answer> {
    let held = Rc::new(Cell::new(false));
    let gateway = gateway(trial, Some(Rc::clone(&held)));
    let answers = RefCell::new(Vec::new());
    {
        // A budget would make it stop in between, and nobody would wake it.
        let all = tokio::task::unconstrained(in_turn(trial, &gateway, &held, &answers));
        let mut all = pin!(all);
        let mut context = Context::from_waker(Waker::noop());
        let steps = STEPS + trial.requests.len().saturating_mul(STEPS);
        for _ in 0..steps {
            if all.as_mut().poll(&mut context).is_ready() {
                break;
            }
        }
    }
    let mut answers = answers.into_inner();
    answers.resize_with(trial.requests.len(), || {
        Err("the gateway waits for something".to_owned())
    });
    answers
}

/// Asks with what the upstream answers, some at a time. The tokens never get there.
pub(super) async fn upstream(trial: Trial) -> Vec<Answer> {
    let gateway = gateway(&trial, None);
    let room = Rc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    let end = Instant::now() + ALTOGETHER;
    let peer = peer(&trial);
    let count = trial.requests.len();
    for (number, (request, patience)) in trial.requests.into_iter().enumerate() {
        let (gateway, room, client) = (Rc::clone(&gateway), Rc::clone(&room), peer());
        under_way.spawn_local(async move {
            let _place = room.acquire().await;
            let patience = patience.min(end.saturating_duration_since(Instant::now()));
            let asked = timeout(patience, alone(gateway, client, request));
            let answer = asked
                .await
                .unwrap_or_else(|_| Err(format!("not within {} s", patience.as_secs_f32())));
            (number, answer)
        });
    }
    let mut answers = vec![Err("the gateway failed".to_owned()); count];
    while let Some(done) = under_way.join_next().await {
        if let Ok((number, answer)) = done
            && let Some(place) = answers.get_mut(number)
        {
            *place = answer;
        }
    }
    answers
}

/// A gateway that serves the candidate to nobody else.
fn gateway(trial: &Trial, held: Option<Rc<Cell<bool>>>) -> Rc<Gateway> {
    let (shared, _) = Shared::new(0, Instant::now());
    for (fingerprint, token) in &trial.tokens {
        shared.tokens.insert(*fingerprint, Arc::clone(token));
    }
    let published = Published::new(Arc::clone(&trial.snapshot));
    Rc::new(Gateway::rehearsing(&published, shared, held))
}

/// Makes the other end of a connection: a client on this machine, at the first listener.
fn peer(trial: &Trial) -> impl Fn() -> Peer + use<> {
    let listen = &trial.snapshot.config.listen;
    let tls = !listen.https.is_empty();
    let port = listen.https.iter().chain(&listen.http).next();
    let port = port.map_or(0, SocketAddr::port);
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    move || Peer {
        remote: (here, 1).into(),
        local: (here, port).into(),
        tls,
        http2: false,
        draining: Cell::new(false),
        tunnel: RefCell::new(None),
    }
}

/// Asks one after the other, on one connection as long as that is kept.
async fn in_turn(
    trial: &Trial,
    gateway: &Rc<Gateway>,
    held: &Cell<bool>,
    answers: &RefCell<Vec<Answer>>,
) {
    let peer = peer(trial);
    loop {
        let before = answers.borrow().len();
        let rest = trial.requests.get(before..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        connected(Rc::clone(gateway), peer(), async |sender| {
            for (request, _) in rest {
                if sender.ready().await.is_err() {
                    return;
                }
                held.set(false);
                let answer = ask(sender, request.clone()).await;
                answers.borrow_mut().push(answer.map(|tried| Tried {
                    forwarded: held.get(),
                    ..tried
                }));
            }
        })
        .await;
        if answers.borrow().len() == before {
            let ended = Err("the connection ended".to_owned());
            answers.borrow_mut().push(ended);
        }
    }
}

/// Asks on a connection of its own.
async fn alone(gateway: Rc<Gateway>, peer: Peer, request: Request<Bytes>) -> Answer {
    let mut answer = Err("the connection ended".to_owned());
    connected(gateway, peer, async |sender| {
        answer = ask(sender, request).await;
    })
    .await;
    answer
}

/// Makes a connection and keeps it for as long as it is used.
async fn connected(
    gateway: Rc<Gateway>,
    peer: Peer,
    usage: impl AsyncFnOnce(&mut SendRequest<Full<Bytes>>),
) {
    let (near, far) = tokio::io::duplex(PIPE);
    let Ok((mut sender, connection)) = handshake(TokioIo::new(near)).await else {
        return;
    };
    let served = async { tokio::join!(server::serve_within(gateway, far, peer), connection) };
    let mut usage = pin!(usage(&mut sender));
    tokio::select! {
        biased;
        () = &mut usage => return,
        _ = served => {}
    }
    // The last answer may be there and not be taken yet; after it there is no other.
    usage.await;
}

async fn ask(sender: &mut SendRequest<Full<Bytes>>, request: Request<Bytes>) -> Answer {
    let response = sender.send_request(request.map(Full::new)).await;
    let response = response.map_err(|error| error.to_string())?;
    let status = response.status();
    Ok(Tried {
        status,
        forwarded: false,
        code: code(response).await,
    })
}

/// The `code` of a refusal. Its body is read to the end, so that another request can follow; any
/// other only where it is short.
async fn code(response: Response<Incoming>) -> Option<String> {
    let media = response.headers().get(header::CONTENT_TYPE);
    let refuses = media.is_some_and(|media| media == "application/problem+json");
    let size = http_body::Body::size_hint(response.body());
    if !refuses && size.upper().is_none_or(|size| size > REFUSAL as u64) {
        return None;
    }
    let body = Limited::new(response.into_body(), REFUSAL).collect();
    let body = body.await.ok()?.to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&body).ok()?;
    let code = problem.get("code").filter(|_| refuses)?.as_str()?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (code.len() <= 40 && code.bytes().all(plain)).then(|| code.to_owned())
}
