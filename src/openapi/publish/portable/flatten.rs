//! `allOf` as one schema, for clients that take alternatives and references, but no conjunctions.
//!
//! Only where the one schema accepts what the several accept. What a member refers to is copied,
//! so the size is bounded, and what is smallest is copied first: nothing depends on the order of
//! the document. What has a discriminator stays what its heirs refer to.

use crate::counted::{counted, plural};
use crate::openapi::{Map, Text, Value};

use super::super::super::size::weight;
use super::super::keywords::is_annotation;
use super::super::{Action, Finding, Target};
use super::graph::Graph;
use super::meet::{Meet, Schema, Targets};
use super::pieces::{annotations, refer, take_nullable};
use super::values::Fail;
use super::walk::{each_inner, each_outside, inner, referred};

/// Most values that are copied into one schema, and by which it grows.
const MOST: usize = 2_000;
/// Values by which any document may grow; a larger one may become twice as large.
const ALTOGETHER: usize = 100_000;
/// Most levels of a schema into which others were copied.
const MAX_HEIGHT: usize = 96;
/// Deepest schema. What is published is less deep.
const MAX_DEPTH: usize = 256;
/// Longest chain of references that is looked along.
const MAX_CHAIN: usize = 8;
/// How often the document is gone over: what is put together once may be a part the next time.
const ROUNDS: usize = 6;
/// Values that are looked at for one schema.
const WORK: usize = 200_000;
/// Values that are looked at altogether, for each value of the document.
const WORK_PER_NODE: usize = 20;

/// Writes `allOf` as one schema, wherever that is exact and not too much. Nothing is lost by it
/// but titles, examples and defaults of the parts, which are none of the whole.
pub(in super::super) fn flatten(document: &mut Value, target: Target, report: &mut Vec<Finding>) {
    let size = weight(document);
    let mut growth = size.max(ALTOGETHER);
    let mut work = size.saturating_mul(WORK_PER_NODE).saturating_add(WORK);
    let mut left_out = 0;
    for _ in 0..ROUNDS {
        let mut schemas = Map::new();
        if let Some(Value::Object(map)) = document.pointer_mut("/components/schemas") {
            schemas = std::mem::take(map);
        }
        let graph = Graph::new(&schemas);
        let plan = Plan::new(&graph, &schemas, document, growth);
        let mut round = Round {
            graph: &graph,
            plan: &plan,
            schemas,
            version: target,
            growth,
            work,
            copies: 0,
            level: 0,
            component: true,
            changed: false,
            left_out: 0,
        };
        round.run(document);
        let changed = round.changed;
        (growth, work, left_out) = (round.growth, round.work, round.left_out);
        let schemas = round.schemas;
        if let Some(place) = document.pointer_mut("/components/schemas") {
            *place = Value::Object(schemas);
        }
        if !changed {
            break;
        }
    }
    if left_out > 0 {
        let message = format!(
            "{} in `allOf` {}, which some clients do not follow: written out, {} would be too large",
            counted(left_out, "reference", "references"),
            plural(left_out, "stays", "stay"),
            plural(left_out, "it", "they")
        );
        report.push(Finding::new("#/components/schemas", Action::Noted, message));
    }
}

/// A schema with all that would be copied into it.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Values.
    nodes: usize,
    /// Levels.
    height: usize,
}

/// What a look at a schema finds.
#[derive(Debug, Default)]
struct Survey {
    /// Without what would be copied into it.
    own: Size,
    /// What would be copied into it, and at which level.
    copied: Vec<(usize, usize)>,
    /// What it is another name of.
    chain: Option<usize>,
}

/// Looks at a schema.
fn survey(schema: &Value, graph: &Graph) -> Survey {
    let mut found = Survey::default();
    let mut open = vec![(schema, 0)];
    while let Some((schema, level)) = open.pop() {
        found.own.height = found.own.height.max(level + 1);
        let Value::Object(map) = schema else {
            continue;
        };
        if let Some(to) = referred(map) {
            if level == 0 {
                found.chain = graph.number(to.name);
            }
            continue;
        }
        for member in members(map) {
            let to = member.as_object().and_then(referred);
            let number = to.and_then(|to| graph.number(to.name));
            found.copied.extend(number.map(|number| (number, level)));
        }
        open.extend(inner(map).map(|schema| (schema, level + 1)));
    }
    found.own.nodes = weight(schema);
    found
}

/// What a schema is the conjunction of, besides its own keywords.
fn members(map: &Schema) -> impl Iterator<Item = Value> {
    let reference = map.get("$ref").map(|reference| {
        let reference = ("$ref".to_owned(), reference.clone());
        Value::Object(Map::from_iter([reference]))
    });
    let list = map.get("allOf").and_then(Value::as_array);
    reference
        .into_iter()
        .chain(list.into_iter().flatten().cloned())
}

