//! Documents that may match, in order of number: streams of them, and where all streams meet.

use std::collections::BTreeSet;

use cresset_store::Query;
use rusqlite::{Connection, OptionalExtension, params};

use super::keys::{Lookup, after_start, lookup, type_posting};
use crate::fault::Fault;

/// Documents that are collected for a condition that does not give them in order. One that gives
/// more is no help in narrowing down.
const COLLECTED_MAX: usize = 20_000;
/// Documents that are so few that looking at each costs less than narrowing further down.
const FEW: usize = 256;
/// Documents that are read ahead of a posting.
const AHEAD: usize = 128;

/// Documents in order of number.
enum Stream {
    /// These, from here on.
    List(Vec<u64>, usize),
    /// Those of any of these postings.
    Postings(Vec<Posting>),
}

/// One posting, read a stretch at a time.
struct Posting {
    key: i64,
    ahead: Vec<u64>,
    next: usize,
    /// Whether `ahead` ends where the posting ends.
    ended: bool,
}

/// The documents where all clauses that the index can look up agree.
pub(super) struct Candidates {
    streams: Vec<Stream>,
}

/// What is looked up for a clause: documents with any of these.
struct Access {
    lookups: Vec<Lookup>,
    /// How many documents there are, up to one more than [`FEW`]; that for those not counted.
    size: usize,
}

impl Access {
    fn is_posting(&self) -> bool {
        self.lookups.iter().all(|lookup| matches!(lookup, Lookup::Posting(_)))
    }
}

impl Candidates {
    /// Sets up the streams for a query, from the documents after `after` on.
    ///
    /// Few documents are looked at one by one rather than found in other streams too. Otherwise all
    /// streams take part, those with the fewest documents first.
    pub(super) fn new(connection: &Connection, query: &Query, after: u64) -> Result<Self, Fault> {
        let mut accesses = accesses(connection, query)?;
        accesses.sort_by_key(|access| access.size);
        if accesses.first().is_some_and(|first| first.size <= FEW) {
            accesses.truncate(1);
        }
        let mut streams = Vec::new();
        for access in &accesses {
            streams.extend(stream(connection, query, access, after)?);
        }
        if streams.is_empty() {
            let all = Posting::new(type_posting(query.base, &query.resource_type));
            streams.push(Stream::Postings(vec![all]));
        }
        streams.sort_by_key(|stream| matches!(stream, Stream::Postings(_)));
        Ok(Self { streams })
    }

    /// The first document at or after `from` in all streams. Gives up after `steps` tries, with
    /// the number that was reached.
    pub(super) fn seek(
        &mut self,
        connection: &Connection,
        from: u64,
        steps: &mut usize,
    ) -> Result<Next, Fault> {
        let mut target = from;
        while *steps > 0 {
            *steps -= 1;
            let mut first = None;
            let mut furthest = target;
            for stream in &mut self.streams {
                match stream.seek(connection, furthest)? {
                    None => return Ok(Next::End),
                    Some(number) => furthest = number,
                }
                first = first.or(Some(furthest));
            }
            // Numbers only grow from stream to stream: the last is the first where all meet.
            if first == Some(furthest) {
                return Ok(Next::Document(furthest));
            }
            target = furthest;
        }
        Ok(Next::GaveUp(target))
    }
}

/// What [`Candidates::seek`] came to.
pub(super) enum Next {
    Document(u64),
    End,
    /// Nothing below this number; it was not looked further.
    GaveUp(u64),
}

/// How the clauses are looked up, those that can be. What is asked of the same stretches is one.
fn accesses(connection: &Connection, query: &Query) -> Result<Vec<Access>, Fault> {
    let mut accesses: Vec<Access> = Vec::new();
    for clause in query.clauses.iter().filter(|clause| !clause.negated) {
        let lookups = clause.any.iter().map(|condition| lookup(query, condition));
        let Some(lookups) = lookups.collect::<Option<Vec<_>>>() else { continue };
        let known = accesses.iter_mut().find_map(|access| {
            let ([Lookup::Stretch(known)], [Lookup::Stretch(meets)]) =
                (access.lookups.as_mut_slice(), lookups.as_slice())
            else {
                return None;
            };
            Some((known.and(meets)?, known))
        });
        match known {
            Some((both, known)) => *known = both,
            None => {
                let size = size(connection, &lookups)?;
                accesses.push(Access { lookups, size });
            }
        }
    }
    Ok(accesses)
}

/// How many documents there are at these places, as [`Access::size`] tells it.
fn size(connection: &Connection, lookups: &[Lookup]) -> Result<usize, Fault> {
    let mut size = 0;
    for lookup in lookups {
        size += match lookup {
            Lookup::Id(_) => 1,
            Lookup::Posting(key) => connection
                .prepare_cached(
                    "SELECT count(*) FROM (SELECT 1 FROM posting WHERE key = ?1 LIMIT ?2)",
                )?
                .query_row(params![key, FEW + 1], |row| row.get(0))?,
            Lookup::Starts(..) | Lookup::Stretch(_) => FEW + 1,
        };
        if size > FEW {
            return Ok(FEW + 1);
        }
    }
    Ok(size)
}

