//! A rollback does not widen by itself what a declared token may do.

use std::sync::Arc;

use super::*;
use crate::control::Rolling;

const FILE: &str = "\"file:FOLDER/openapi.json\"";

fn token(id: &str, what: &str) -> String {
    let sha256 = Fingerprint::of(id.as_bytes()).to_hex();
    let what = what.replace("; ", "\n");
    format!("[tokens.{id}]\nsha256 = \"{sha256}\"\n{what}\n")
}

/// What comes of a rollback from one token to another.
async fn back(from: &str, to: &str) -> Result<(), String> {
    let mut scene = Scene::new(&token("t", to));
    published(&scene.attempt(Trigger::Start).await);
    scene.configure(FILE, "service", &token("t", from));
    published(&scene.attempt(Trigger::File).await);
    let mut roll = |weaker| {
        let rolling = Rolling {
            to: None,
            weaker,
            by: Arc::from("somebody"),
        };
        scene
            .control
            .roll_back(&rolling, jiff::Timestamp::now())
            .unwrap()
    };
    match roll(false) {
        Outcome::Published(_) => Ok(()),
        Outcome::Refused(reason) => {
            published(&roll(true));
            Err(reason.problems.render(false))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_token_may_do_is_not_widened_by_a_rollback() {
    let base = "level = \"service\"; plugins = [\"p\"]; scopes = [\"a\"]";
    let with = |more: &str| format!("{base}; {more}");
    let changed = |from: &str, to: &str| base.replace(from, to);
    let net = |list: &str| with(&format!("networks = [{list}]"));
    let (year, later) = (
        with("expires = 2990-01-01T00:00:00Z"),
        with("expires = 2991-01-01T00:00:00Z"),
    );
    for (from, to, word) in [
        (base, &changed("[\"a\"]", "[\"a\", \"b\"]"), "scopes"),
        (base, &changed("[\"a\"]", "[\"*\"]"), "scopes"),
        (base, &changed("[\"p\"]", "[\"*\"]"), "plugins"),
        (base, &changed("\"service\"", "\"user\""), "level"),
        (&net("\"10.0.0.0/8\""), &base.to_owned(), "networks"),
        (&net("\"10.1.0.0/16\""), &net("\"10.0.0.0/8\""), "networks"),
        (&year, &base.to_owned(), "expires"),
        (&year, &later, "expires"),
    ] {
        let told = back(from, to).await.unwrap_err();
        let help = "plugway rollback 1 --weaker";
        assert!(
            told.contains(word) && told.contains("token t") && told.contains(help),
            "{from} to {to}: {told}"
        );
    }
    for (from, to) in [
        (changed("[\"a\"]", "[\"*\"]"), base.to_owned()),
        (changed("[\"p\"]", "[\"*\"]"), base.to_owned()),
        (base.to_owned(), net("\"10.0.0.0/8\"")),
        (net("\"10.0.0.0/8\""), net("\"10.1.0.0/16\"")),
        (later, year),
    ] {
        assert_eq!(back(&from, &to).await, Ok(()), "{from} to {to}");
    }
}
