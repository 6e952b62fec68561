//! The lists, one for each owner, and who watches them.

use std::collections::{BTreeMap, HashMap};

use hyper::body::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

/// All lists. Lives in memory, and is bounded in every direction.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// By owner. A list begins with its first to-do and stays when it is empty again, so that
    /// an id is never given twice.
    by_owner: HashMap<String, List>,
    /// Who is told about changes.
    watchers: Vec<Watcher>,
    /// Whether the server stops: nobody may begin to watch.
    closed: bool,
}

/// The to-dos of one owner.
#[derive(Debug, Default)]
struct List {
    /// By id.
    todos: BTreeMap<u64, Todo>,
    /// The id given last; the first is 1.
    last_id: u64,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Todo {
    /// Unique in its list, counted from 1, never given again.
    pub(super) id: u64,
    /// What.
    pub(super) text: String,
    /// Whether it is done.
    pub(super) done: bool,
}

/// An open event stream.
#[derive(Debug)]
struct Watcher {
    /// Whose list.
    owner: String,
    /// Where its events go. The stream ends when this is dropped.
    events: mpsc::Sender<Bytes>,
}

/// A bound was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The owner has too many to-dos.
    Todos,
    /// Too many owners.
    Lists,
    /// Too many event streams, or the server stops.
    Watchers,
}

impl Lists {
    /// The first to-dos of an owner, or those that are done or not.
    pub(super) fn list(&self, owner: &str, done: Option<bool>, limit: usize) -> Vec<Todo> {
        let todos = self
            .by_owner
            .get(owner)
            .into_iter()
            .flat_map(|list| list.todos.values());
        let wanted = todos.filter(|todo| done.is_none_or(|done| todo.done == done));
        wanted.take(limit).cloned().collect()
    }

    /// One to-do.
    pub(super) fn get(&self, owner: &str, id: u64) -> Option<Todo> {
        self.by_owner.get(owner)?.todos.get(&id).cloned()
    }

    /// Adds a to-do that is not done yet.
    pub(super) fn add(&mut self, owner: &str, text: String) -> Result<Todo, Full> {
        if self.by_owner.len() >= MAX_LISTS && !self.by_owner.contains_key(owner) {
            return Err(Full::Lists);
        }
        let list = self.by_owner.entry(owner.to_owned()).or_default();
        if list.todos.len() >= MAX_TODOS {
            return Err(Full::Todos);
        }
        list.last_id += 1;
        let todo = Todo {
            id: list.last_id,
            text,
            done: false,
        };
        list.todos.insert(todo.id, todo.clone());
        self.tell(owner, "added", &todo);
        Ok(todo)
    }

    /// Changes what is given.
    pub(super) fn update(
        &mut self,
        owner: &str,
        id: u64,
        text: Option<String>,
        done: Option<bool>,
    ) -> Option<Todo> {
        let todo = self.by_owner.get_mut(owner)?.todos.get_mut(&id)?;
        if let Some(text) = text {
            todo.text = text;
        }
        todo.done = done.unwrap_or(todo.done);
        let todo = todo.clone();
        self.tell(owner, "updated", &todo);
        Some(todo)
    }

    /// Takes a to-do out.
    pub(super) fn remove(&mut self, owner: &str, id: u64) -> Option<Todo> {
        let todo = self.by_owner.get_mut(owner)?.todos.remove(&id)?;
        self.tell(owner, "removed", &todo);
        Some(todo)
    }

    /// Begins an event stream. Its first event is the list; since that is queued here, no change
    /// can come before it or be missed after it.
    pub(super) fn watch(&mut self, owner: &str) -> Result<mpsc::Receiver<Bytes>, Full> {
        self.watchers.retain(|watcher| !watcher.events.is_closed());
        if self.closed || self.watchers.len() >= MAX_WATCHERS {
            return Err(Full::Watchers);
        }
        let (events, stream) = mpsc::channel(MAX_PENDING_EVENTS);
        let _ = events.try_send(event("list", &self.list(owner, None, MAX_TODOS)));
        let owner = owner.to_owned();
        self.watchers.push(Watcher { owner, events });
        Ok(stream)
    }

    /// Ends all event streams, now and for ever.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.watchers.clear();
    }

    /// Tells those who watch the list. Who does not read is dropped: its stream ends, and when it
    /// comes again it begins with the list.
    fn tell(&mut self, owner: &str, name: &str, todo: &Todo) {
        if self.watchers.is_empty() {
            return;
        }
        let event = event(name, todo);
        self.watchers.retain(|watcher| {
            watcher.owner != owner || watcher.events.try_send(event.clone()).is_ok()
        });
    }
}

/// An event as it goes over the wire.
fn event(name: &str, data: &impl Serialize) -> Bytes {
    // To-dos have no map keys that could be refused; JSON has no line break of its own.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// Owners.
const MAX_LISTS: usize = 1_000;
/// To-dos of one owner.
pub(super) const MAX_TODOS: usize = 1_000;
/// Event streams of all owners.
const MAX_WATCHERS: usize = 100;
/// Events that a stream has not sent yet.
const MAX_PENDING_EVENTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_from_one_and_are_never_given_again() {
        let mut lists = Lists::default();
        assert_eq!(lists.add("ann", "a".into()).unwrap().id, 1);
        assert_eq!(lists.add("ann", "b".into()).unwrap().id, 2);
        assert_eq!(lists.add("bob", "c".into()).unwrap().id, 1);
        lists.remove("ann", 2).unwrap();
        assert_eq!(lists.add("ann", "d".into()).unwrap().id, 3);
        assert_eq!(lists.remove("ann", 2), None);
    }

    #[test]
    fn everything_is_bounded() {
        let mut lists = Lists::default();
        for _ in 0..MAX_TODOS {
            lists.add("ann", "x".into()).unwrap();
        }
        assert_eq!(lists.add("ann", "x".into()), Err(Full::Todos));
        for n in 1..MAX_LISTS {
            lists.add(&n.to_string(), "x".into()).unwrap();
        }
        assert_eq!(lists.add("one more", "x".into()), Err(Full::Lists));
        assert!(lists.list("one more", None, 10).is_empty());
        lists.remove("ann", 1).unwrap();
        assert!(lists.add("ann", "x".into()).is_ok());

        let streams: Vec<_> = (0..MAX_WATCHERS)
            .map(|_| lists.watch("bob").unwrap())
            .collect();
        assert_eq!(lists.watch("bob").unwrap_err(), Full::Watchers);
        drop(streams);
        assert!(lists.watch("bob").is_ok());
        lists.close();
        assert_eq!(lists.watch("bob").unwrap_err(), Full::Watchers);
    }

    #[test]
    fn a_stream_that_is_not_read_ends() {
        let mut lists = Lists::default();
        let mut stream = lists.watch("ann").unwrap();
        for _ in 0..=MAX_PENDING_EVENTS {
            lists.add("ann", "x".into()).unwrap();
        }
        let mut events = 0;
        while stream.try_recv().is_ok() {
            events += 1;
        }
        assert_eq!(events, MAX_PENDING_EVENTS);
        assert_eq!(
            stream.try_recv(),
            Err(mpsc::error::TryRecvError::Disconnected)
        );
    }
}
