//! Exchanges: what persists, what ends, who waits for whom.

use std::future::pending;

use http::HeaderValue;

use super::*;

const GET: &str = "GET / HTTP/1.1\r\n\r\n";

#[test]
fn requests_follow_on_each_other_also_unasked() {
    run(async {
        let mut scene = Scene::new(echo);
        for number in 0..3 {
            scene.say(format!("GET /{number} HTTP/1.1\r\n\r\n")).await;
            assert_eq!(scene.hear().await, echoed(&format!("GET /{number}: ")));
        }
        let many = "GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nGET /c HTTP/1.1\r\n\r\nGET ";
        scene.say(many).await;
        let all = ["GET /a: ", "POST /b: hi", "GET /c: "].map(echoed).concat();
        assert_eq!(scene.hear().await, all);
        scene.say("/d HTTP/1.1\r\n\r\n").await;
        assert_eq!(scene.hear().await, echoed("GET /d: "));
    });
}

#[test]
fn who_says_close_is_the_last() {
    run(async {
        for line in ["close", "Close", "keep-alive, close", "x,close"] {
            let mut scene = Scene::new(echo);
            scene
                .say(format!("GET / HTTP/1.1\r\nconnection: {line}\r\n\r\n{GET}"))
                .await;
            let (heard, served) = scene.end().await;
            assert_eq!(
                heard,
                "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nGET /: "
            );
            assert!(served.unwrap().is_none());
        }
        let mut scene = Scene::new(|_| async {
            let mut response = bare(StatusCode::OK);
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert("connection", close);
            response
        });
        scene.say(GET.repeat(2)).await;
        assert_eq!(
            scene.end().await.0,
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
    });
}

#[test]
fn a_client_of_http10_is_spoken_to_as_one() {
    run(async {
        let mut scene = Scene::new(echo);
        scene
            .say("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            .await;
        assert_eq!(
            scene.hear().await,
            "HTTP/1.0 200 OK\r\ncontent-length: 7\r\nconnection: keep-alive\r\n\r\nGET /: "
        );
        scene.say("GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(
            scene.end().await.0,
            "HTTP/1.0 200 OK\r\ncontent-length: 7\r\n\r\nGET /: "
        );
    });
}

#[test]
fn a_client_that_leaves_ends_what_is_done_for_it() {
    run(async {
        let gone = Gone::default();
        let held = Rc::clone(&gone.0);
        let guard = RefCell::new(Some(gone));
        let mut scene = Scene::new(move |_| {
            let guard = guard.borrow_mut().take();
            async move {
                let _guard = guard;
                pending::<Response<Full<Bytes>>>().await
            }
        });
        scene.say(GET).await;
        settle().await;
        assert!(!held.get());
        drop(scene.client);
        assert!(matches!(scene.served.await.unwrap(), Err(Fault::Closed)));
        assert!(held.get());
    });
}

#[test]
fn a_request_that_comes_meanwhile_waits() {
    run(async {
        let (give, given) = tokio::sync::oneshot::channel::<()>();
        let given = RefCell::new(Some(given));
        let mut scene = Scene::new(move |request| {
            let given = given.borrow_mut().take();
            async move {
                if let Some(given) = given {
                    given.await.unwrap();
                }
                echo(request).await
            }
        });
        scene.say(GET).await;
        settle().await;
        scene.say("GET /second HTTP/1.1\r\n\r\n").await;
        assert_eq!(scene.hear().await, "");
        give.send(()).unwrap();
        let both = [echoed("GET /: "), echoed("GET /second: ")].concat();
        assert_eq!(scene.hear().await, both);
    });
}

#[test]
fn what_is_to_close_closes_when_nothing_is_under_way() {
    run(async {
        // Nothing ever came, and something came before.
        for before in ["", GET] {
            let mut scene = Scene::new(echo);
            scene.say(before).await;
            scene.hear().await;
            scene.course.closing.set(true);
            // Who sets it polls the connection.
            scene.served.abort();
            let (client, ours) = UnixStream::pair().unwrap();
            let course = Course::default();
            course.closing.set(true);
            let limits = Limits::default();
            let served = serve(ours, echo, &limits, &course).await;
            assert!(served.unwrap().is_none());
            drop(client);
        }
        // A head that has begun is answered, and told.
        let mut scene = Scene::new(echo);
        scene.say("GET / HT").await;
        settle().await;
        scene.course.closing.set(true);
        scene.say("TP/1.1\r\n\r\n").await;
        assert_eq!(
            scene.end().await.0,
            "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nGET /: "
        );
    });
}

#[test]
fn the_end_between_requests_is_an_end_and_within_one_is_none() {
    run(async {
        for (before, is_whole) in [("", true), ("\r\n", true), (GET, true), ("G", false)] {
            let mut scene = Scene::new(echo);
            scene.say(before).await;
            scene.hear().await;
            drop(scene.client);
            assert_eq!(scene.served.await.unwrap().is_ok(), is_whole, "{before:?}");
        }
    });
}

#[test]
fn behind_a_switch_every_byte_is_the_others() {
    run(async {
        let mut scene = Scene::new(|_| async {
            let mut response = bare(StatusCode::SWITCHING_PROTOCOLS);
            let fields = response.headers_mut();
            fields.insert("connection", HeaderValue::from_static("upgrade"));
            fields.insert("upgrade", HeaderValue::from_static("x"));
            response
        });
        scene
            .say("GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nearly")
            .await;
        assert_eq!(
            scene.hear().await,
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
        );
        let mut switched = scene.served.await.unwrap().unwrap().unwrap();
        scene.client.write_all(b" late").await.unwrap();
        let mut came = [0; 10];
        switched.read_exact(&mut came).await.unwrap();
        assert_eq!(&came, b"early late");
        switched.write_all(b"back").await.unwrap();
        let mut back = [0; 4];
        scene.client.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"back");
    });
}
