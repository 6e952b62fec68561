//! Secrets that change while something else is broken.

use std::io;
use std::sync::Mutex;

use super::guards::{including, part};
use super::*;

/// A plugin of a file of its own, whose token's secret lies in another.
fn with_secret(scene: &Scene, name: &str) -> String {
    let (plugin, secret) = (part(scene, name, "service"), scene.path(name));
    format!(
        "{plugin}[tokens.{name}]\nlevel = \"service\"\nplugins = [\"{name}\"]\nscopes = [\"*\"]\n\
         secret = \"${{file:{}}}\"\n",
        secret.display()
    )
}

fn first(name: &str) -> String {
    format!("the-first-secret-of-all-of-{name}")
}

fn second(name: &str) -> String {
    format!("the-second-secret-of-all-of-{name}")
}

/// One plugin in the main file, and two that are included, with their secrets.
async fn scene() -> Scene {
    let mut scene = Scene::new("");
    fs::create_dir(scene.path("more")).unwrap();
    including(&scene, "more/*.toml");
    for name in ["q", "r"] {
        scene.write(name, &first(name));
        let text = with_secret(&scene, name);
        scene.write(&format!("more/{name}.toml"), &text);
    }
    published(&scene.attempt(Trigger::Start).await);
    assert!(scene.opens(&first("q")) && scene.opens(&first("r")));
    scene
}

/// Makes an included file one that is no TOML.
async fn break_file(scene: &mut Scene, name: &str) {
    let text = with_secret(scene, name);
    scene.write(&format!("more/{name}.toml"), &format!("{text}nonsense"));
    let outcome = scene.attempt(Trigger::File).await;
    assert!(matches!(outcome, Outcome::Unchanged), "{outcome:?}");
}

/// The hash that the running generation's record has of a file.
fn recorded(scene: &Scene, name: &str) -> Fingerprint {
    let (path, record) = (scene.path(name), scene.control.record.as_ref().unwrap());
    let mut files = record.files.iter();
    files.find(|file| file.path == path).unwrap().sha256
}

#[tokio::test]
async fn a_secret_that_can_not_be_read_keeps_no_other_from_being_renewed() {
    let mut scene = scene().await;
    break_file(&mut scene, "q").await;
    break_file(&mut scene, "r").await;
    fs::remove_file(scene.path("r")).unwrap();
    scene.write("q", &second("q"));
    published(&scene.attempt(Trigger::File).await);
    assert!(scene.opens(&second("q")) && !scene.opens(&first("q")));
    assert!(scene.opens(&first("r")));
    // Nor does one of a file that is whole and asks for it no more.
    scene.write("more/r.toml", &part(&scene, "r", "service"));
    published(&scene.attempt(Trigger::File).await);
    scene.write("q", &first("q"));
    published(&scene.attempt(Trigger::File).await);
    assert!(scene.opens(&first("q")) && !scene.opens(&second("q")));
}

#[tokio::test]
async fn a_secret_that_is_refused_keeps_no_other_from_being_renewed() {
    let mut scene = scene().await;
    break_file(&mut scene, "q").await;
    break_file(&mut scene, "r").await;
    // That of another token.
    scene.write("s", &first("s"));
    scene.write("more/s.toml", &with_secret(&scene, "s"));
    published(&scene.attempt(Trigger::File).await);
    scene.write("r", &first("s"));
    scene.write("q", &second("q"));
    published(&scene.attempt(Trigger::File).await);
    assert!(scene.opens(&second("q")) && !scene.opens(&first("q")));
    assert!(scene.opens(&first("r")) && scene.opens(&first("s")));
}

#[tokio::test]
async fn mended_as_it_was_a_renewed_file_is_nothing_new() {
    let mut scene = scene().await;
    break_file(&mut scene, "q").await;
    scene.write("q", &second("q"));
    published(&scene.attempt(Trigger::File).await);
    let text = with_secret(&scene, "q");
    scene.write("more/q.toml", &text);
    let outcome = scene.attempt(Trigger::File).await;
    assert!(matches!(outcome, Outcome::Unchanged), "{outcome:?}");
    assert_eq!(scene.control.generation(), 2);
    assert!(
        scene.control.status()["held"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_recorded_of_a_renewed_file_is_its_secret_of_now() {
    let mut scene = scene().await;
    break_file(&mut scene, "q").await;
    let before = recorded(&scene, "q");
    assert_eq!(before, Fingerprint::of(first("q").as_bytes()));
    scene.write("q", &second("q"));
    published(&scene.attempt(Trigger::File).await);
    assert_eq!(
        recorded(&scene, "q"),
        Fingerprint::of(second("q").as_bytes())
    );
    // Also where the main file is broken as well.
    let main = fs::read_to_string(scene.path("p.toml")).unwrap();
    scene.write("p.toml", &format!("{main}nonsense"));
    scene.write("q", &first("q"));
    let outcome = scene.attempt(Trigger::File).await;
    refused(&outcome, Stage::Validate, "TOML");
    assert!(scene.opens(&first("q")) && !scene.opens(&second("q")));
    assert_eq!(
        recorded(&scene, "q"),
        Fingerprint::of(first("q").as_bytes())
    );
    // And mended it is nothing new.
    let serves = scene.control.generation();
    scene.write("p.toml", &main);
    scene.write("more/q.toml", &with_secret(&scene, "q"));
    let outcome = scene.attempt(Trigger::File).await;
    assert!(matches!(outcome, Outcome::Unchanged), "{outcome:?}");
    assert_eq!(scene.control.generation(), serves);
}

/// What is logged, as text.
#[derive(Debug, Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Logged {
    fn start(&self) -> tracing::subscriber::DefaultGuard {
        let logged = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || logged.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    fn count(&self, what: &str) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.matches(what).count()
    }
}

#[tokio::test]
async fn a_secret_that_is_refused_beside_a_broken_main_file_is_told_once() {
    const TOLD: &str = "the secrets and tokens of now are refused";
    let extra = "[tokens.p]\nlevel = \"service\"\nplugins = [\"p\"]\nscopes = [\"*\"]\n\
                 secret = \"${file:FOLDER/secret}\"\n";
    let logged = Logged::default();
    let _guard = logged.start();
    let mut scene = Scene::new(extra);
    scene.write("secret", &first("p"));
    published(&scene.attempt(Trigger::Start).await);
    let main = fs::read_to_string(scene.path("p.toml")).unwrap();
    scene.write("p.toml", &format!("{main}nonsense"));
    refused(&scene.attempt(Trigger::File).await, Stage::Validate, "TOML");
    assert_eq!(logged.count(TOLD), 0);
    scene.write("secret", "short");
    for _ in 0..2 {
        refused(&scene.attempt(Trigger::File).await, Stage::Validate, "TOML");
        assert_eq!(
            (logged.count(TOLD), logged.count("is shorter than")),
            (1, 1)
        );
    }
    assert!(scene.opens(&first("p")));
    // Whole for a while, it is told again.
    scene.write("secret", &second("p"));
    scene.attempt(Trigger::File).await;
    assert!(scene.opens(&second("p")));
    scene.write("secret", "short");
    scene.attempt(Trigger::File).await;
    assert_eq!(logged.count(TOLD), 2);
}
