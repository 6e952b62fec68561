//! What holds for any documents and any requests.

use std::cmp::Reverse;

use http::Method;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::path;
use super::super::search::Search;
use super::super::tree::MAX_STEPS;
use super::super::{Found, Methods, Miss, Router, Spec, Why, check_path};

/// Class, literal bytes, parameters, shape.
type Rank = (u8, Reverse<usize>, usize, String);

/// How concrete a segment of a template is: less is more concrete.
fn rank(segment: &str) -> Rank {
    let mut shape = String::new();
    let mut rest = segment;
    while let Some((text, tail)) = rest.split_once('{') {
        shape = shape + text + "\0";
        rest = tail.split_once('}').unwrap().1;
    }
    shape += rest;
    let parameters = shape.matches('\0').count();
    let class = match (parameters, shape.len()) {
        (0, _) => 0,
        (1, 1) => 2,
        _ => 1,
    };
    (class, Reverse(shape.len() - parameters), parameters, shape)
}

/// Whether a shape (parameters are NUL) fits, by trying every length for every parameter.
fn fits(shape: &[u8], segment: &[u8]) -> bool {
    match shape.split_first() {
        None => segment.is_empty(),
        Some((0, rest)) => (1..=segment.len()).any(|taken| fits(rest, &segment[taken..])),
        Some((byte, rest)) => segment.first() == Some(byte) && fits(rest, &segment[1..]),
    }
}

/// The ranks of a template, if it fits a path without encodings.
fn ranks(template: &str, path: &str) -> Option<Vec<Rank>> {
    let ranks: Vec<_> = template.split('/').skip(1).map(rank).collect();
    let segments: Vec<_> = path.split('/').skip(1).collect();
    let all = ranks.len() == segments.len()
        && ranks
            .iter()
            .zip(segments)
            .all(|(rank, segment)| fits(rank.3.as_bytes(), segment.as_bytes()));
    all.then_some(ranks)
}

/// Whether two operations have the same method, shape and fixed query.
fn same(a: &Spec, b: &Spec) -> bool {
    let fixed = |spec: &Spec| {
        let mut fixed = spec.fixed_query.clone();
        fixed.sort();
        fixed
    };
    let shape = |spec: &Spec| spec.path.split('/').map(rank).collect::<Vec<_>>();
    a.method == b.method && shape(a) == shape(b) && fixed(a) == fixed(b)
}

/// What a look at every single operation finds: `None` is a miss of either kind.
#[expect(clippy::too_many_lines, reason = "an oracle is read in one piece")]
fn naive(specs: &[Spec], method: &Method, path: &str, query: &str) -> Option<usize> {
    let pairs: Vec<_> = query.split('&').collect();
    let holds = |spec: &Spec| {
        let given = |(key, value): &(String, String)| {
            let named: Vec<_> = pairs
                .iter()
                .filter(|pair| pair.split('=').next() == Some(key))
                .collect();
            named.len() == 1 && *named[0] == format!("{key}={value}")
        };
        spec.fixed_query.iter().all(given)
    };
    let twice = |spec: &Spec| {
        let count = |key: &String| {
            let named = |pair: &&&str| pair.split('=').next() == Some(key);
            pairs.iter().filter(named).count()
        };
        spec.fixed_query.iter().any(|(key, _)| count(key) > 1)
    };
    let mut candidates: Vec<_> = (0..specs.len())
        .filter_map(|index| Some((ranks(&specs[index].path, path)?, index)))
        .map(|(ranks, index)| {
            let spec = &specs[index];
            (
                ranks,
                Reverse(spec.fixed_query.len()),
                spec.published,
                index,
            )
        })
        .collect();
    candidates.sort();
    // Of those that are the same, the first published one.
    candidates.retain(|(.., index)| {
        !specs.iter().enumerate().any(|(other, spec)| {
            let before = (!spec.published, other) < (!specs[*index].published, *index);
            before && same(spec, &specs[*index])
        })
    });
    let mut methods = vec![method.clone()];
    if *method == Method::HEAD {
        methods.push(Method::GET);
    }
    for group in candidates.chunk_by(|a, b| a.0 == b.0) {
        if group.iter().any(|(.., index)| twice(&specs[*index])) {
            return None;
        }
        let group: Vec<_> = group
            .iter()
            .filter(|(.., index)| holds(&specs[*index]))
            .collect();
        // What the path says of each of the methods; a published one is best.
        let said: Vec<_> = methods
            .iter()
            .filter_map(|method| {
                group
                    .iter()
                    .find(|(.., index)| specs[*index].method == *method)
            })
            .collect();
        if !said.is_empty() {
            return said
                .iter()
                .find(|(_, _, published, _)| *published)
                .map(|found| found.3);
        }
    }
    None
}

