//! Switching to another protocol (RFC 9110 §7.8).

use std::rc::Weak;

use http::{HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};

use super::line::Line;
use super::{Broken, Failed, ResponseBody, Target, UpstreamError, Upstreams, accept, exchange};
use crate::body::RequestBody;
use crate::snapshot::Targets;

/// A connection on which the upstream speaks the protocol that it was asked for, from the first
/// byte behind its 101.
pub type Switched = TokioIo<Upgraded>;

/// What an upstream makes of a request to switch.
#[derive(Debug)]
pub enum Answer {
    /// It does (101).
    Switched(Response<Switched>),
    /// It does not: a response as to any other request.
    Response(Response<ResponseBody>),
}

impl Upstreams {
    /// Sends a request to switch to `protocol`, on a connection of its own: neither one that
    /// served others before, nor one that serves others afterwards, whatever the answer is.
    /// Nothing is sent twice. Gives the target that the answer came from, too.
    pub async fn switch<'t>(
        &self,
        targets: &'t Targets,
        mut request: Request<RequestBody>,
        protocol: &HeaderValue,
    ) -> Result<(Answer, &'t Target), UpstreamError> {
        if targets.first().http2 {
            return Err(UpstreamError::NoUpgrade);
        }
        let upload = request.body().upload();
        let (channel, target) = self.open(targets, &mut request).await?;
        let deadline = target.total.map(|total| Instant::now() + total);
        let sent = exchange(target, Line::Own(channel), request, &upload, deadline).await;
        let (line, response) = sent.map_err(|Failed { error, .. }| error)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let accepted = accept(target, line, response, Weak::new(), &upload, deadline);
            return accepted.map(|response| (Answer::Response(response), target));
        }
        if !crate::headers::switches(response.headers(), protocol) {
            return Err(UpstreamError::Broken(Broken::Switched));
        }
        let mut response = response.map(drop);
        // The connection's task gives it away the next time that it is polled.
        let stream = timeout(target.timeout, hyper::upgrade::on(&mut response))
            .await
            .map_err(|_| UpstreamError::TimedOut(target.timeout))?
            .map_err(|error| UpstreamError::Broken(error.into()))?;
        if let Line::Own(channel) = &line {
            channel.traffic.switched();
        }
        let response = response.map(|()| TokioIo::new(stream));
        Ok((Answer::Switched(response), target))
    }
}
