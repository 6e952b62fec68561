use crate::openapi::json;
use proptest::prelude::*;

use super::*;
use crate::openapi::size::measure;

/// An overlay of some actions.
fn overlay(actions: &Value) -> Overlay {
    let document =
        json!({ "overlay": "1.1.0", "info": { "title": "T", "version": "1" }, "actions": actions });
    Overlay::parse(&document).unwrap()
}

/// What actions make of a document, and what is said.
#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "literals are written where they are used"
)]
fn check(mut document: Value, actions: Value, after: Value, said: &[&str]) {
    let report = overlay(&actions).apply(&mut document);
    assert_eq!(document, after);
    let line = |f: &Finding| format!("{} {}: {}", f.action.as_str(), f.pointer, f.message);
    let report: Vec<String> = report.iter().map(line).collect();
    assert_eq!(report, said);
}

/// The faults of an overlay.
#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "literals are written where they are used"
)]
fn faults(document: Value, expected: &[&str]) {
    let faults = Overlay::parse(&document).unwrap_err();
    let found: Vec<String> = faults.iter().map(OverlayError::to_string).collect();
    assert_eq!(found, expected);
    for fault in &faults {
        assert!(fault.to_string().starts_with(fault.pointer()), "{fault}");
    }
}

#[test]
fn objects_are_merged_lists_are_joined_others_replaced() {
    check(
        json!({ "info": { "title": "A", "x": [1] }, "tags": ["a"] }),
        json!([{ "target": "$", "update": { "info": { "title": "B", "x": [2], "y": { "z": 1 } }, "new": {} } }]),
        json!({ "info": { "title": "B", "x": [1, 2], "y": { "z": 1 } }, "tags": ["a"], "new": {} }),
        &[],
    );
    check(
        json!({ "l": [1], "o": [] }),
        json!([{ "target": "$.l", "update": [2, 3] }, { "target": "$['l','o']", "update": { "a": 1 } },
            { "target": "$.l", "update": 4 }, { "target": "$.l[0]", "update": "one" }]),
        json!({ "l": ["one", 2, 3, { "a": 1 }, 4], "o": [{ "a": 1 }] }),
        &[],
    );
    // A member without a value in YAML.
    check(
        json!({ "components": { "a": 1 }, "tags": null, "n": 1 }),
        json!([{ "target": "$", "update": { "components": null, "tags": ["a"], "n": null } }]),
        json!({ "components": { "a": 1 }, "tags": ["a"], "n": null }),
        &[],
    );
}

#[test]
fn what_does_not_fit_is_said_and_left() {
    check(
        json!({ "a": { "x": 1 }, "b": { "x": {} }, "c": { "x": 1 } }),
        json!([{ "target": "$.*", "update": { "y": 1, "x": 2 } }]),
        json!({ "a": { "x": 2, "y": 1 }, "b": { "x": {} }, "c": { "x": 2, "y": 1 } }),
        &[
            "skipped #/actions/0: #/b/x of the document is an object, and a number can not be merged with it",
        ],
    );
    check(
        json!({ "a": {}, "b": [], "c": 1 }),
        json!([{ "target": "$.*", "update": { "y": 1 } }, { "target": "$.x", "remove": true },
            { "target": "$.a" }, { "target": "$.c", "update": [] }, { "target": "$", "remove": true },
            { "target": "$.a", "update": { "z": 1 } }]),
        json!({ "a": { "z": 1 }, "b": [], "c": 1 }),
        &[
            "skipped #/actions/0: its target selects values of different kinds (objects, lists, others), which one value can not be merged with; nothing is changed",
            "noted #/actions/1: its target selects nothing in the document: nothing is removed",
            "noted #/actions/2: it has no `update`, `remove` or `copy`, and changes nothing",
            "skipped #/actions/3: #/c of the document is a number, and a list can not be merged with it",
            "skipped #/actions/4: its target is the whole document, which can not be removed",
        ],
    );
}

#[test]
fn removing_shifts_nothing_that_is_still_to_go() {
    check(
        json!({ "l": [0, [1, 2, 3], 4, { "a": 5, "b": 6, "c": 7 }, 8] }),
        json!([{ "target": "$..[?@ == 0 || @ == 2 || @ == 4 || @ == 6 || @ == 8]", "remove": true }]),
        json!({ "l": [[1, 3], { "a": 5, "c": 7 }] }),
        &[],
    );
    check(
        json!({ "paths": { "/a~b": { "get": {}, "put": {} }, "/c": { "get": {} } } }),
        json!([{ "target": "$..get", "remove": true, "update": { "x": 1 } }, { "target": "$.paths['/a~b']['put']", "remove": true },
            { "target": "$..*", "remove": true }]),
        json!({}),
        &[],
    );
}

