//! What a client gets, and the record that is closed when the client has it.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio_util::sync::CancellationToken;

use crate::access;
use crate::body::Upload;
use crate::held::HeldBody;
use crate::masked::MaskedBody;
use crate::rejection::Rejection;
use crate::server::Cut;
use crate::streams::Stream;
use crate::telemetry::{Counters, Outcome, Record};
use crate::tokens::Place;
use crate::upstream::{ResponseBody, ResponseFault, Switched};

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where the records of one worker go.
#[derive(Debug)]
pub struct Ledger {
    /// Counted here, read by control.
    pub counters: RefCell<Counters>,
    /// Lines.
    pub access: access::Writer,
}

/// The record of one request. Closed when it is dropped, whatever became of the request.
#[derive(Debug)]
pub struct Recorder {
    /// Its facts.
    pub record: Record,
    /// What the client sent of its body.
    pub upload: Option<Rc<Upload>>,
    /// What ends the exchange before its time, until there is a stream.
    pub cut: Option<Cut>,
    /// Its place among the streams, from the moment that it is sent.
    pub stream: Option<Stream>,
    /// Its place among the requests that its token has under way, if they are counted.
    pub place: Option<Place>,
    begun: Instant,
    ledger: Rc<Ledger>,
}

impl Recorder {
    /// Begins it.
    pub fn begin(record: Record, ledger: Rc<Ledger>) -> Self {
        Self {
            record,
            upload: None,
            cut: None,
            stream: None,
            place: None,
            begun: Instant::now(),
            ledger,
        }
    }

    /// Notes a refusal.
    pub fn rejected(&mut self, rejection: &Rejection) {
        let (status, code) = rejection.kind();
        self.record.status = Some(status);
        self.record.code = Some(code);
        self.stream = None;
    }

    /// Notes an attempt at the upstream that failed.
    pub fn upstream_failed(&self, kind: &'static str) {
        if let Some(target) = &self.record.target {
            self.ledger
                .counters
                .borrow_mut()
                .upstream_failure(target.series.plugin(), kind);
        }
    }

    /// Notes that an answer ended early whose head is out: the client sees it cut, and only the log
    /// says why. What was asked for is named as it is published, as for other failures.
    fn broke_off(&mut self, fault: &ResponseFault) {
        let (kind, outcome) = match fault {
            ResponseFault::TooLong(_) => ("timeout", Outcome::UpstreamTimeout),
            _ => ("body", Outcome::UpstreamBroken),
        };
        self.record.outcome = outcome;
        self.upstream_failed(kind);
        if let Some(target) = self.record.target.as_deref() {
            let (plugin, path) = (&*target.plugin, target.path.as_deref());
            let request_id = self.record.request_id.to_str().unwrap_or_default();
            tracing::info!(plugin, kind, path, request_id, error = %fault, "upstream");
        }
    }

    /// The time since the request's head was there.
    pub fn elapsed(&self) -> std::time::Duration {
        self.begun.elapsed()
    }

    /// Binds the record to a response: it is closed when the body is.
    pub fn attach(mut self: Box<Self>, mut response: Response<Content>) -> Response<Body> {
        self.record.status = Some(response.status());
        // No other response has it: HTTP/2 need not remember it (RFC 7541 §7.1.3).
        let mut id = self.record.request_id.clone();
        id.set_sensitive(true);
        response.headers_mut().insert(X_REQUEST_ID.clone(), id);
        // Nothing of a body is sent here, so nobody asks for it: its length is all that is told.
        let status = response.status();
        if self.record.method == Method::HEAD
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED
        {
            if let Content::Full(bytes) = response.body()
                && status != StatusCode::NO_CONTENT
                && !bytes.is_empty()
            {
                let length = HeaderValue::from(bytes.len());
                response
                    .headers_mut()
                    .insert(header::CONTENT_LENGTH, length);
            }
            if !matches!(response.body(), Content::Upstream(_) | Content::Masked(_)) {
                *response.body_mut() = Content::Full(Bytes::new());
            }
        }
        response.map(|content| Body {
            content,
            recorder: Some(self),
        })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.record.total = self.begun.elapsed();
        if let Some(reason) = self.stream.as_ref().and_then(Stream::reason) {
            self.record.outcome = Outcome::Cut(reason);
        }
        if let Some(upload) = &self.upload {
            self.record.request_bytes = upload.bytes();
        }
        self.ledger.counters.borrow_mut().request(&self.record);
        self.ledger.access.write(&self.record);
    }
}

/// What a response holds.
#[derive(Debug)]
pub enum Content {
    /// Bytes of ours.
    Full(Bytes),
    /// What the upstream sends.
    Upstream(Box<ResponseBody>),
    /// The same, looked at before.
    Held(Box<HeldBody>),
    /// The same, without a secret of ours that it repeats.
    Masked(Box<MaskedBody>),
    /// Nothing: behind this head the upstream speaks another protocol.
    Switched(Box<Switched>, CancellationToken),
}

/// A response body with its record.
#[derive(Debug)]
pub struct Body {
    content: Content,
    recorder: Option<Box<Recorder>>,
}

impl Body {
    /// Nothing, of a response whose record somebody else closes.
    pub fn none() -> Self {
        Self {
            content: Content::Full(Bytes::new()),
            recorder: None,
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = ResponseFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseFault>>> {
        let me = &mut *self;
        let frame = match &mut me.content {
            Content::Full(bytes) if bytes.is_empty() => None,
            Content::Full(bytes) => Some(Ok(Frame::data(std::mem::take(bytes)))),
            Content::Upstream(body) => std::task::ready!(Pin::new(body.as_mut()).poll_frame(cx)),
            Content::Held(body) => std::task::ready!(Pin::new(body.as_mut()).poll_frame(cx)),
            Content::Masked(body) => std::task::ready!(Pin::new(body.as_mut()).poll_frame(cx)),
            Content::Switched(..) => None,
        };
        let Some(recorder) = &mut me.recorder else {
            return Poll::Ready(frame);
        };
        let record = &mut recorder.record;
        match &frame {
            None => record.outcome = Outcome::Complete,
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    if record.first_byte.is_none() {
                        record.first_byte = Some(recorder.begun.elapsed());
                    }
                    record.response_bytes += data.len() as u64;
                }
                if frame.is_trailers() {
                    record.outcome = Outcome::Complete;
                }
            }
            Some(Err(fault)) => recorder.broke_off(fault),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Full(bytes) => bytes.is_empty(),
            Content::Upstream(body) => body.is_end_stream(),
            Content::Held(body) => body.is_end_stream(),
            Content::Masked(body) => body.is_end_stream(),
            Content::Switched(..) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Upstream(body) => body.size_hint(),
            Content::Held(body) => body.size_hint(),
            Content::Masked(body) => body.size_hint(),
            Content::Switched(..) => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // A body whose end is known is not asked for it once more.
        let ended = self.is_end_stream();
        if let Some(recorder) = &mut self.recorder
            && ended
            && recorder.record.outcome == Outcome::ClientLeft
        {
            recorder.record.outcome = Outcome::Complete;
        }
    }
}
