//! The codec over real sockets: what these tests write is what a client sends.

mod bodies;
mod differences;
mod exchange;
mod heads;
mod idle;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::{JoinHandle, spawn_local, yield_now};

use super::*;
use crate::http1::harness::{run, settle};

type Served = Result<Option<Switched<UnixStream>>, Fault>;

/// A connection that is served, and its client.
struct Scene {
    client: UnixStream,
    course: Rc<Course>,
    served: JoinHandle<Served>,
}

impl Scene {
    fn new<F, B>(service: impl Fn(Request<Incoming>) -> F + 'static) -> Self
    where
        F: Future<Output = Response<B>> + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
            + Unpin
            + 'static,
    {
        Self::within(Limits::default(), service)
    }

    fn within<F, B>(limits: Limits, service: impl Fn(Request<Incoming>) -> F + 'static) -> Self
    where
        F: Future<Output = Response<B>> + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
            + Unpin
            + 'static,
    {
        let (client, ours) = UnixStream::pair().unwrap();
        let course = Rc::new(Course::default());
        let told = Rc::clone(&course);
        let served = spawn_local(async move { serve(ours, service, &limits, &told).await });
        Self {
            client,
            course,
            served,
        }
    }

    async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.write_all(bytes.as_ref()).await.unwrap();
    }

    /// All that is said by now.
    async fn hear(&mut self) -> String {
        settle().await;
        let mut heard = Vec::new();
        loop {
            let mut piece = [0; 4096];
            match self.client.try_read(&mut piece) {
                Ok(0) | Err(_) => break,
                Ok(length) => heard.extend_from_slice(&piece[..length]),
            }
            settle().await;
        }
        undated(&String::from_utf8_lossy(&heard))
    }

    /// Whether the connection is over, and how.
    async fn end(self) -> (String, Served) {
        let Self {
            mut client, served, ..
        } = self;
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        (
            undated(&String::from_utf8_lossy(&heard)),
            served.await.unwrap(),
        )
    }
}

/// Without the lines that have the date, after a look at one of them.
fn undated(text: &str) -> String {
    let mut rest = String::new();
    for line in text.split_inclusive("\r\n") {
        match line.strip_prefix("date: ") {
            Some(date) => {
                assert!(date.ends_with(" GMT\r\n") && date.len() == 31, "{date}");
            }
            None => rest.push_str(line),
        }
    }
    rest
}

/// Answers with what it was asked, when all of it came.
async fn echo(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let text = match body.collect().await {
        Ok(body) => format!(
            "{} {}: {}",
            head.method,
            head.uri,
            String::from_utf8_lossy(&body.to_bytes())
        ),
        Err(Lost) => "lost".to_owned(),
    };
    Response::new(Full::from(text))
}

use crate::body::Lost;

/// The answer of [`echo`].
fn echoed(text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
}

/// Notes when it is dropped.
#[derive(Default, Clone)]
struct Gone(Rc<Cell<bool>>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// What happened, in order.
type Notes = Rc<RefCell<Vec<String>>>;

/// A response without content.
fn bare(status: StatusCode) -> Response<http_body_util::Empty<Bytes>> {
    let mut response = Response::new(http_body_util::Empty::new());
    *response.status_mut() = status;
    response
}