/// A path is renamed: a new one, a copy of the old, and the old one goes.
#[test]
fn copying_and_moving() {
    check(
        json!({ "paths": { "/items": { "get": { "tags": ["a"] } }, "/some": { "delete": {} } } }),
        json!([{ "target": "$.paths", "update": { "/new": {} } },
            { "target": "$.paths['/new', '/some']", "copy": "$.paths['/items']" },
            { "target": "$.paths['/items']", "remove": true }]),
        json!({ "paths": { "/some": { "delete": {}, "get": { "tags": ["a"] } }, "/new": { "get": { "tags": ["a"] } } } }),
        &[],
    );
    check(
        json!({ "a": [1], "b": {} }),
        json!([{ "target": "$.a", "copy": "$.a" }, { "target": "$.a", "copy": "$.c" }, { "target": "$.a", "copy": "$.*" }]),
        json!({ "a": [1, 1], "b": {} }),
        &[
            "skipped #/actions/1: its `copy` selects nothing in the document",
            "skipped #/actions/2: its `copy` selects 2 places, and has to select one",
        ],
    );
}

#[test]
fn traits() {
    check(
        json!({ "paths": { "/a": { "get": { "x-oai-traits": ["paged"] } }, "/b": { "get": {} } } }),
        json!([{ "target": "$.paths[?@.get['x-oai-traits'][?@ == 'paged']].get", "update": { "parameters": [{ "name": "top" }] } }]),
        json!({ "paths": { "/a": { "get": { "x-oai-traits": ["paged"], "parameters": [{ "name": "top" }] } }, "/b": { "get": {} } } }),
        &[],
    );
}

#[test]
fn all_faults_at_once() {
    faults(json!([]), &["# is a list, and has to be an object"]);
    faults(
        json!({}),
        &[
            "# has no `overlay`, which every overlay needs there",
            "# has no `info`, which every overlay needs there",
            "# has no `actions`, which every overlay needs there",
        ],
    );
    faults(
        json!({ "overlay": "2.0.0", "info": { "title": 1 }, "extends": 1, "actions": [
            { "target": "paths", "remove": "yes" }, 1, { "update": {}, "copy": "$" }, { "target": 1 },
            { "target": "$.a", "copy": "$[", "description": [] }] }),
        &[
            "#/overlay is `2.0.0`, and only overlays of the versions 1.0 and 1.1 are read",
            "#/info/title is a number, and has to be a text",
            "#/info has no `version`, which every overlay needs there",
            "#/extends is a number, and has to be a text",
            "#/actions/0/target is no JSONPath (RFC 9535): it does not start with `$`, at character 1",
            "#/actions/0/remove is a text, and has to be true or false",
            "#/actions/1 is a number, and has to be an object",
            "#/actions/2 has no `target`, which every overlay needs there",
            "#/actions/2 has both `update` and `copy`, and can have only one of them",
            "#/actions/3/target is a number, and has to be a text",
            "#/actions/4/description is a list, and has to be a text",
            "#/actions/4/copy is no JSONPath (RFC 9535): a name in quotes, `*`, an index, a slice or `?` is expected, at character 3",
        ],
    );
    let none = json!({ "overlay": 1.0, "info": { "title": "T", "version": 1.0 }, "actions": [] });
    faults(
        none,
        &["#/actions has 0 actions, and has to have between 1 and 10,000"],
    );
}

#[test]
fn what_means_nothing_is_noted() {
    let document = json!({ "overlay": "1.0.0", "info": { "title": "T", "version": "1" }, "extends": "./a.yaml",
        "x-a": 1, "action": 1, "actions": [{ "target": "$.a", "update": 1, "updates": 1, "x-b": 2 }] });
    let overlay = Overlay::parse(&document).unwrap();
    assert_eq!(
        (overlay.title(), overlay.extends()),
        ("T", Some("./a.yaml"))
    );
    let report = overlay.apply(&mut json!({ "a": 1 }));
    let pointers: Vec<&str> = report.iter().map(|f| f.pointer.as_str()).collect();
    assert_eq!(pointers, ["#/actions/0/updates", "#/action"]);
}

/// A typo must not publish what an overlay was to hide.
#[test]
fn an_action_that_does_nothing_and_has_a_member_of_another_name_is_a_fault() {
    let document = |action: Value| json!({ "overlay": "1.0.0", "info": { "title": "T", "version": "1" }, "actions": [action] });
    faults(
        document(json!({ "target": "$.a", "remov": true })),
        &[
            "#/actions/0/remov is no member of an action, which has `update`, `remove` or `copy`: this one has none of them",
        ],
    );
    for action in [
        json!({ "target": "$.a", "description": "Later." }),
        json!({ "target": "$.a", "x-remov": true }),
        json!({ "target": "$.a", "remove": false, "remov": true }),
    ] {
        Overlay::parse(&document(action)).unwrap();
    }
}

/// The report of one action on a document that must stay as it is.
#[track_caller]
fn refused(document: &Value, actions: &Value) -> String {
    let mut after = document.clone();
    let report = overlay(actions).apply_within(&mut after, 1_000_000);
    assert!(after == *document);
    assert_eq!(report.len(), 1);
    report[0].message.clone()
}