/// What may be copied.
struct Plan {
    /// The schemas, each after those that are copied into it.
    order: Vec<usize>,
    /// Their sizes; `None`: it would have no end, or be too much.
    sizes: Vec<Option<Size>>,
    /// The largest that is copied.
    largest: usize,
}

impl Plan {
    /// For a document whose schemas are apart.
    fn new(graph: &Graph, schemas: &Map, document: &mut Value, growth: usize) -> Self {
        let surveys: Vec<Survey> = graph
            .names
            .iter()
            .map(|name| survey(schemas.get(name).unwrap_or(&Value::Null), graph))
            .collect();
        let (order, sizes) = sizes(&surveys);
        let mut copied: Vec<usize> = surveys
            .iter()
            .flat_map(|survey| &survey.copied)
            .map(|(number, _)| *number)
            .collect();
        each_outside(document, &mut |schema, _| {
            let found = survey(schema, graph).copied.into_iter();
            copied.extend(found.map(|(number, _)| number));
        });
        let mut each: Vec<usize> = copied
            .into_iter()
            .filter_map(|number| sizes[number].map(|size| size.nodes))
            .collect();
        each.sort_unstable();
        let (mut left, mut largest) = (growth, MOST);
        for size in each {
            let Some(rest) = left.checked_sub(size) else {
                // All of a size, or none of them.
                largest = size.saturating_sub(1);
                break;
            };
            left = rest;
        }
        Self {
            order,
            sizes,
            largest,
        }
    }
}

/// The sizes with all that is copied, and the order in which they are known.
fn sizes(surveys: &[Survey]) -> (Vec<usize>, Vec<Option<Size>>) {
    let mut order = Vec::with_capacity(surveys.len());
    let mut sizes: Vec<Option<Size>> = vec![None; surveys.len()];
    let mut seen = vec![false; surveys.len()];
    for start in 0..surveys.len() {
        if std::mem::replace(&mut seen[start], true) {
            continue;
        }
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.last_mut() {
            let survey = &surveys[*node];
            let following = match survey.copied.get(*next) {
                Some((number, _)) => Some(*number),
                None if *next == survey.copied.len() => survey.chain,
                None => None,
            };
            if *next <= survey.copied.len() {
                *next += 1;
                if let Some(number) = following
                    && !std::mem::replace(&mut seen[number], true)
                {
                    path.push((number, 0));
                }
                continue;
            }
            let node = *node;
            // One that is still open has no size yet, and so neither has what leads back to it.
            sizes[node] = total(survey, &sizes);
            order.push(node);
            path.pop();
        }
    }
    (order, sizes)
}

/// The size of a schema with all that is copied into it.
fn total(survey: &Survey, sizes: &[Option<Size>]) -> Option<Size> {
    let mut total = survey.own;
    let chain = survey.chain.map(|number| (number, 0));
    for (number, level) in survey.copied.iter().copied().chain(chain) {
        let size = sizes[number]?;
        total.nodes += size.nodes;
        total.height = total.height.max(level + size.height);
    }
    (total.nodes <= MOST).then_some(total)
}

/// Once over the document.
struct Round<'g> {
    /// Which schema refers to which.
    graph: &'g Graph,
    /// What may be copied.
    plan: &'g Plan,
    /// The schemas of the document.
    schemas: Map,
    /// The version of the document.
    version: Target,
    /// By how much the document may still grow.
    growth: usize,
    /// How much may still be looked at.
    work: usize,
    /// How much may still be copied into the schema at hand.
    copies: usize,
    /// How deep it stands.
    level: usize,
    /// Whether it stands in a component.
    component: bool,
    /// Whether anything is different now.
    changed: bool,
    /// References to what is too large.
    left_out: usize,
}

impl Targets for Round<'_> {
    fn target(&mut self, name: &str, nested: bool) -> Result<Schema, Fail> {
        let number = self.graph.number(name).ok_or(Fail::Unclear)?;
        if nested && self.graph.recursive[number] {
            return Err(Fail::Recursive);
        }
        let Some(Value::Object(schema)) = self.schemas.get(name) else {
            return Err(Fail::Unclear);
        };
        if schema.contains_key("discriminator") {
            return Err(Fail::Unclear);
        }
        let size = self.plan.sizes[number].ok_or(Fail::Unclear)?;
        if size.nodes > self.plan.largest {
            self.left_out += 1;
            return Err(Fail::Unclear);
        }
        if self.level + size.height > MAX_HEIGHT {
            return Err(Fail::Unclear);
        }
        self.copies = self.copies.checked_sub(size.nodes).ok_or(Fail::Unclear)?;
        Ok(part(schema))
    }

    fn only_type(&self, name: &str) -> Option<String> {
        let mut schema = self.schemas.get(name)?.as_object()?;
        for _ in 0..MAX_CHAIN {
            if schema.get("nullable") == Some(&Value::Bool(true)) {
                return None;
            }
            if let Some(kind) = schema.get("type") {
                return kind.as_str().map(str::to_owned);
            }
            schema = self.schemas.get(referred(schema)?.name)?.as_object()?;
        }
        None
    }
}

