//! Over a real socket, with a client of a few lines.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// Serves while `test` runs, then stops; so every test also tests the end.
async fn with_api<F: Future<Output = ()>>(test: impl FnOnce(SocketAddr) -> F) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = serve(listener, async { drop(stopped.await) });
    let ((), ()) = tokio::join!(server, async {
        test(address).await;
        drop(stop);
    });
}

/// What came back.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends one request, as ann unless its lines name another.
async fn call(address: SocketAddr, line: &str, body: Option<&str>) -> Answer {
    let kind = body.map_or(String::new(), |body| {
        format!(
            "Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n",
            body.len()
        )
    });
    let head = format!(
        "{line} HTTP/1.1\r\nHost: todo\r\nConnection: close\r\nX-Plugway-Principal: ann\r\n{kind}\r\n"
    );
    raw(address, &format!("{head}{}", body.unwrap_or_default())).await
}

/// Sends bytes and reads an answer to its end.
async fn raw(address: SocketAddr, request: &str) -> Answer {
    let mut socket = TcpStream::connect(address).await.unwrap();
    // A refusal may come, and the connection be reset, before all of the body was taken.
    let _ = socket.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (
            name.parse::<http::HeaderName>().unwrap(),
            value.parse().unwrap(),
        )
    });
    Answer {
        status,
        headers: headers.collect(),
        body: body.to_owned(),
    }
}

/// Whether a value fits a schema of the document.
#[track_caller]
fn check_schema(name: &str, value: &Value) {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let schema = json!({ "$ref": format!("#/components/schemas/{name}"), "components": document["components"] });
    jsonschema::validate(&schema, value).unwrap();
}

