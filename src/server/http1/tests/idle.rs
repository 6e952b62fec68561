//! What a connection holds while it waits.

use super::*;

#[test]
fn a_connection_that_waits_holds_no_buffer() {
    run(async {
        let (mut client, ours) = UnixStream::pair().unwrap();
        let wire = Rc::new(RefCell::new(Wire::new(ours)));
        let bounds = Bounds {
            bytes: 1 << 16,
            fields: 100,
        };
        let course = Course::default();
        for head in ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n\r\n"] {
            client.write_all(head.as_bytes()).await.unwrap();
            let head = poll_fn(|cx| wire.borrow_mut().poll_head(cx, bounds, &course.closing)).await;
            let head = head.unwrap().unwrap();
            exchange(&wire, head, &echo, &course).await.unwrap();
            let waits = poll_fn(|cx| {
                Poll::Ready(
                    wire.borrow_mut()
                        .poll_head(cx, bounds, &course.closing)
                        .is_pending(),
                )
            });
            assert!(waits.await);
            assert_eq!(wire.borrow().held(), 0);
        }
    });
}

#[test]
fn a_connection_that_waits_is_small() {
    let (course, limits) = (Course::default(), Limits::default());
    run(async {
        let (_client, ours) = UnixStream::pair().unwrap();
        // What serves requests is in a box.
        let size = size_of_val(&serve(
            ours,
            |request| Box::pin(echo(request)),
            &limits,
            &course,
        ));
        assert!(size <= 1280, "{size}");
    });
}