impl Round<'_> {
    /// All schemas, those that are copied before those that they are copied into.
    fn run(&mut self, document: &mut Value) {
        let plan = self.plan;
        for number in &plan.order {
            let name = &self.graph.names[*number];
            let Some(schema) = self.schemas.get_mut(name) else {
                continue;
            };
            let mut schema = std::mem::take(schema);
            self.rewrite(&mut schema, &mut String::new(), 0);
            self.schemas.insert(name.clone(), schema);
        }
        self.component = false;
        each_outside(document, &mut |schema, at| self.rewrite(schema, at, 0));
    }

    /// A schema and all in it, what is innermost first.
    fn rewrite(&mut self, schema: &mut Value, at: &mut String, level: usize) {
        let Value::Object(map) = schema else {
            return;
        };
        if level > MAX_DEPTH {
            return;
        }
        each_inner(map, at, &mut |schema, at| {
            self.rewrite(schema, at, level + 1);
        });
        if !map.contains_key("allOf") && !map.contains_key("$ref") {
            return;
        }
        self.level = level;
        self.copies = MOST;
        let Some(one) = self.one(map) else {
            return;
        };
        let grown = weight(&one).saturating_sub(weight(schema));
        if grown > MOST {
            return;
        }
        let Some(left) = self.growth.checked_sub(grown) else {
            self.left_out += 1;
            return;
        };
        self.growth = left;
        self.changed = true;
        *schema = one;
    }

    /// A schema without its `allOf`; `None`: it stays as it is.
    fn one(&mut self, map: &Schema) -> Option<Value> {
        let refuses = |name: &Text| name.starts_with("unevaluated") || name == "discriminator";
        if map.keys().any(refuses) {
            return None;
        }
        let old = self.version == Target::V3_0_1;
        if self.component && self.level == 0 && self.is_heir(map) {
            return None;
        }
        if let Some(to) = referred(map) {
            let one = refer(self.version, to.name, annotations(map), old && to.nullable);
            return (one != Value::Object(map.clone())).then_some(one);
        }
        let mut own = map.clone();
        own.shift_remove("allOf");
        own.shift_remove("$ref");
        let nullable = take_nullable(&mut own) && old;
        let mut said = Map::new();
        let mut parts = Vec::new();
        for member in members(map) {
            let Value::Object(member) = member else {
                return None;
            };
            if member
                .keys()
                .all(|name| is_annotation(name) || name == "nullable")
            {
                said.extend(annotations(&member));
            } else {
                parts.push(member);
            }
        }
        said.extend(annotations(&own));
        own.retain(|name, _| !is_annotation(name));
        let one = match (parts.len(), own.is_empty()) {
            (0, _) => own,
            (1, true) => parts.swap_remove(0),
            _ => self.fold(parts, own)?,
        };
        Some(finish(self.version, one, said, nullable))
    }

    /// Whether a schema extends one whose discriminator tells its heirs.
    fn is_heir(&self, map: &Schema) -> bool {
        let list = map.get("allOf").and_then(Value::as_array);
        list.into_iter().flatten().any(|member| {
            let to = member.as_object().and_then(referred);
            let parent = to.and_then(|to| self.schemas.get(to.name));
            parent.is_some_and(|parent| parent.get("discriminator").is_some())
        })
    }

    /// The conjunction of all.
    fn fold(&mut self, parts: Vec<Schema>, own: Schema) -> Option<Schema> {
        let work = self.work.min(WORK);
        let mut meet = Meet {
            version: self.version,
            work,
            depth: 0,
            targets: self,
        };
        let mut all = parts
            .into_iter()
            .map(|member| Value::Object(part(&member)))
            .chain((!own.is_empty()).then_some(Value::Object(own)));
        let first = all.next();
        let one =
            first.and_then(|first| all.try_fold(first, |one, next| meet.both(&one, &next)).ok());
        let spent = work - meet.work;
        self.work -= spent;
        match one {
            Some(Value::Object(one)) => Some(one),
            _ => None,
        }
    }
}

/// A schema with what is said about it.
fn finish(version: Target, mut one: Schema, said: Schema, nullable: bool) -> Value {
    if let Some(to) = referred(&one) {
        let mut all = annotations(&one);
        all.extend(said);
        return refer(version, to.name, all, nullable || to.nullable);
    }
    let restricts = one.keys().any(|name| !is_annotation(name));
    one.extend(said);
    if nullable && restricts {
        one.insert("nullable".to_owned(), true.into());
    }
    Value::Object(one)
}

/// A schema as a part of another: its title and its examples are not those of the whole.
fn part(schema: &Schema) -> Schema {
    let mut part = schema.clone();
    let composed = part.contains_key("properties")
        || matches!(
            part.get("type").and_then(Value::as_str),
            Some("object" | "array")
        );
    part.shift_remove("title");
    if composed {
        for name in ["default", "example", "examples"] {
            part.shift_remove(name);
        }
    }
    part
}
