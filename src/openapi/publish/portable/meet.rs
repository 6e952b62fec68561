//! Two schemas as one that accepts what both accept.
//!
//! A schema is the conjunction of its keywords, so most of two schemas stands side by side. What
//! both say is put together where that is exact; where it is not, the two stay two.

use std::collections::HashSet;

use crate::openapi::{Map, Value, json};

use super::super::super::size::{take, weight};
use super::super::Target;
use super::super::keywords::{Keyword, is_annotation, keyword};
use super::pieces::{
    alternatives, annotations, apart, assertions, beside, excluded, is_structured, named, refer,
    restriction, take_nullable, tidy, two,
};
use super::values::{Fail, allows_null, common, settle, tighter, types, union};
use super::walk::referred;

/// Alternatives that are put together, each with what stands beside them.
const MAX_ALTERNATIVES: usize = 16;
/// Values that alternatives and what stands beside them may have together, for those that can not
/// be to be left out.
const MAX_PRUNED: usize = 4_096;
/// Longest chain of references that is followed.
const MAX_CHAIN: usize = 8;
/// Deepest schema that is put together.
const MAX_DEPTH: usize = 64;

/// A schema's keywords.
pub(super) type Schema = Map;

/// Where the schemas are that references mean.
pub(super) trait Targets {
    /// What stands there, for a copy; `nested`: below what is being put together.
    fn target(&mut self, name: &str, nested: bool) -> Result<Schema, Fail>;
    /// The type that it allows and no other, null neither.
    fn only_type(&self, name: &str) -> Option<String>;
}

/// Puts schemas together.
pub(super) struct Meet<'t, T> {
    /// Where references lead.
    pub(super) targets: &'t mut T,
    /// The version of the document.
    pub(super) version: Target,
    /// How many values may still be looked at.
    pub(super) work: usize,
    /// How deep we are.
    pub(super) depth: usize,
}

