//! Which of an upstream's URLs a request goes to, and when it may go to another one.
//!
//! Per request the less loaded of two random ones; load is what this worker has under way. URLs
//! whose connections keep failing are left out for a while ([`Origin`](crate::snapshot::Origin)).

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use http::Response;

use super::connect::{Connected, Speak};
use super::deadline::Deadline;
use super::{Channel, ConnectError, Outgoing, ResponseBody, UpstreamError, Upstreams};
use crate::snapshot::{Admission, Target, Targets};

/// Seconds over which requests and retries are counted.
const WINDOW: usize = 10;
/// Retries within it that are always allowed: as many as it takes to leave a URL out.
const ALWAYS: u32 = 3;
/// One retry more for so many requests.
const REQUESTS_PER_RETRY: u32 = 5;
/// The least time that a URL has to show that it is back before another request tries.
const TRIAL: Duration = Duration::from_secs(1);

/// A request that did not come to a response.
pub(super) struct Undone {
    pub(super) error: UpstreamError,
    /// The request, if no connection was made for it: not a byte of it was sent.
    pub(super) unsent: Option<Box<Outgoing>>,
    /// Whether a new connection failed, which says something of the URL.
    pub(super) connection_failed: bool,
}

/// What a worker knows of URLs that others can stand in for.
#[derive(Debug, Default)]
pub(super) struct Balance {
    members: RefCell<HashMap<Arc<str>, Rc<Member>>>,
    random: Cell<u64>,
    epoch: OnceCell<std::time::Instant>,
}

/// One URL.
#[derive(Debug, Default)]
struct Member {
    under_way: Cell<u32>,
    recent: RefCell<Recent>,
}

/// How much was tried in the last seconds.
#[derive(Debug, Default)]
struct Recent {
    seconds: [Second; WINDOW],
}

#[derive(Debug, Default, Clone, Copy)]
struct Second {
    /// Of the worker's clock.
    number: u64,
    requests: u32,
    retries: u32,
}

impl Recent {
    fn second(&mut self, number: u64) -> &mut Second {
        let place = usize::try_from(number).unwrap_or_default() % WINDOW;
        let second = &mut self.seconds[place];
        if second.number != number {
            *second = Second {
                number,
                ..Second::default()
            };
        }
        second
    }

    /// Requests and retries.
    fn sum(&self, now: u64) -> (u32, u32) {
        self.seconds
            .iter()
            .filter(|second| second.number + WINDOW as u64 > now)
            .fold((0, 0), |(requests, retries), second| {
                (requests + second.requests, retries + second.retries)
            })
    }
}

/// A request under way; over when dropped.
#[derive(Debug)]
pub(super) struct UnderWay(Rc<Member>);

impl UnderWay {
    fn begin(member: Rc<Member>) -> Self {
        member.under_way.set(member.under_way.get() + 1);
        Self(member)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}

impl Upstreams {
    /// Sends a request to one of the targets and waits for the head of the response; gives the
    /// target that it came from.
    ///
    /// When no connection can be made, not a byte of the request was sent, and another target is
    /// tried, whatever the method: each at most once, and as long as retries are no more than a
    /// fifth of the requests of the last ten seconds and three. What happens on a connection is
    /// never the cause to try another target.
    pub async fn send<'t>(
        self: &Rc<Self>,
        targets: &'t Targets,
        outgoing: Box<Outgoing>,
        again: impl Fn(bool) -> Option<Box<Outgoing>>,
    ) -> Result<(Response<Box<ResponseBody>>, &'t Target), UpstreamError> {
        let only = targets.first();
        let deadline = only.total.map(Deadline::from_now);
        if targets.all().len() == 1 {
            let sent = self.send_to(only, outgoing, again, deadline).await;
            return match sent {
                Ok(response) => Ok((response, only)),
                Err(undone) => Err(undone.error),
            };
        }
        let (mut outgoing, mut tried) = (outgoing, 0);
        loop {
            let chosen = self.balance.choose(targets, tried);
            let target = &targets.all()[chosen.index];
            let under_way = chosen.begin(tried > 0);
            tried |= 1 << chosen.index;
            address(&mut outgoing, target);
            let again = |refused| {
                let mut outgoing = again(refused)?;
                address(&mut outgoing, target);
                Some(outgoing)
            };
            let undone = match self.send_to(target, outgoing, again, deadline).await {
                Ok(mut response) => {
                    target.origin.succeeded();
                    response.body_mut().count(under_way);
                    return Ok((response, target));
                }
                Err(undone) => undone,
            };
            if undone.connection_failed {
                failed(target, chosen.trial, &undone.error);
            }
            match undone.unsent {
                Some(unsent) if self.balance.may_retry(targets, tried) => outgoing = unsent,
                _ => return Err(undone.error),
            }
        }
    }
}

