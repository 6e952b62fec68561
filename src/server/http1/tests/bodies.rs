//! Bodies, both ways.

use std::collections::VecDeque;
use std::convert::Infallible;

use http::{HeaderMap, HeaderValue};
use http_body::SizeHint;

use super::*;

const GET: &str = "GET / HTTP/1.1\r\n\r\n";

/// A body in pieces; an empty queue is its end, `None` its breaking off.
struct Pieces {
    frames: VecDeque<Option<Frame<Bytes>>>,
    length: Option<u64>,
}

impl Pieces {
    fn of(pieces: &[&'static str], length: Option<u64>) -> Self {
        let frame = |piece: &&'static str| Some(Frame::data(Bytes::from_static(piece.as_bytes())));
        Self {
            frames: pieces.iter().map(frame).collect(),
            length,
        }
    }

    fn and(mut self, frame: Option<Frame<Bytes>>) -> Self {
        self.frames.push_back(frame);
        self
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(
            self.frames
                .pop_front()
                .map(|frame| frame.ok_or_else(|| io::Error::other("over"))),
        )
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// What a request is answered with.
async fn answered(
    request: &str,
    response: impl Fn() -> Response<Pieces> + 'static,
) -> (String, Served) {
    let mut scene = Scene::new(move |_| {
        let response = response();
        async { response }
    });
    scene.say(request).await;
    scene.client.shutdown().await.unwrap();
    scene.end().await
}

fn plain(pieces: &'static [&'static str], length: Option<u64>) -> impl Fn() -> Response<Pieces> {
    move || Response::new(Pieces::of(pieces, length))
}

#[test]
fn a_body_is_framed_by_what_is_known_of_it() {
    run(async {
        let (heard, _) = answered(GET, plain(&["ab", "", "cd"], Some(4))).await;
        assert_eq!(heard, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcd");
        let (heard, _) = answered(GET, plain(&["ab", "", "cd"], None)).await;
        assert_eq!(
            heard,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"
        );
        // What the head says is believed where the body does not know.
        let said = || {
            let mut response = plain(&["ab"], None)();
            let length = HeaderValue::from_static("2");
            response.headers_mut().insert("content-length", length);
            response
        };
        let (heard, _) = answered(GET, said).await;
        assert_eq!(heard, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab");
        let old = "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
        let (heard, served) = answered(old, plain(&["ab", "cd"], None)).await;
        assert_eq!(heard, "HTTP/1.0 200 OK\r\n\r\nabcd");
        assert!(served.unwrap().is_none());
    });
}

#[test]
fn what_has_no_body_has_none() {
    run(async {
        let with = |status: u16| {
            move || {
                let mut response = plain(&["ab"], Some(2))();
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                response
            }
        };
        let (heard, _) = answered(GET, with(204)).await;
        assert_eq!(heard, "HTTP/1.1 204 No Content\r\n\r\n");
        let (heard, _) = answered(GET, with(304)).await;
        assert_eq!(heard, "HTTP/1.1 304 Not Modified\r\n\r\n");
        for (status, line) in [(304, "content-length: 4\r\n"), (204, "")] {
            let said = move || {
                let mut response = with(status)();
                let length = HeaderValue::from_static("4");
                response.headers_mut().insert("content-length", length);
                response
            };
            let (heard, _) = answered(GET, said).await;
            assert!(heard.ends_with(&format!("\r\n{line}\r\n")), "{heard}");
        }
        let said = || {
            let mut response = plain(&[], Some(0))();
            let length = HeaderValue::from_static("17");
            response.headers_mut().insert("content-length", length);
            response
        };
        let (heard, _) = answered("HEAD / HTTP/1.1\r\n\r\n", said).await;
        assert_eq!(heard, "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n");
        let (heard, _) = answered("HEAD / HTTP/1.1\r\n\r\n", plain(&["ab"], None)).await;
        assert_eq!(heard, "HTTP/1.1 200 OK\r\n\r\n");
    });
}

#[test]
fn a_body_that_is_not_what_was_said_ends_the_connection() {
    run(async {
        for (pieces, heard) in [
            (
                &["ab"][..],
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab",
            ),
            (
                &["ab", "cd"],
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab",
            ),
        ] {
            let (came, served) = answered(GET, plain(pieces, Some(3))).await;
            assert!(heard.starts_with(&came), "{came}");
            assert!(matches!(served, Err(Fault::Length)), "{served:?}");
        }
        let breaks = || Response::new(Pieces::of(&["ab"], None).and(None));
        let (came, served) = answered(GET, breaks).await;
        assert!(!came.contains("0\r\n\r\n"), "{came}");
        assert!(matches!(served, Err(Fault::Answer(_))), "{served:?}");
    });
}

#[test]
fn trailers_go_to_who_takes_them_if_they_were_announced() {
    run(async {
        let with = || {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-said", HeaderValue::from_static("1"));
            trailers.insert("x-unsaid", HeaderValue::from_static("2"));
            let body = Pieces::of(&["ab"], None).and(Some(Frame::trailers(trailers)));
            let mut response = Response::new(body);
            let names = HeaderValue::from_static("X-Said, x-other");
            response.headers_mut().insert("trailer", names);
            response
        };
        let head = "HTTP/1.1 200 OK\r\ntrailer: X-Said, x-other\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n";
        let (heard, _) = answered("GET / HTTP/1.1\r\nte: x, Trailers\r\n\r\n", with).await;
        assert_eq!(heard, format!("{head}x-said: 1\r\n\r\n"));
        let (heard, _) = answered(GET, with).await;
        assert_eq!(heard, format!("{head}\r\n"));
    });
}

#[test]
fn large_and_small_pieces_stay_in_order() {
    run(async {
        for length in [None, Some(())] {
            let mut sent = Vec::new();
            let sizes = [1, 1024, 1025, 7, 70_000, 1, 1, 16_384, 3, 200_000, 1];
            for (number, size) in sizes.into_iter().enumerate() {
                sent.push(Bytes::from(vec![
                    b'a' + u8::try_from(number).unwrap();
                    size
                ]));
            }
            let whole = sent.concat();
            let total = u64::try_from(whole.len()).unwrap();
            let mut scene = Scene::new(move |_| {
                let frames = sent.iter().map(|data| Some(Frame::data(data.clone())));
                let body = Pieces {
                    frames: frames.collect(),
                    length: length.map(|()| total),
                };
                async { Response::new(body) }
            });
            scene
                .say("GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
                .await;
            let mut came = Vec::new();
            scene.client.read_to_end(&mut came).await.unwrap();
            let start = came.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
            let body = &came[start..];
            if length.is_some() {
                assert!(body == whole);
            } else {
                assert!(unchunked(body) == whole);
            }
        }
    });
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|end| end == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
        if size == 0 {
            assert!(body.is_empty());
            return whole;
        }
    }
}

#[test]
fn a_client_that_waits_to_be_asked_is_asked_when_the_body_is_wanted() {
    const HEAD: &str = "POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    run(async {
        let mut scene = Scene::new(echo);
        scene.say(HEAD).await;
        assert_eq!(scene.hear().await, "HTTP/1.1 100 Continue\r\n\r\n");
        scene.say("hi").await;
        assert_eq!(scene.hear().await, echoed("POST /: hi"));
        // And one that does not wait is asked all the same, once.
        scene.say(format!("{HEAD}yo")).await;
        let both = format!("HTTP/1.1 100 Continue\r\n\r\n{}", echoed("POST /: yo"));
        assert_eq!(scene.hear().await, both);

        // Nobody wants it: what it is answered with is the last.
        let mut scene = Scene::new(|_| async { bare(StatusCode::UNAUTHORIZED) });
        scene.say(HEAD).await;
        let (heard, served) = scene.end().await;
        assert_eq!(
            heard,
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"
        );
        assert!(served.unwrap().is_none());
        // HTTP/1.0 has no such thing.
        let mut scene = Scene::new(echo);
        scene.say(format!("{}hi", HEAD.replace("1.1", "1.0"))).await;
        assert!(scene.hear().await.starts_with("HTTP/1.0 200 OK\r\n"));
    });
}

#[test]
fn an_upload_that_breaks_off_is_lost() {
    run(async {
        for (head, body) in [
            ("content-length: 5", "abc"),
            ("transfer-encoding: chunked", "5\r\nabc"),
            ("transfer-encoding: chunked", "3\r\nabc\r\n"),
        ] {
            let notes = Notes::default();
            let lost = Rc::clone(&notes);
            let mut scene = Scene::new(move |request| {
                let lost = Rc::clone(&lost);
                async move {
                    let response = echo(request).await;
                    let body = response.into_body().collect().await.unwrap().to_bytes();
                    lost.borrow_mut()
                        .push(String::from_utf8(body.to_vec()).unwrap());
                    bare(StatusCode::OK)
                }
            });
            scene
                .say(format!("POST / HTTP/1.1\r\n{head}\r\n\r\n{body}"))
                .await;
            scene.client.shutdown().await.unwrap();
            scene.end().await.1.unwrap();
            assert_eq!(*notes.borrow(), ["lost"], "{body:?}");
        }
    });
}

#[test]
fn an_answer_does_not_wait_for_the_request() {
    run(async {
        let kept = Rc::new(RefCell::new(None));
        let keep = Rc::clone(&kept);
        let mut scene = Scene::new(move |request: Request<Incoming>| {
            *keep.borrow_mut() = Some(request.into_body());
            async { Response::new(Full::<Bytes>::from("no")) }
        });
        scene
            .say("POST / HTTP/1.1\r\ncontent-length: 50\r\n\r\nabc")
            .await;
        let (heard, served) = scene.end().await;
        assert_eq!(heard, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno");
        assert!(served.unwrap().is_none());
        // Who holds the body still is told that there is no more.
        let mut body: Incoming = kept.borrow_mut().take().unwrap();
        assert!(matches!(body.frame().await, Some(Err(Lost))));
        assert!(body.frame().await.is_none());
    });
}

#[test]
fn both_ways_at_once() {
    run(async {
        // What comes goes back, as it comes.
        let mut scene = Scene::new(|request: Request<Incoming>| async {
            Response::new(Back(request.into_body()))
        });
        scene
            .say("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        assert_eq!(
            scene.hear().await,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        for piece in ["1\r\na\r\n", "2\r\nbc\r\n", "3\r\ndef\r\n"] {
            scene.say(piece).await;
            assert_eq!(scene.hear().await, piece);
        }
        scene.say("0\r\n\r\n").await;
        assert_eq!(scene.hear().await, "0\r\n\r\n");
        // The end of one is the beginning of the next.
        scene
            .say("POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\nx")
            .await;
        assert!(scene.hear().await.ends_with("\r\n\r\nx"));
    });
}

/// A request's body as a response's.
struct Back(Incoming);

impl Body for Back {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(cx));
        Poll::Ready(frame.map(|frame| Ok(frame.unwrap())))
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