#[tokio::test]
async fn a_todo_from_beginning_to_end() {
    with_api(async |address| {
        let added = call(address, "POST /todos", Some(r#"{"text":"Buy milk"}"#)).await;
        assert_eq!((added.status, added.header("location")), (201, "/todos/1"));
        assert_eq!(
            added.json(),
            json!({"id": 1, "text": "Buy milk", "done": false})
        );
        check_schema("Todo", &added.json());
        assert_eq!(
            call(address, "GET /todos/1", None).await.json(),
            added.json()
        );

        let changed = call(address, "PATCH /todos/1", Some(r#"{"done":true}"#)).await;
        assert_eq!(
            changed.json(),
            json!({"id": 1, "text": "Buy milk", "done": true})
        );

        let removed = call(address, "DELETE /todos/1", None).await;
        assert_eq!((removed.status, removed.body.as_str()), (204, ""));
        assert_eq!(call(address, "GET /todos/1", None).await.status, 404);
        assert_eq!(call(address, "DELETE /todos/1", None).await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn lists_are_kept_for_each_principal_and_can_be_asked_in_part() {
    with_api(async |address| {
        for text in ["a", "b", "c"] {
            call(
                address,
                "POST /todos",
                Some(&json!({ "text": text }).to_string()),
            )
            .await;
        }
        call(address, "PATCH /todos/2", Some(r#"{"done":true}"#)).await;
        for (query, expected) in [
            ("", vec![1, 2, 3]),
            ("?done=true", vec![2]),
            ("?done=false", vec![1, 3]),
            ("?limit=2", vec![1, 2]),
            ("?done=false&limit=1&other=x", vec![1]),
        ] {
            let answer = call(address, &format!("GET /todos{query}"), None)
                .await
                .json();
            check_schema("TodoList", &answer);
            let ids: Vec<_> = answer["todos"]
                .as_array()
                .unwrap()
                .iter()
                .map(|todo| todo["id"].as_i64().unwrap())
                .collect();
            assert_eq!(ids, expected, "{query}");
            assert_eq!(answer["owner"], "ann");
        }
        let others = raw(
            address,
            "GET /todos HTTP/1.1\r\nHost: todo\r\nConnection: close\r\n\r\n",
        )
        .await;
        assert_eq!(others.json(), json!({"owner": "anonymous", "todos": []}));
    })
    .await;
}

#[tokio::test]
async fn refusals_are_problems() {
    let long = json!({ "text": "ü".repeat(501) }).to_string();
    let huge = json!({ "text": "x".repeat(MAX_BODY) }).to_string();
    with_api(async |address| {
        for (line, body, status) in [
            ("GET /nothing", None, 404),
            ("GET /todos/1", None, 404),
            ("GET /todos/x", None, 404),
            ("GET /todos/%ff", None, 404),
            ("GET /todos/99999999999999999999", None, 404),
            ("PATCH /todos/1", Some(r#"{"done":true}"#), 404),
            ("PUT /todos", None, 405),
            ("GET /todos?limit=0", None, 422),
            ("GET /todos?limit=1001", None, 422),
            ("GET /todos?done=yes", None, 422),
            ("POST /todos", None, 415),
            ("POST /todos", Some(""), 422),
            ("POST /todos", Some("[]"), 422),
            ("POST /todos", Some(r#"{"text":1}"#), 422),
            ("POST /todos", Some(r#"{"text":" "}"#), 422),
            ("POST /todos", Some(r#"{"text":"x","done":true}"#), 422),
            ("PATCH /todos/1", Some("{}"), 422),
            ("POST /todos", Some(&long), 422),
            ("POST /todos", Some(&huge), 413),
        ] {
            let answer = call(address, line, body).await;
            assert_eq!(answer.status, status, "{line} {body:?}");
            assert_eq!(
                answer.header("content-type"),
                "application/problem+json",
                "{line}"
            );
            assert_eq!(answer.json()["status"], status);
            check_schema("Problem", &answer.json());
        }
        assert_eq!(
            call(address, "PUT /todos", None).await.header("allow"),
            "GET,HEAD,POST"
        );
        let accepted = json!({ "text": "ü".repeat(500) }).to_string();
        assert_eq!(
            call(address, "POST /todos", Some(&accepted)).await.status,
            201
        );
    })
    .await;
}

#[tokio::test]
async fn a_watcher_sees_the_list_and_each_change_of_it() {
    with_api(async |address| {
        call(address, "POST /todos", Some(r#"{"text":"a"}"#)).await;
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = "GET /events HTTP/1.1\r\nHost: todo\r\nX-Plugway-Principal: ann\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let head = read_until(&mut socket, "\n\n").await;
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        assert!(head.contains("event: list\ndata: [{\"id\":1,\"text\":\"a\",\"done\":false}]\n\n"), "{head}");

        let bob = "POST /todos HTTP/1.1\r\nHost: todo\r\nConnection: close\r\nX-Plugway-Principal: bob\r\n\
                   Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"text\":\"bob\"}";
        assert_eq!(raw(address, bob).await.status, 201);
        call(address, "PATCH /todos/1", Some(r#"{"text":"b\nc"}"#)).await;
        let event = read_until(&mut socket, "\n\n").await;
        assert!(event.contains("event: updated\ndata: {\"id\":1,\"text\":\"b\\nc\",\"done\":false}\n\n"), "{event}");
        call(address, "DELETE /todos/1", None).await;
        assert!(read_until(&mut socket, "\n\n").await.contains("event: removed\n"));
    })
    .await;
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let began = std::time::Instant::now();
    let ((), rest) = tokio::join!(serve(listener, async { drop(stopped.await) }), async {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket
            .write_all(b"GET /events HTTP/1.1\r\nHost: todo\r\n\r\n")
            .await
            .unwrap();
        read_until(&mut socket, "event: list\ndata: []\n\n").await;
        drop(stop);
        let mut rest = String::new();
        socket.read_to_string(&mut rest).await.unwrap();
        rest
    });
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
    assert!(began.elapsed() < STOP_WITHIN);
}

/// Reads until a text has come.
async fn read_until(socket: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read);
        if text.contains(end) {
            return text.into_owned();
        }
        assert_ne!(
            socket.read_buf(&mut read).await.unwrap(),
            0,
            "ended after {:?}",
            String::from_utf8_lossy(&read)
        );
    }
}

#[tokio::test]
async fn the_document_tells_the_truth() {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let mut ids = Vec::new();
    with_api(async |address| {
        let served = call(address, "GET /openapi.json", None).await;
        assert_eq!(served.header("content-type"), "application/json");
        assert_eq!(served.json(), document);
        for (path, item) in document["paths"].as_object().unwrap() {
            let operations = item
                .as_object()
                .unwrap()
                .iter()
                .filter(|(method, _)| *method != "parameters");
            for (method, operation) in operations {
                ids.push(operation["operationId"].as_str().unwrap().to_owned());
                assert_eq!(operation["tags"], json!(["todos"]));
                for field in ["summary", "description"] {
                    assert!(
                        operation[field]
                            .as_str()
                            .is_some_and(|text| text.len() <= 200)
                    );
                }
                // HEAD instead of GET, since an event stream has no end.
                let method = if method == "get" {
                    "HEAD".to_owned()
                } else {
                    method.to_uppercase()
                };
                let status = call(
                    address,
                    &format!("{method} {}", path.replace("{id}", "1")),
                    None,
                )
                .await
                .status;
                assert!(![405, 500].contains(&status), "{method} {path}: {status}");
                let responses = &operation["responses"];
                assert!(
                    status == 415 || responses.get(status.to_string()).is_some(),
                    "{method} {path}: {status}"
                );
            }
        }
    })
    .await;
    assert_eq!(
        ids,
        [
            "listTodos",
            "addTodo",
            "getTodo",
            "updateTodo",
            "removeTodo",
            "watchTodos"
        ]
    );
}

#[test]
fn the_documents_examples_fit_their_schemas() {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let mut checked = 0;
    check_examples(&document, &document["components"], &mut checked);
    assert_eq!(checked, 25);
}

/// Checks `examples` beside a `schema`, and those of a schema itself, all the way down.
#[track_caller]
fn check_examples(value: &Value, components: &Value, checked: &mut usize) {
    if let (Some(schema), Some(examples)) = (value.get("schema"), value["examples"].as_object()) {
        let mut schema = schema.clone();
        schema["components"] = components.clone();
        for (name, example) in examples {
            jsonschema::validate(&schema, &example["value"])
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            *checked += 1;
        }
    }
    for example in value["examples"].as_array().into_iter().flatten() {
        jsonschema::validate(value, example).unwrap();
        *checked += 1;
    }
    match value {
        Value::Object(members) => members
            .values()
            .for_each(|value| check_examples(value, components, checked)),
        Value::Array(items) => items
            .iter()
            .for_each(|value| check_examples(value, components, checked)),
        _ => {}
    }
}