impl Upstreams {
    /// Makes a connection for one request alone, to one of the targets: another one is tried as
    /// in [`send`](Self::send).
    pub(super) async fn open<'t>(
        &self,
        targets: &'t Targets,
        outgoing: &mut Outgoing,
    ) -> Result<(Channel, &'t Target), UpstreamError> {
        let only = targets.first();
        if targets.all().len() == 1 {
            let channel = self.own(only).await;
            return Ok((channel?, only));
        }
        let mut tried = 0;
        loop {
            let chosen = self.balance.choose(targets, tried);
            let target = &targets.all()[chosen.index];
            let _under_way = chosen.begin(tried > 0);
            tried |= 1 << chosen.index;
            let error = match self.own(target).await {
                Ok(channel) => {
                    target.origin.succeeded();
                    address(outgoing, target);
                    return Ok((channel, target));
                }
                Err(error) if error.is_crowded() => return Err(error.into()),
                Err(error) => UpstreamError::Unreachable(error),
            };
            failed(target, chosen.trial, &error);
            if !self.balance.may_retry(targets, tried) {
                return Err(error);
            }
        }
    }
}

impl Upstreams {
    /// A new connection of HTTP/1.1.
    async fn own(&self, target: &Target) -> Result<Channel, ConnectError> {
        match self.connection(target, Speak::Http1).await? {
            Connected::Http1(channel) => Ok(channel),
            // It chose what it was not offered, or `target` was not asked.
            Connected::Http2(_) => Err(ConnectError::NotHttp1),
        }
    }
}

/// Notes that a connection failed.
fn failed(target: &Target, trial: bool, error: &UpstreamError) {
    if let Some(time) = target.origin.failed(std::time::Instant::now(), trial) {
        let seconds = time.as_secs();
        tracing::warn!(url = target.url(""), seconds, %error, "an upstream is left out");
    }
}

/// Puts the target's own `Host` into a request, if it has one.
fn address(outgoing: &mut Outgoing, target: &Target) {
    if let Some(host) = &target.host_sent {
        outgoing.host = host.clone();
    }
}

/// A choice.
struct Chosen {
    index: usize,
    /// It was left out, and this request tries whether it is back.
    trial: bool,
    member: Rc<Member>,
    second: u64,
}

impl Chosen {
    /// Counts the request, which is a retry if it was given to another target before.
    fn begin(&self, retry: bool) -> UnderWay {
        let mut recent = self.member.recent.borrow_mut();
        let second = recent.second(self.second);
        if retry {
            second.retries += 1;
        } else {
            second.requests += 1;
        }
        UnderWay::begin(Rc::clone(&self.member))
    }
}

impl Balance {
    /// One of the targets that were not tried. Unhealthy ones only come when there is no other,
    /// and then those that are left out.
    fn choose(&self, targets: &Targets, tried: u64) -> Chosen {
        let (all, now) = (targets.all(), std::time::Instant::now());
        let untried = !tried & mask(all.len());
        let well = |index: &usize| {
            let checked = all[*index].checked.as_ref();
            checked.is_none_or(|checked| !checked.condition.is_ill())
        };
        let well = ones(untried)
            .filter(well)
            .fold(0, |well, index| well | 1 << index);
        let untried = if well == 0 { untried } else { well };
        let admitted = |index: &usize| all[*index].origin.admission(now) != Admission::Out;
        let open = ones(untried).filter(admitted);
        let mut open = open.fold(0, |open, index| open | 1 << index);
        loop {
            let candidates = if open == 0 { untried } else { open };
            let (index, member) = self.lighter(all, candidates);
            let target = &all[index];
            let trial = open != 0 && target.origin.admission(now) == Admission::Trial;
            if trial && !target.origin.try_out(now, target.connect.max(TRIAL)) {
                // Another request tries it just now.
                open &= !(1 << index);
                continue;
            }
            return Chosen {
                index,
                trial,
                member,
                second: self.second(),
            };
        }
    }

    /// Of two random ones, the one with less under way.
    fn lighter(&self, all: &[Target], candidates: u64) -> (usize, Rc<Member>) {
        let count = candidates.count_ones();
        let first = self.below(count);
        let one = nth(candidates, first);
        let member = self.member(&all[one]);
        if count == 1 {
            return (one, member);
        }
        // Any other than the first.
        let second = (first + 1 + self.below(count - 1)) % count;
        let two = nth(candidates, second);
        let other = self.member(&all[two]);
        if other.under_way.get() < member.under_way.get() {
            (two, other)
        } else {
            (one, member)
        }
    }

    /// Whether the budget has a retry left for a request that found no connection.
    fn may_retry(&self, targets: &Targets, tried: u64) -> bool {
        let all = targets.all();
        if tried == mask(all.len()) {
            return false;
        }
        let now = self.second();
        let (mut requests, mut retries) = (0, 0);
        for target in all {
            let sum = self.member(target).recent.borrow().sum(now);
            requests += sum.0;
            retries += sum.1;
        }
        retries < ALWAYS + requests / REQUESTS_PER_RETRY
    }