/// What is told apart by method and path only.
fn without_queries(specs: Vec<Spec>) -> Vec<Spec> {
    let bare = |spec| Spec {
        fixed_query: Vec::new(),
        ..spec
    };
    specs.into_iter().map(bare).collect()
}

/// As a server has it that does not look at a slash at the end, and publishes everything.
fn without_slash(spec: &Spec) -> Spec {
    Spec {
        path: spec.path.trim_end_matches('/').to_owned(),
        published: true,
        ..spec.clone()
    }
}

/// Small documents in which much collides.
fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let segment = prop_oneof![
        Just("a"),
        Just("b"),
        Just("{x}"),
        Just("{y}"),
        Just("{x}.a"),
        Just("a{x}"),
        Just("{x}.{y}"),
        Just("{x}{y}"),
        Just("a.{x}"),
        Just("{x}b{y}a{z}"),
    ];
    let path = (vec(segment, 1..4), any::<bool>()).prop_map(|(segments, slash)| {
        format!("/{}{}", segments.join("/"), if slash { "/" } else { "" })
    });
    let method = prop_oneof![Just(Method::GET), Just(Method::PUT), Just(Method::HEAD)];
    let pair = ("[kl]", "[vw]");
    let fixed = vec(pair, 0..3).prop_map(|mut pairs: Vec<(String, String)>| {
        pairs.sort();
        pairs.dedup_by(|a, b| a.0 == b.0);
        pairs
    });
    let spec = (method, path, fixed, any::<bool>(), 0..4).prop_map(
        |(method, path, fixed_query, encoded_slash, published)| Spec {
            method,
            path,
            fixed_query,
            encoded_slash,
            published: published > 0,
        },
    );
    vec(spec, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn finds_what_a_linear_scan_finds(
        specs in specs(),
        path in "(/(a|b|c|aa|ab|a\\.a|a\\.b|b\\.a|\\.a|abaa|cbca|a\\.a\\.a)){1,3}/?",
        query in "((k|l|m)=(v|w)(&(k|l)=(v|w))?(&(k|l)=(v|w))?)?",
        method in prop_oneof![Just(Method::GET), Just(Method::PUT), Just(Method::HEAD), Just(Method::POST)],
    ) {
        let (router, _) = Router::build(&specs);
        let found = router.find(&method, &path, Some(&query));
        let expected = naive(&specs, &method, &path, &query);
        prop_assert_eq!(found.as_ref().ok().map(|found| found.operation), expected);
        // 405 exactly when some other method would be found, and it names all that would.
        let allow: Methods = Methods::all()
            .filter(|one| naive(&specs, &one.to_string().parse().unwrap(), &path, &query).is_some())
            .fold(Methods::NONE, Methods::union);
        prop_assert_eq!(router.allowed(&path, Some(&query)), allow);
        match found {
            Ok(found) => prop_assert_eq!(&*found.upstream_path, &*path),
            Err(Miss::MethodNotAllowed { allow: said }) => prop_assert_eq!(said, allow),
            Err(miss) => {
                prop_assert_eq!(miss, Miss::NotFound);
                prop_assert!(allow.is_empty());
            }
        }
    }

    /// What is let in is the same operation to a server that ignores case.
    #[test]
    fn case_leads_to_no_other_operation(
        specs in specs(),
        path in "(/(a|A|b|B|c|aA|Ab|A\\.a|a\\.B|b\\.A|\\.A|aBaA|cBca)){1,3}/?",
        query in "((k|l)=(v|w))?",
        method in prop_oneof![Just(Method::GET), Just(Method::PUT), Just(Method::HEAD)],
    ) {
        let (mut router, _) = Router::build(&specs);
        let plain = router.find(&method, &path, Some(&query));
        router.refuse_similar();
        match router.find(&method, &path, Some(&query)) {
            Ok(found) => {
                let lower = naive(&specs, &method, &path.to_ascii_lowercase(), &query);
                prop_assert_eq!(lower, Some(found.operation));
                prop_assert_eq!(Ok(Found { others: Box::default(), ..found }), plain);
            }
            Err(Miss::Ambiguous(_) | Miss::Another(_)) => prop_assert!(plain.is_ok()),
            miss => prop_assert_eq!(miss, plain),
        }
    }

    /// What is let in is the same operation, or one of those that are told of with it, to a server
    /// that looks neither at a last slash nor at dots and spaces at the ends of segments.
    #[test]
    fn the_ends_of_paths_lead_to_no_other_operation(
        specs in specs(),
        path in "(/(a|b|c|aa|ab|a\\.a|b\\.|b%20|a\\.%20|\\.a\\.|%20|\\.\\.\\.)){1,3}/?",
        method in prop_oneof![Just(Method::GET), Just(Method::PUT)],
    ) {
        let specs = without_queries(specs);
        let (mut router, _) = Router::build(&specs);
        router.refuse_similar();
        if let Ok(found) = router.find(&method, &path, None) {
            let lenient: Vec<_> = specs.iter().map(without_slash).collect();
            let decoded = path.replace("%20", " ");
            let segments = decoded.split('/').map(|one| one.trim_end_matches(['.', ' ']));
            let segments = segments.filter(|one| !one.is_empty());
            let plain: String = segments.flat_map(|one| ["/", one]).collect();
            if let Some(winner) = naive(&lenient, &method, &plain, "") {
                let mut told = found.others.iter().map(|other| other.operation).chain([found.operation]);
                let is_it = |index: usize| same(&lenient[index], &lenient[winner]);
                prop_assert!(told.any(is_it), "{:?} beside {:?}", specs[winner], found);
            }
        }
    }

    /// Nothing is told of that no lenient server takes the path for.
    #[test]
    fn only_what_has_the_path_but_for_a_slash_is_told_of(
        specs in specs(),
        path in "(/(a|b|c|aa|ab)){1,3}/?",
        method in prop_oneof![Just(Method::GET), Just(Method::PUT)],
    ) {
        let specs = without_queries(specs);
        let (mut router, _) = Router::build(&specs);
        let plain = router.find(&method, &path, None);
        router.refuse_similar();
        let found = router.find(&method, &path, None);
        for other in found.iter().flat_map(|found| &found.others) {
            let lenient = without_slash(&specs[other.operation]);
            prop_assert!(ranks(&lenient.path, path.trim_end_matches('/')).is_some());
            prop_assert_eq!(&lenient.method, &method);
            prop_assert_ne!(Some(other.operation), found.as_ref().ok().map(|found| found.operation));
        }
        let found = found.map(|found| Found { others: Box::default(), ..found });
        prop_assert_eq!(found, plain);
    }

    /// The same for a server that decodes slashes, several of which are one to it.
    #[test]
    fn decoded_slashes_lead_to_no_other_operation(
        specs in specs(),
        path in "(/(a|b|c|a%2Fb|aa%2f|b%2Fa%2Fc|%2Fa|b%2f%2Fb)){1,3}/?",
        method in prop_oneof![Just(Method::GET), Just(Method::PUT)],
    ) {
        let specs: Vec<_> = without_queries(specs).into_iter().map(|spec| Spec { encoded_slash: true, ..spec }).collect();
        let (mut router, _) = Router::build(&specs);
        router.refuse_similar();
        if let Ok(found) = router.find(&method, &path, None) {
            let mut decoded = path.replace("%2F", "/").replace("%2f", "/");
            while decoded.contains("//") {
                decoded = decoded.replace("//", "/");
            }
            let all: Vec<_> = specs.iter().map(|spec| Spec { published: true, ..spec.clone() }).collect();
            if let Some(winner) = naive(&all, &method, &decoded, "") {
                let mut told = found.others.iter().map(|other| other.operation).chain([found.operation]);
                prop_assert!(told.any(|index| same(&all[index], &all[winner])), "{:?} beside {:?}", specs[winner], found);
            }
        }
    }

    #[test]
    fn what_goes_upstream_is_the_same_operation(
        specs in specs(),
        path in "(/(a|b|%61|%62|a%2Eb|%2e%61|%62b;x|%25a|a%2Fb|%ff|\\.a)){1,3}/?",
        method in prop_oneof![Just(Method::GET), Just(Method::PUT), Just(Method::HEAD)],
    ) {
        let (router, _) = Router::build(&specs);
        if let Ok(found) = router.find(&method, &path, None) {
            let again = router.find(&method, &found.upstream_path, None).unwrap();
            prop_assert_eq!(again.operation, found.operation);
            prop_assert_eq!(&again.upstream_path, &found.upstream_path);
        }
    }

    #[test]
    fn no_input_panics(templates in vec("[/a{}.;%2eF]{0,12}|\\PC{0,8}", 0..6), path in any::<String>(), query in any::<String>(), odd in "[/a.;%2eF5c\\\\]{0,16}") {
        let specs: Vec<_> = templates.into_iter().map(|path| Spec { path, ..super::spec("%GET /") }).collect();
        let (router, _) = Router::build(&specs);
        for path in [path, odd] {
            let found = router.find(&Method::GET, &path, Some(&query));
            let _ = router.allowed(&path, Some(&query));
            // Whoever forwards unpublished paths refuses what the router would refuse.
            if check_path(&path).is_err() && !path.contains("%2") {
                prop_assert!(matches!(found, Err(Miss::Ambiguous(_))));
            }
        }
    }
}