#[test]
fn hostile_overlays_end() {
    let wide = json!({ "a": vec![json!({}); 3000] });
    let large = json!({ "b": vec![json!(1); 1000] });
    let message = refused(&wide, &json!([{ "target": "$.a[*]", "update": large }]));
    assert!(message.contains("up to 3006000 values"), "{message}");

    let mut deep = json!({});
    for _ in 0..100 {
        deep = json!({ "a": deep });
    }
    let message = refused(
        &deep,
        &json!([{ "target": "$.a.a.a.a.a.a.a.a.a.a.a.a.a", "copy": "$" }]),
    );
    assert!(message.contains("deeper than 112"), "{message}");

    let message = refused(
        &wide,
        &json!([{ "target": "$..[?$..[?$..*]]", "remove": true }]),
    );
    assert!(message.contains("more work"), "{message}");

    // Doubling ends at the bound, and the document is as after the last action that fits.
    let actions: Vec<Value> = (0..25)
        .map(|_| json!({ "target": "$.l", "copy": "$.l" }))
        .collect();
    let mut document = json!({ "l": [1] });
    let report = overlay(&Value::Array(actions)).apply(&mut document);
    assert_eq!(document["l"].as_array().unwrap().len(), 1 << 20);
    assert_eq!(report.len(), 5);

    // What removing frees may be used again.
    let actions = json!([{ "target": "$.l", "remove": true }, { "target": "$", "update": { "l": [2] } },
        { "target": "$.l", "copy": "$.l" }]);
    assert_eq!(overlay(&actions).apply(&mut document), []);
    assert_eq!(document, json!({ "l": [2, 2] }));
}

#[test]
fn many_matches_are_fast() {
    let paths: Map = (0..10_000)
        .map(|n| {
            (
                format!("/p/{n}"),
                json!({ "get": { "tags": ["a", "b"], "x": n } }),
            )
        })
        .collect();
    let mut document = json!({ "paths": paths });
    let actions = json!([{ "target": "$.paths.*.get", "update": { "y": { "z": [1] } } },
        { "target": "$..tags[?@ == 'a']", "remove": true },
        { "target": "$.paths[?@.get.x >= 5000]", "remove": true }]);
    // Work that grew with the square of their number would take minutes.
    assert_eq!(overlay(&actions).apply(&mut document), []);
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 5000);
    assert_eq!(
        paths["/p/7"],
        json!({ "get": { "tags": ["b"], "x": 7, "y": { "z": [1] } } })
    );
}

/// Any value; `lists`: whether there are lists in it.
fn value(lists: bool) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        "[a-c/~]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 4, move |inner| {
        let object = prop::collection::vec(("[a-c/~]{0,2}", inner.clone()), 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()));
        let list = prop::collection::vec(inner, 0..4).prop_map(Value::from);
        if lists {
            prop_oneof![object, list].boxed()
        } else {
            object.boxed()
        }
    })
}

proptest! {
    /// Without lists, which grow, a document's own values change nothing.
    #[test]
    fn its_own_values_change_nothing(document in value(false)) {
        let mut after = document.clone();
        let report = overlay(&json!([{ "target": "$", "update": document }])).apply(&mut after);
        prop_assert_eq!(&after, &document);
        prop_assert_eq!(report, []);
        overlay(&json!([{ "target": "$..*", "copy": "$.a" }])).apply(&mut after);
    }

    /// An update twice is the update once, but for lists, which grow.
    #[test]
    fn an_update_twice_is_once(document in value(false), update in value(false)) {
        prop_assume!(document.is_object() && update.is_object());
        let overlay = overlay(&json!([{ "target": "$", "update": update }]));
        let mut once = document;
        let fits = overlay.apply(&mut once).is_empty();
        let mut twice = once.clone();
        prop_assert_eq!(overlay.apply(&mut twice).is_empty(), fits);
        prop_assert_eq!(once, twice);
    }

    /// Every place that is selected goes, and nothing panics; sizes stay true.
    #[test]
    fn nothing_is_left_of_what_is_removed(mut document in value(true), update in value(true),
        target in prop::sample::select(&["$..a", "$.*", "$..*", "$..[0]", "$..[?@ == 1]", "$..[1:]", "$[?@.a]", "$"][..])) {
        let removing = overlay(&json!([{ "target": target, "remove": true }]));
        let updating = overlay(&json!([{ "target": target, "update": update }]));
        updating.apply(&mut document);
        let mut run = act::Run::new(&document, Budget::new(MAX_WORK));
        let mut report = Vec::new();
        for action in updating.actions.iter().chain(&removing.actions).chain(&updating.actions) {
            run.act(action, "#", &mut document, &mut report);
            prop_assert_eq!(run.nodes(), measure(&document).nodes);
        }
        for text in [target, "$..a"] {
            drop(Path::parse(text));
        }
        drop(Overlay::parse(&document));
    }

    #[test]
    fn no_expression_panics(text in "[$@.\\[\\]*?()'\"a1:,=<>!&|\\\\ -]{0,30}") {
        drop(Path::parse(&text));
        if let Ok(path) = Path::parse(&format!("${text}")) {
            drop(path.places(&json!({ "a": [1, { "a": "a" }] }), &Budget::new(10_000)));
        }
    }
}