    fn member(&self, target: &Target) -> Rc<Member> {
        let mut members = self.members.borrow_mut();
        match members.get(&target.key) {
            Some(member) => Rc::clone(member),
            None => Rc::clone(members.entry(Arc::clone(&target.key)).or_default()),
        }
    }

    /// Forgets URLs that have had nothing to do. Called once a second.
    pub(super) fn tick(&self) {
        let now = self.second();
        self.members.borrow_mut().retain(|_, member| {
            member.under_way.get() > 0 || member.recent.borrow().sum(now) != (0, 0)
        });
    }

    /// The current second, from an arbitrary beginning: none before it is within the window.
    fn second(&self) -> u64 {
        let epoch = self.epoch.get_or_init(std::time::Instant::now);
        epoch.elapsed().as_secs() + WINDOW as u64
    }

    /// A number below `bound`, as random as a choice between equals has to be (xorshift64*).
    fn below(&self, bound: u32) -> u32 {
        let mut state = self.random.get();
        if state == 0 {
            let mut seed = [0; 8];
            let _ = getrandom::fill(&mut seed);
            state = u64::from_ne_bytes(seed) | 1;
        }
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.random.set(state);
        let high = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        ((high * u64::from(bound)) >> 32) as u32
    }
}

/// The lowest `count` bits.
fn mask(count: usize) -> u64 {
    u64::MAX >> (64 - count)
}

/// The places of the bits that are set.
fn ones(bits: u64) -> impl Iterator<Item = usize> {
    (0..64).filter(move |index| bits >> index & 1 == 1)
}

/// The place of a bit that is set, counted from 0.
fn nth(bits: u64, count: u32) -> usize {
    ones(bits).nth(count as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(count: u16) -> Targets {
        let target = |port| Target {
            key: format!("http://127.0.0.1:{port}").into(),
            ..super::super::tests::target(port)
        };
        Targets::new((1..=count).map(target).collect()).unwrap()
    }

    /// The indices of some choices that are made one after the other, nothing being under way.
    fn chosen(balance: &Balance, targets: &Targets, tried: u64) -> Vec<usize> {
        let mut chosen: Vec<_> = (0..200)
            .map(|_| balance.choose(targets, tried).index)
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn leave_out(target: &Target) {
        let now = std::time::Instant::now();
        while target.origin.failed(now, false).is_none() {}
    }

    #[test]
    fn the_less_loaded_of_two() {
        let (balance, targets) = (Balance::default(), targets(2));
        let held: Vec<_> = (0..10)
            .map(|_| balance.choose(&targets, 0).begin(false))
            .collect();
        for target in targets.all() {
            assert_eq!(balance.member(target).under_way.get(), 5);
        }
        drop(held);
        assert_eq!(balance.member(targets.first()).under_way.get(), 0);
    }

    #[test]
    fn what_is_left_out_comes_when_there_is_no_other() {
        let (balance, targets) = (Balance::default(), targets(4));
        assert_eq!(chosen(&balance, &targets, 0), [0, 1, 2, 3]);
        assert_eq!(chosen(&balance, &targets, 0b0101), [1, 3]);
        leave_out(&targets.all()[1]);
        leave_out(&targets.all()[2]);
        assert_eq!(chosen(&balance, &targets, 0), [0, 3]);
        assert_eq!(chosen(&balance, &targets, 0b1001), [1, 2]);
        leave_out(&targets.all()[0]);
        leave_out(&targets.all()[3]);
        assert_eq!(chosen(&balance, &targets, 0), [0, 1, 2, 3]);
    }

    #[test]
    fn retries_are_a_fifth_of_the_requests_and_three() {
        let (balance, targets) = (Balance::default(), targets(2));
        let retries = |balance: &Balance| {
            let mut retries = 0;
            while balance.may_retry(&targets, 0b01) {
                drop(balance.choose(&targets, 0b01).begin(true));
                retries += 1;
            }
            retries
        };
        assert_eq!(retries(&balance), 3);
        for _ in 0..50 {
            drop(balance.choose(&targets, 0).begin(false));
        }
        assert_eq!(retries(&balance), 10);
        assert!(!balance.may_retry(&targets, 0b11), "there is no other");
        balance.tick();
        assert!(!balance.may_retry(&targets, 0b01), "nothing is forgotten");
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let mut recent = Recent::default();
        recent.second(20).requests += 1;
        recent.second(25).retries += 2;
        assert_eq!(recent.sum(29), (1, 2));
        assert_eq!(recent.sum(30), (0, 2));
        recent.second(35).requests += 1;
        assert_eq!(recent.sum(35), (1, 0));
    }
}
