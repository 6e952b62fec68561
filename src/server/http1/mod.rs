//! HTTP/1.1 towards a client (RFC 9112): one exchange after the other, in the task of the
//! connection.
//!
//! Nothing is handed from task to task: the body of a request is read by who asks for it, and the
//! body of a response is written as it comes. A connection that waits for a request holds no buffer.

mod answer;
#[cfg(any(test, fuzzing))]
pub(super) mod differential;
mod head;
mod spare;
#[cfg(test)]
mod tests;
mod upload;
mod wire;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body::{Body, Frame};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use answer::{Answer, Asked};
pub(super) use head::Malformed;
use head::{Bounds, Head};
use upload::Upload;
use wire::{Wire, Writes};

use super::linger::OpenEnded;
use super::presence::Far;
use crate::body::Incoming;
use crate::config::Limits;
use crate::http1::{Broken, Framing, Left, Message, Outflow, Unsent};
use crate::layers::give_kept;

/// How a connection broke.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// What came is no head of a request.
    #[error("{0}")]
    Head(#[from] Malformed),
    /// The client left in the middle of a message.
    #[error("connection closed before message completed")]
    Closed,
    /// It broke.
    #[error("connection error: {0}")]
    Io(#[from] io::Error),
    /// The body of a response ended before its time: so does the connection.
    #[error("the response broke off: {0}")]
    Answer(Box<dyn std::error::Error + Send + Sync>),
    /// It is not what its head says.
    #[error("the response's body is not what its head says")]
    Length,
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Io(error) => Self::Io(error),
            Broken::Closed | Broken::Chunks(_) => Self::Closed,
        }
    }
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<Unsent<E>> for Fault {
    fn from(unsent: Unsent<E>) -> Self {
        match unsent {
            Unsent::Io(error) => Self::Io(error),
            Unsent::Body(error) => Self::Answer(error.into()),
            Unsent::Length => Self::Length,
        }
    }
}

/// A response on its way.
struct Reply<B> {
    /// Until it is over, so that who counts it knows when it was.
    body: Option<B>,
    trailers: Vec<HeaderName>,
}

impl<B: Body<Data = Bytes> + Unpin> Message for Reply<B> {
    type Error = B::Error;

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        if frame.is_none() || body.is_end_stream() {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn announces(&self, trailer: &HeaderName) -> bool {
        self.trailers.contains(trailer)
    }
}

/// A connection of HTTP/1.1 whose client speaks something else from now on.
#[derive(Debug)]
pub(super) struct Switched<T> {
    inner: T,
    /// Read before, and not looked at.
    ahead: Bytes,
}

/// What those around a connection and the connection itself tell each other.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// There is to be no further request.
    pub(super) closing: Cell<bool>,
    /// An answer is on its way that ends with the connection.
    pub(super) open_ended: OpenEnded,
}

/// Serves a connection to its end. `service` always answers. The connection, when its client
/// switched to another protocol.
pub(super) async fn serve<T, F, B>(
    io: T,
    service: impl Fn(Request<Incoming>) -> F,
    limits: &Limits,
    course: &Course,
) -> Result<Option<Switched<T>>, Fault>
where
    T: AsyncRead + AsyncWrite + Far + Unpin + 'static,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    let bounds = Bounds {
        bytes: limits.head_bytes,
        fields: limits.headers,
    };
    let wire = Rc::new(RefCell::new(Wire::new(io)));
    loop {
        let head = poll_fn(|cx| wire.borrow_mut().poll_head(cx, bounds, &course.closing));
        let head = match head.await {
            Ok(Some(head)) => head,
            Ok(None) => break,
            Err(Fault::Head(malformed)) => {
                refuse(&wire, malformed).await?;
                return Err(malformed.into());
            }
            Err(fault) => return Err(fault),
        };
        match exchange(&wire, head, &service, course).await? {
            Next::Request => tokio::task::coop::consume_budget().await,
            Next::Close => break,
            Next::Switched => {
                let taken = wire.borrow_mut().take();
                return Ok(taken.map(|(io, ahead)| Switched { inner: io, ahead }));
            }
        }
    }
    // Somebody may still hold a body: it is told that there is no more.
    let taken = wire.borrow_mut().take();
    if let Some((mut io, _)) = taken {
        io.shutdown().await?;
    }
    Ok(None)
}

/// What follows on an exchange.
enum Next {
    Request,
    Close,
    Switched,
}

/// One request, and its answer.
async fn exchange<T, F, B>(
    wire: &Rc<RefCell<Wire<T>>>,
    head: Head,
    service: &impl Fn(Request<Incoming>) -> F,
    course: &Course,
) -> Result<Next, Fault>
where
    T: AsyncRead + AsyncWrite + Far + Unpin + 'static,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    let asked = Asked::by(&head);
    let body = match head.left {
        Left::Nothing => Incoming::Empty,
        left => Incoming::Own(Box::pin(Upload::new(Rc::clone(wire), left))),
    };
    let response = {
        let mut response = pin!(service(head.request.map(|()| body)));
        let answered = poll_fn(|cx| match response.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Ok(response)),
            Poll::Pending => wire.borrow_mut().poll_gone(cx).map(Err),
        });
        answered.await?
    };
    wire.borrow_mut().answers();
    poll_fn(|cx| wire.borrow_mut().poll_ask(cx)).await?;
    wire.borrow_mut().is_answered = true;
    let (head, body) = response.into_parts();
    let answer = Answer::new(head, &body, asked, !course.closing.get());
    course.open_ended.set(answer.framing == Framing::Close);
    let mut outflow = Outflow::new(answer.head, answer.framing);
    let mut reply = Reply {
        body: Some(body).filter(|_| !outflow.is_over()),
        trailers: answer.trailers,
    };
    poll_fn(|cx| match outflow.poll(&mut Writes(wire), &mut reply, cx) {
        Poll::Ready(sent) => Poll::Ready(sent.map_err(Fault::from)),
        Poll::Pending => wire.borrow_mut().poll_gone(cx).map(Err),
    })
    .await?;
    course.open_ended.set(false);
    Ok(if answer.switches {
        Next::Switched
    } else if answer.persists && wire.borrow().is_read() {
        Next::Request
    } else {
        Next::Close
    })
}

/// Answers what can not be understood, and closes.
async fn refuse<T: AsyncRead + AsyncWrite + Unpin>(
    wire: &Rc<RefCell<Wire<T>>>,
    malformed: Malformed,
) -> io::Result<()> {
    let taken = wire.borrow_mut().take();
    let (Some(status), Some((mut io, _))) = (malformed.status(), taken) else {
        return Ok(());
    };
    let body = http_body_util::Empty::<Bytes>::new();
    let mut head = Response::new(()).into_parts().0;
    head.status = status;
    let answer = Answer::new(head, &body, Asked::nothing(), false);
    io.write_all(&answer.head).await?;
    io.flush().await?;
    io.shutdown().await
}

impl<T: AsyncRead + Unpin> AsyncRead for Switched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let ahead = &mut self.ahead;
        if !ahead.is_empty() {
            give_kept(ahead, buf);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

crate::layers::pass_writes!(Switched);
