//! Evaluating expressions, each step paid for.

use std::borrow::Cow;
use std::collections::HashSet;
use std::rc::Rc;

use crate::openapi::Value;

use super::super::super::pointer;
use super::pattern::Patterns;
use super::{Budget, Exceeded, Logical, MAX_MATCHES, Operand, Query, Segment, Selector, compare};

/// A node and the way to it.
#[derive(Clone)]
struct Node<'v> {
    /// What is there.
    value: &'v Value,
    /// The way; `None` at the root, and within filters, where nobody asks for it.
    link: Option<Rc<Link<'v>>>,
}

/// The last step of a way.
struct Link<'v> {
    /// The steps before it.
    parent: Option<Rc<Link<'v>>>,
    /// The step.
    step: Step<'v>,
}

/// From a node to its child.
#[derive(Clone, Copy)]
enum Step<'v> {
    /// A member.
    Name(&'v str),
    /// An item.
    Index(usize),
}

impl Node<'_> {
    /// The way as a JSON pointer.
    fn pointer(&self) -> String {
        let mut steps = Vec::new();
        let mut link = self.link.as_ref();
        while let Some(this) = link {
            steps.push(this.step);
            link = this.parent.as_ref();
        }
        let mut out = String::new();
        for step in steps.into_iter().rev() {
            match step {
                Step::Name(name) => pointer::push(&mut out, name),
                Step::Index(index) => pointer::push_index(&mut out, index),
            }
        }
        out
    }
}

/// Pointers to what is selected.
pub(super) fn places(
    query: &Query,
    root: &Value,
    budget: &Budget,
) -> Result<Vec<String>, Exceeded> {
    let evaluation = Evaluation {
        root,
        budget,
        patterns: &Patterns::default(),
        located: true,
    };
    let nodes = evaluation.query(query, root)?;
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    for node in nodes {
        let pointer = node.pointer();
        budget.spend(1 + pointer.len() / 16)?;
        if seen.insert(pointer.clone()) {
            out.push(pointer);
        }
    }
    Ok(out)
}

/// An evaluation.
#[derive(Clone, Copy)]
struct Evaluation<'v, 'b> {
    /// The document.
    root: &'v Value,
    /// What may still be done.
    budget: &'b Budget,
    /// Regular expressions that were needed.
    patterns: &'b Patterns,
    /// Whether ways are wanted.
    located: bool,
}