/// The steps of one request.
fn steps(router: &Router, path: &str) -> usize {
    let facts = path::read(path).ok().unwrap();
    let mut search = Search::new(&router.tree, &facts, None, Methods::NONE);
    let _ = search.run(&facts);
    search.steps()
}

/// A document of these paths.
fn document(paths: impl IntoIterator<Item = String>) -> Vec<Spec> {
    paths
        .into_iter()
        .map(|path| Spec {
            path,
            ..super::spec("GET /")
        })
        .collect()
}

#[test]
fn a_path_costs_the_same_however_many_operations_there_are() {
    let of = |count: usize| {
        Router::build(&document(
            (0..count).map(|n| format!("/v1/thing{n}/{{id}}/part")),
        ))
        .0
    };
    let (small, large) = (of(10), of(10_000));
    assert_eq!(steps(&small, "/v1/thing7/1/part"), 5);
    assert_eq!(steps(&large, "/v1/thing7/1/part"), 5);
    assert_eq!(steps(&large, "/v1/thing9999/1/nothing"), 4);
    // The bound is exact here, also where deep and flat siblings take turns.
    assert_eq!(large.tree.steps(), 5);
    let turns = (0..5000).map(|n| {
        if n % 2 == 0 {
            format!("/t{n}/{{x}}/a/b")
        } else {
            format!("/t{n}")
        }
    });
    let (turns, unroutable) = Router::build(&document(turns));
    assert_eq!((turns.tree.steps(), unroutable.len()), (5, 0));
}