/// The stream of a clause; none if it gives too many documents.
fn stream(
    connection: &Connection,
    query: &Query,
    access: &Access,
    after: u64,
) -> Result<Option<Stream>, Fault> {
    if access.is_posting() && !access.lookups.is_empty() {
        let key = |lookup: &Lookup| match lookup {
            Lookup::Posting(key) => Some(*key),
            Lookup::Id(_) | Lookup::Starts(..) | Lookup::Stretch(_) => None,
        };
        let mut postings: Vec<i64> = access.lookups.iter().filter_map(key).collect();
        postings.sort_unstable();
        postings.dedup();
        return Ok(Some(Stream::Postings(postings.into_iter().map(Posting::new).collect())));
    }
    let mut documents = BTreeSet::new();
    for lookup in &access.lookups {
        let all = collect(connection, query, lookup, after, &mut documents)?;
        if !all || documents.len() > COLLECTED_MAX {
            return Ok(None);
        }
    }
    Ok(Some(Stream::List(documents.into_iter().collect(), 0)))
}

/// Adds the documents of a lookup after `after`, and says whether these are all. What is before
/// `after` counts, too: it has to be passed over for each page.
fn collect(
    connection: &Connection,
    query: &Query,
    lookup: &Lookup,
    after: u64,
    documents: &mut BTreeSet<u64>,
) -> Result<bool, Fault> {
    let limit = COLLECTED_MAX + 1;
    let mut add = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
        let mut select = connection.prepare_cached(sql)?;
        let mut rows = select.query(parameters)?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            documents.extend(Some(row.get(0)?).filter(|number: &u64| *number > after));
        }
        Ok::<_, Fault>(count < limit)
    };
    match lookup {
        Lookup::Id(id) => {
            let number = number_of(connection, query, id)?;
            documents.extend(number.filter(|number| *number > after));
            Ok(true)
        }
        Lookup::Posting(key) => add(
            "SELECT document FROM posting WHERE key = ?1 AND document > ?2 LIMIT ?3",
            &[key, &after, &limit],
        ),
        Lookup::Starts(parameter, prefix) => add(
            "SELECT document FROM start
             WHERE parameter = ?1 AND text BETWEEN ?2 AND ?3 LIMIT ?4",
            &[parameter, prefix, &after_start(prefix), &limit],
        ),
        Lookup::Stretch(meets) => {
            for (parameter, from, to) in meets.ranges() {
                let all = add(
                    "SELECT document FROM bound
                     WHERE parameter = ?1 AND value BETWEEN ?2 AND ?3 LIMIT ?4",
                    &[&parameter, &from, &to, &limit],
                )?;
                if !all {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }
}

/// The number of the document with an id.
fn number_of(connection: &Connection, query: &Query, id: &str) -> Result<Option<u64>, Fault> {
    let number = connection
        .prepare_cached("SELECT number FROM resource WHERE base = ?1 AND type = ?2 AND id = ?3")?
        .query_row(params![query.base.number(), query.resource_type.as_str(), id], |row| {
            row.get(0)
        });
    Ok(number.optional()?)
}

impl Stream {
    /// The first document at or after `target`. Targets never go back.
    fn seek(&mut self, connection: &Connection, target: u64) -> Result<Option<u64>, Fault> {
        match self {
            Self::List(numbers, next) => {
                *next += numbers[*next..].partition_point(|number| *number < target);
                Ok(numbers.get(*next).copied())
            }
            Self::Postings(postings) => {
                let mut first = None;
                for posting in postings {
                    let number = posting.seek(connection, target)?;
                    first = match (first, number) {
                        (Some(a), Some(b)) => Some(u64::min(a, b)),
                        (a, b) => a.or(b),
                    };
                }
                Ok(first)
            }
        }
    }
}

impl Posting {
    fn new(key: i64) -> Self {
        Self { key, ahead: Vec::new(), next: 0, ended: false }
    }

    fn seek(&mut self, connection: &Connection, target: u64) -> Result<Option<u64>, Fault> {
        self.next += self.ahead[self.next..].partition_point(|number| *number < target);
        if self.next == self.ahead.len() && !self.ended {
            let mut select = connection.prepare_cached(
                "SELECT document FROM posting WHERE key = ?1 AND document >= ?2
                 ORDER BY document LIMIT ?3",
            )?;
            let rows = select.query_map(params![self.key, target, AHEAD], |row| row.get(0))?;
            self.ahead = rows.collect::<Result<_, _>>()?;
            self.next = 0;
            self.ended = self.ahead.len() < AHEAD;
        }
        Ok(self.ahead.get(self.next).copied())
    }
}