impl<'v> Evaluation<'v, '_> {
    /// The nodes that a query selects, from a current node.
    fn query(&self, query: &'v Query, current: &'v Value) -> Result<Vec<Node<'v>>, Exceeded> {
        let value = if query.absolute { self.root } else { current };
        let mut nodes = vec![Node { value, link: None }];
        for segment in &query.segments {
            let mut next = Vec::new();
            for node in &nodes {
                if segment.descendant {
                    self.descend(segment, node, &mut next)?;
                } else {
                    self.segment(segment, node, &mut next)?;
                }
            }
            nodes = next;
        }
        Ok(nodes)
    }

    /// A segment at a node and at all below it, each before its children.
    fn descend(
        &self,
        segment: &'v Segment,
        node: &Node<'v>,
        out: &mut Vec<Node<'v>>,
    ) -> Result<(), Exceeded> {
        let mut open = vec![node.clone()];
        while let Some(node) = open.pop() {
            self.budget.spend(1)?;
            self.segment(segment, &node, out)?;
            let first = open.len();
            self.children(&node, |child| {
                // A leaf has nothing to select.
                if child.value.is_object() || child.value.is_array() {
                    open.push(child);
                }
                Ok(())
            })?;
            open[first..].reverse();
        }
        Ok(())
    }

    /// A segment at one node.
    fn segment(
        &self,
        segment: &'v Segment,
        node: &Node<'v>,
        out: &mut Vec<Node<'v>>,
    ) -> Result<(), Exceeded> {
        for selector in &segment.selectors {
            self.budget.spend(1)?;
            self.select(selector, node, out)?;
            if out.len() > MAX_MATCHES {
                return Err(Exceeded::Matches);
            }
        }
        Ok(())
    }

    /// What a selector selects of one node.
    fn select(
        &self,
        selector: &'v Selector,
        node: &Node<'v>,
        out: &mut Vec<Node<'v>>,
    ) -> Result<(), Exceeded> {
        match (selector, node.value) {
            (Selector::Name(name), Value::Object(map)) => {
                if let Some((name, value)) = map.get_key_value(name) {
                    out.push(self.child(node, Step::Name(name), value));
                }
            }
            (Selector::Index(index), Value::Array(list)) => {
                let index = absolute(*index, list.len());
                if let Some((index, value)) = index.and_then(|i| Some((i, list.get(i)?))) {
                    out.push(self.child(node, Step::Index(index), value));
                }
            }
            (Selector::Slice { start, end, step }, Value::Array(list)) => {
                for index in slice(*start, *end, *step, list.len()) {
                    self.budget.spend(1)?;
                    if let Some(value) = list.get(index) {
                        out.push(self.child(node, Step::Index(index), value));
                    }
                }
            }
            (Selector::Wildcard, _) => self.children(node, |child| {
                out.push(child);
                Ok(())
            })?,
            (Selector::Filter(logical), _) => {
                let inner = Evaluation {
                    located: false,
                    ..*self
                };
                self.children(node, |child| {
                    if inner.test(logical, child.value)? {
                        out.push(child);
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A child with its way.
    fn child(&self, node: &Node<'v>, step: Step<'v>, value: &'v Value) -> Node<'v> {
        let parent = node.link.clone();
        let link = self.located.then(|| Rc::new(Link { parent, step }));
        Node { value, link }
    }

    /// Every child.
    fn children(
        &self,
        node: &Node<'v>,
        mut each: impl FnMut(Node<'v>) -> Result<(), Exceeded>,
    ) -> Result<(), Exceeded> {
        match node.value {
            Value::Object(map) => {
                for (name, value) in map {
                    self.budget.spend(1)?;
                    each(self.child(node, Step::Name(name), value))?;
                }
            }
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    self.budget.spend(1)?;
                    each(self.child(node, Step::Index(index), value))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether an expression is true of a node.
    fn test(&self, logical: &'v Logical, current: &'v Value) -> Result<bool, Exceeded> {
        self.budget.spend(1)?;
        match logical {
            Logical::Or(all) => {
                for one in all {
                    if self.test(one, current)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Logical::And(all) => {
                for one in all {
                    if !self.test(one, current)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Logical::Not(inner) => Ok(!self.test(inner, current)?),
            Logical::Exists(query) => Ok(!self.query(query, current)?.is_empty()),
            Logical::Compare(left, operator, right) => {
                let left = self.operand(left, current)?;
                let right = self.operand(right, current)?;
                compare::compare(left.as_deref(), *operator, right.as_deref(), self.budget)
            }
            Logical::Matches {
                whole,
                text,
                pattern,
            } => {
                let text = self.operand(text, current)?;
                let pattern = self.operand(pattern, current)?;
                match (text.as_deref(), pattern.as_deref()) {
                    (Some(Value::String(text)), Some(Value::String(pattern))) => {
                        self.patterns.matches(pattern, *whole, text, self.budget)
                    }
                    _ => Ok(false),
                }
            }
        }
    }

    /// A value to compare; `None` is nothing.
    fn operand(
        &self,
        operand: &'v Operand,
        current: &'v Value,
    ) -> Result<Option<Cow<'v, Value>>, Exceeded> {
        let number = |count: usize| Some(Cow::Owned(Value::from(count)));
        Ok(match operand {
            Operand::Literal(value) => Some(Cow::Borrowed(value)),
            Operand::Single(query) | Operand::ValueOf(query) => {
                match self.query(query, current)?.as_slice() {
                    [node] => Some(Cow::Borrowed(node.value)),
                    _ => None,
                }
            }
            Operand::Count(query) => number(self.query(query, current)?.len()),
            Operand::Length(inner) => match self.operand(inner, current)?.as_deref() {
                Some(Value::String(text)) => {
                    self.budget.spend(text.len() / 16)?;
                    number(text.chars().count())
                }
                Some(Value::Array(list)) => number(list.len()),
                Some(Value::Object(map)) => number(map.len()),
                _ => None,
            },
        })
    }
}

/// An index from the start.
fn absolute(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { length + index } else { index };
    usize::try_from(index).ok()
}

/// The indices of a slice (RFC 9535 §2.3.4.2.2).
fn slice(
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
    length: usize,
) -> Box<dyn Iterator<Item = usize>> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let from_end = |index: i64| if index < 0 { length + index } else { index };
    let by = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
    let index = |index: i64| usize::try_from(index).ok();
    match step {
        1.. => {
            let start = from_end(start.unwrap_or(0)).clamp(0, length);
            let end = from_end(end.unwrap_or(length)).clamp(0, length);
            Box::new((start..end).step_by(by).filter_map(index))
        }
        0 => Box::new(std::iter::empty()),
        _ => {
            let upper = start.map_or(length - 1, from_end).clamp(-1, length - 1);
            let lower = end.map_or(-1, from_end).clamp(-1, length - 1);
            Box::new((lower + 1..=upper).rev().step_by(by).filter_map(index))
        }
    }
}