#[test]
fn a_thousand_actions_of_one_path_are_all_routable() {
    let specs: Vec<_> = (0..2000)
        .map(|n| super::spec(&format!("GET /?Action=Do{n}")))
        .collect();
    let (router, unroutable) = Router::build(&specs);
    assert_eq!(unroutable, []);
    let found = router.find(&Method::GET, "/", Some("Version=1&Action=Do1234"));
    assert_eq!(found.unwrap().operation, 1234);
}

#[test]
fn no_document_makes_a_path_expensive() {
    // Every way to write a path of twelve segments with a literal or a parameter in each place,
    // and thirty alternatives of mixed segments: the worst that a document can do.
    let both = (0..1_u32 << 12).map(|bits| {
        (0..12)
            .map(|place| if bits >> place & 1 == 0 { "/a" } else { "/{x}" })
            .collect::<String>()
    });
    let mixed = (1..30)
        .map(|n| format!("/{}", "a{x}".repeat(n)))
        .chain((1..30).map(|n| format!("/{{x}}{}/{{y}}", "a".repeat(n))));
    let texts = (1..60).map(|n| format!("/{{x}}{}{{y}}", "a".repeat(n * 10)));
    for paths in [both.collect::<Vec<_>>(), mixed.collect(), texts.collect()] {
        let specs = document(paths);
        let (router, unroutable) = Router::build(&specs);
        assert!(unroutable.iter().all(|one| one.why == Why::Costly));
        assert!(unroutable.len() < specs.len());
        assert!(router.tree.steps() <= MAX_STEPS);
        for path in [
            "/a".repeat(12),
            "/a".repeat(13),
            format!("/{}", "a".repeat(8000)),
            format!("/{}b", "a".repeat(300)),
            "/aaaaaa/aaaaa".into(),
        ] {
            assert!(steps(&router, &path) <= router.tree.steps(), "{path}");
        }
    }
}
