//! Switching to another protocol (RFC 9110 §7.8).

use std::rc::Weak;

use http::{HeaderValue, Response, StatusCode};

use super::deadline::Deadline;
use super::line::Line;
use super::{
    Broken, Failed, Outgoing, ResponseBody, Target, UpstreamError, Upstreams, accept, exchange,
};
use crate::snapshot::Targets;

pub use super::http1::Switched;

/// What an upstream makes of a request to switch.
#[derive(Debug)]
pub enum Answer {
    /// It does (101).
    Switched(Response<Switched>),
    /// It does not: a response as to any other request.
    Response(Response<Box<ResponseBody>>),
}

impl Upstreams {
    /// Sends a request to switch to `protocol`, on a connection of its own: neither one that
    /// served others before, nor one that serves others afterwards, whatever the answer is.
    /// Nothing is sent twice. Gives the target that the answer came from, too.
    pub async fn switch<'t>(
        &self,
        targets: &'t Targets,
        mut outgoing: Box<Outgoing>,
        protocol: &HeaderValue,
    ) -> Result<(Answer, &'t Target), UpstreamError> {
        if targets.first().http2 {
            return Err(UpstreamError::NoUpgrade);
        }
        let upload = outgoing.request.body().upload();
        let (channel, target) = self.open(targets, &mut outgoing).await?;
        let deadline = target.total.map(Deadline::from_now);
        let sent = exchange(target, Line::Own(channel), outgoing, &upload, deadline).await;
        let (line, response) = sent.map_err(|Failed { error, .. }| error)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let accepted = accept(target, line, response, Weak::new(), &upload, deadline);
            return accepted.map(|response| (Answer::Response(response), target));
        }
        if !crate::headers::switches(response.headers(), protocol) {
            return Err(UpstreamError::Broken(Broken::Switched));
        }
        let response = response.map(drop);
        let switched = match line {
            Line::Own(channel) => channel.connection.into_switched(),
            Line::Stream(_) => None,
        };
        let stream = switched.ok_or(UpstreamError::Broken(Broken::Switched))?;
        let response = response.map(|()| stream);
        Ok((Answer::Switched(response), target))
    }
}