impl<T: Targets> Meet<'_, T> {
    /// Both schemas as one. Texts and the like are those of the second, where it has them.
    pub(super) fn both(&mut self, a: &Value, b: &Value) -> Result<Value, Fail> {
        let (Value::Object(first), Value::Object(second)) = (a, b) else {
            return if a == b {
                Ok(a.clone())
            } else {
                Err(Fail::Unclear)
            };
        };
        if a == b || first.is_empty() {
            return Ok(b.clone());
        }
        if second.is_empty() {
            return Ok(a.clone());
        }
        if let Some(reference) = self.reference(first, second) {
            return Ok(reference);
        }
        if self.depth > MAX_DEPTH {
            return Err(Fail::Unclear);
        }
        let first = self.whole(first)?;
        let second = self.whole(second)?;
        self.spend(&first)?;
        self.spend(&second)?;
        self.depth += 1;
        let met = self.meet(first, second);
        self.depth -= 1;
        met.map(|met| Value::Object(tidy(self.version, met)))
    }

    /// Counts what is looked at.
    fn spend(&mut self, schema: &Schema) -> Result<(), Fail> {
        let left = schema
            .values()
            .try_fold(self.work, |left, value| take(value, left));
        self.work = left.unwrap_or_default();
        left.map(|_| ()).ok_or(Fail::Unclear)
    }

    /// Both schemas as one, or as the two that they are.
    fn both_or_two(&mut self, a: &Value, b: &Value) -> Result<Value, Fail> {
        match self.both(a, b) {
            Err(Fail::Unclear | Fail::Never) => Ok(two(a, b)),
            met => met,
        }
    }

    /// What stays a reference: one to the same schema, or beside nothing that it does not say.
    fn reference(&self, a: &Schema, b: &Schema) -> Option<Value> {
        let to = |schema| referred(schema).map(|to| (to.name.to_owned(), to.nullable));
        let (name, nullable) = match (to(a), to(b)) {
            (Some(first), Some(second)) if first.0 == second.0 => (first.0, first.1 && second.1),
            (Some((name, nullable)), None) if self.adds_nothing(b, &name) => {
                (name, nullable && !b.contains_key("type"))
            }
            (None, Some((name, nullable))) if self.adds_nothing(a, &name) => {
                (name, nullable && !a.contains_key("type"))
            }
            _ => return None,
        };
        let mut said = annotations(a);
        said.extend(annotations(b));
        Some(refer(self.version, &name, said, nullable))
    }

    /// Whether a schema has texts alone, or the type that the other has anyway.
    fn adds_nothing(&self, schema: &Schema, other: &str) -> bool {
        schema.iter().all(|(name, value)| {
            is_annotation(name)
                || (name == "type"
                    && value.is_string()
                    && value.as_str() == self.targets.only_type(other).as_deref())
        })
    }

    /// A schema with what it refers to in its place.
    fn whole(&mut self, schema: &Schema) -> Result<Schema, Fail> {
        let mut whole = schema.clone();
        for _ in 0..MAX_CHAIN {
            let Some(to) = referred(&whole) else {
                let more = ["$ref", "allOf"]
                    .iter()
                    .any(|name| whole.contains_key(name));
                return if more { Err(Fail::Unclear) } else { Ok(whole) };
            };
            let mut target = self.targets.target(to.name, self.depth > 0)?;
            target.extend(annotations(&whole));
            if to.nullable && target.keys().any(|name| !is_annotation(name)) {
                target.insert("nullable".to_owned(), true.into());
            }
            whole = target;
        }
        Err(Fail::Unclear)
    }

    /// The conjunction of two schemas without references.
    fn meet(&mut self, mut a: Schema, mut b: Schema) -> Result<Schema, Fail> {
        for name in a.keys().chain(b.keys()) {
            let unclear = matches!(
                keyword(name),
                Keyword::Unknown | Keyword::Dropped | Keyword::Discriminator | Keyword::Reference
            );
            if unclear || name.starts_with("unevaluated") || name == "allOf" {
                return Err(Fail::Unclear);
            }
        }
        let nullable = match (take_nullable(&mut a), take_nullable(&mut b)) {
            (true, false) => allows_null(&b).ok_or(Fail::Unclear)?,
            (false, true) => allows_null(&a).ok_or(Fail::Unclear)?,
            (both, _) => both,
        };
        let met = match (alternatives(&a)?, alternatives(&b)?) {
            (None, None) => self.plain(a, &b, nullable),
            (Some(key), None) => self.distribute(key, a, &b, nullable),
            (None, Some(key)) => self.distribute(key, b, &a, nullable),
            (Some(key), Some(other)) if key == other => self.product(key, a, b, nullable),
            _ => Err(Fail::Unclear),
        };
        match met {
            // Null alone is left.
            Err(Fail::Never) if nullable => Err(Fail::Unclear),
            Ok(mut met) if nullable => {
                if met.keys().any(|name| !is_annotation(name)) {
                    met.insert("nullable".to_owned(), true.into());
                }
                Ok(met)
            }
            met => met,
        }
    }

    /// A schema with alternatives, and another without. Those that can not be are left out.
    fn distribute(
        &mut self,
        key: &str,
        mut with: Schema,
        without: &Schema,
        nullable: bool,
    ) -> Result<Schema, Fail> {
        let Some(Value::Array(list)) = with.shift_remove(key) else {
            return Err(Fail::Unclear);
        };
        let (inner, outer) = (assertions(&with), annotations(&with));
        let own = annotations(without);
        let rest = self.plain(inner, &assertions(without), nullable)?;
        let structured = is_structured(&rest);
        if structured && list.len() > MAX_ALTERNATIVES {
            return Err(Fail::Unclear);
        }
        let rest = Value::Object(rest);
        if !structured && weight(&rest).saturating_mul(list.len()) > MAX_PRUNED {
            return Ok(beside(key, list, rest, [outer, own]));
        }
        let mut kept = Vec::new();
        let mut met = Vec::new();
        for alternative in list {
            match self.both(&alternative, &rest) {
                Ok(Value::Object(both)) => {
                    met.push(both);
                    kept.push(alternative);
                }
                Err(Fail::Never) => {}
                Err(fail) if structured => return Err(fail),
                _ => kept.push(alternative),
            }
        }
        if kept.is_empty() {
            return Err(Fail::Never);
        }
        if let ([only], [_]) = (met.as_slice(), kept.as_slice()) {
            let mut out = outer;
            out.extend(own);
            out.extend(only.clone());
            return Ok(out);
        }
        if structured {
            let met = met.into_iter().map(Value::Object).collect();
            return Ok(beside(key, met, Value::Null, [outer, own]));
        }
        Ok(beside(key, kept, rest, [outer, own]))
    }

    /// Two schemas with alternatives of the same kind: each with each.
    fn product(
        &mut self,
        key: &str,
        mut a: Schema,
        mut b: Schema,
        nullable: bool,
    ) -> Result<Schema, Fail> {
        let (Some(Value::Array(first)), Some(Value::Array(second))) =
            (a.shift_remove(key), b.shift_remove(key))
        else {
            return Err(Fail::Unclear);
        };
        let mut rest = self.plain(a, &b, nullable)?;
        if first == second {
            rest.insert(key.to_owned(), first.into());
            return Ok(rest);
        }
        if first.len().saturating_mul(second.len()) > MAX_ALTERNATIVES {
            return Err(Fail::Unclear);
        }
        let said = annotations(&rest);
        let rest = Value::Object(assertions(&rest));
        let mut met = Vec::new();
        for one in &first {
            for other in &second {
                let both = self.both(one, other);
                match both.and_then(|both| self.both(&both, &rest)) {
                    Err(Fail::Never) => {}
                    both => met.push(both?),
                }
            }
        }
        match (met.pop(), met.is_empty()) {
            (None, _) => Err(Fail::Never),
            (Some(Value::Object(only)), true) => {
                let mut out = said;
                out.extend(only);
                Ok(out)
            }
            (Some(last), _) => {
                met.push(last);
                Ok(beside(key, met, Value::Null, [said, Schema::new()]))
            }
        }
    }

    /// Two schemas of which one has no alternatives, keyword by keyword.
    fn plain(&mut self, mut a: Schema, b: &Schema, nullable: bool) -> Result<Schema, Fail> {
        apart(&a, b)?;
        let mut b = b.clone();
        if self.version == Target::V3_0_1 {
            for (bound, flag, larger) in [
                ("minimum", "exclusiveMinimum", true),
                ("maximum", "exclusiveMaximum", false),
            ] {
                excluded(&mut a, &mut b, bound, flag, larger)?;
            }
        }
        self.objects(&mut a, &mut b)?;
        let narrowed = a.contains_key("enum") && b.contains_key("enum");
        for (name, value) in b {
            let together = match a.get(&name) {
                Some(own) if *own != value && !is_annotation(&name) => {
                    self.keyword(&name, own, &value, nullable)?
                }
                _ => value,
            };
            a.insert(name, together);
        }
        settle(&mut a, nullable)?;
        if narrowed {
            // Names for the values that were there.
            a.retain(|name, _| !name.starts_with("x-enum"));
        }
        Ok(a)
    }

    /// What one keyword says in two schemas.
    fn keyword(&mut self, name: &str, a: &Value, b: &Value, nullable: bool) -> Result<Value, Fail> {
        match name {
            "type" => types(a, b),
            "enum" => {
                let mut both = common(a, b)?;
                if let Value::Array(list) = &mut both
                    && nullable
                    && !list.contains(&Value::Null)
                    && [a, b]
                        .iter()
                        .any(|all| all.as_array().is_some_and(|all| all.contains(&Value::Null)))
                {
                    list.push(Value::Null);
                }
                Ok(both)
            }
            "const" => common(&json!([a]), &json!([b])).map(|_| a.clone()),
            "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
                tighter(a, b, true)
            }
            "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
                tighter(a, b, false)
            }
            "uniqueItems" => match (a, b) {
                (Value::Bool(a), Value::Bool(b)) => Ok(Value::Bool(*a || *b)),
                _ => Err(Fail::Unclear),
            },
            "required" => union(a, b),
            "items" | "propertyNames" => self.both_or_two(a, b),
            _ => Err(Fail::Unclear),
        }
    }

    /// The properties of two schemas, which are put into the first and taken out of the second.
    fn objects(&mut self, a: &mut Schema, b: &mut Schema) -> Result<(), Fail> {
        const GROUP: [&str; 3] = ["properties", "patternProperties", "additionalProperties"];
        let has = |schema: &Schema| GROUP.iter().any(|name| schema.contains_key(name));
        let same = GROUP.iter().all(|name| a.get(name) == b.get(name));
        if !has(a) || !has(b) || same {
            return Ok(());
        }
        let more =
            [&*a, &*b].map(|schema| restriction(schema.get("additionalProperties")).cloned());
        let [mine, others] = [&*a, &*b].map(|schema| named(schema, "patternProperties"));
        if !mine.is_empty() || !others.is_empty() {
            // Which of them apply to a property is not looked at.
            if more.iter().any(Option::is_some) {
                return Err(Fail::Unclear);
            }
            let all = self.patterns(mine, others)?;
            a.insert("patternProperties".to_owned(), Value::Object(all));
        }
        let all = self.properties(a, b, &more)?;
        if !all.is_empty() {
            a.insert("properties".to_owned(), Value::Object(all));
        }
        let more = match more {
            [Some(Value::Bool(_)), _] | [_, Some(Value::Bool(_))] => Some(Value::Bool(false)),
            [Some(a), Some(b)] => Some(self.both_or_two(&a, &b)?),
            [one, other] => one.or(other),
        };
        if let Some(more) = more {
            a.insert("additionalProperties".to_owned(), more);
        }
        for name in GROUP {
            if name != "additionalProperties" || a.contains_key(name) {
                b.shift_remove(name);
            }
        }
        Ok(())
    }

    /// The patterns of both.
    fn patterns(&mut self, mut all: Schema, others: Schema) -> Result<Schema, Fail> {
        for (pattern, schema) in others {
            let both = match all.get(&pattern) {
                Some(own) => self.both_or_two(own, &schema)?,
                None => schema,
            };
            all.insert(pattern, both);
        }
        Ok(all)
    }

    /// The properties of both; what one has alone is what the other has for all others.
    fn properties(
        &mut self,
        a: &Schema,
        b: &Schema,
        [more_a, more_b]: &[Option<Value>; 2],
    ) -> Result<Schema, Fail> {
        let [mine, others] = [a, b].map(|schema| named(schema, "properties"));
        let only_objects = [a, b]
            .iter()
            .any(|schema| schema.get("type") == Some(&json!("object")));
        let needed: HashSet<&str> = [a, b]
            .iter()
            .filter_map(|schema| schema.get("required")?.as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut all = Map::new();
        for (name, schema) in mine {
            // What is refused by the other would vanish: better to show the two.
            let both = match others.get(&name).or(more_b.as_ref()) {
                None => schema,
                Some(Value::Bool(_)) => return Err(Fail::Unclear),
                Some(other) => match self.both(&schema, other) {
                    Err(Fail::Never) if only_objects && needed.contains(name.as_str()) => {
                        return Err(Fail::Never);
                    }
                    Err(Fail::Never | Fail::Unclear) => two(&schema, other),
                    both => both?,
                },
            };
            all.insert(name, both);
        }
        for (name, schema) in others {
            if all.contains_key(&name) {
                continue;
            }
            let both = match more_a {
                None => schema,
                Some(Value::Bool(_)) => return Err(Fail::Unclear),
                Some(other) => self.both_or_two(other, &schema)?,
            };
            all.insert(name, both);
        }
        Ok(all)
    }
}
