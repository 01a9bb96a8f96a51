//! What stands beside the tables, made again. What is there already stays as it is, but for sequences: one that lags behind
//! is moved on, so that a restored table does not meet its own keys again.

use pintail_lake::Call;
use pintail_lake::quote::{identifier, literal};

use super::plan::{Planned, PlannedObject};
use super::{Maker, RestoreRequest};
use crate::catalog::{self, Catalog};
use crate::error::{Error, Result};
use crate::manifest::{DatabaseObject, Manifest, ObjectKind, needed};

/// Values that a sequence is moved on by, at most: one by one, at some millions a second.
const STEPS_MAX: i64 = 100_000_000;

/// The objects that are wanted, and those of the target.
pub(super) struct Objects<'a> {
    wanted: Vec<&'a DatabaseObject>,
    there: Vec<DatabaseObject>,
    /// Views and macros that could not be made before the tables, and why.
    waiting: Vec<(&'a DatabaseObject, Error)>,
}

impl<'a> Objects<'a> {
    pub(super) fn look(
        catalog: Catalog<'_>,
        manifest: &'a Manifest,
        request: &RestoreRequest,
        planned: &Planned<'_>,
    ) -> Result<Self> {
        let (there, _) = catalog::objects(catalog)?;
        Ok(Self::new(manifest, request, planned, there))
    }

    /// With all tables, all objects; with some, what the statements of these name. `there` are those of the target.
    pub(super) fn new(
        manifest: &'a Manifest,
        request: &RestoreRequest,
        planned: &Planned<'_>,
        there: Vec<DatabaseObject>,
    ) -> Self {
        let statements: Vec<&str> = planned
            .tables
            .iter()
            .map(|(entry, _)| entry.ddl.as_str())
            .collect();
        let wanted = match request.tables.as_slice() {
            [] => manifest.objects.iter().collect(),
            _ => needed(&manifest.objects, &statements),
        };
        Self {
            wanted,
            there,
            waiting: Vec::new(),
        }
    }

    /// Passes things of some kinds over.
    pub(super) fn leave_out(&mut self, kinds: &[ObjectKind]) {
        self.wanted.retain(|object| !kinds.contains(&object.kind));
    }

    pub(super) fn shown(&self) -> Vec<PlannedObject> {
        let shown = |object: &&DatabaseObject| PlannedObject {
            kind: object.kind.keyword(),
            name: format!("{}.{}", object.bucket, object.name),
            exists: self.there(object).is_some(),
        };
        self.wanted.iter().map(shown).collect()
    }

    pub(super) fn buckets(&self) -> impl Iterator<Item = &str> {
        self.wanted.iter().map(|object| object.bucket.as_str())
    }

    fn there(&self, object: &DatabaseObject) -> Option<&DatabaseObject> {
        let same_kind = |other: &DatabaseObject| other.kind == object.kind;
        self.there.iter().find(|other| {
            same_kind(other)
                && other.bucket.eq_ignore_ascii_case(&object.bucket)
                && other.name.eq_ignore_ascii_case(&object.name)
        })
    }

    /// Types, sequences and macros. A macro that needs a table waits.
    pub(super) fn make_before_tables(&mut self, maker: Maker<'_>) -> Result<()> {
        let mut later = Vec::new();
        for object in &self.wanted {
            match (object.kind, self.there(object)) {
                (ObjectKind::Sequence, Some(there)) => move_on(maker, object, there)?,
                (_, Some(_)) => {}
                (ObjectKind::Type | ObjectKind::Sequence, None) => make(maker, object)?,
                (ObjectKind::Macro | ObjectKind::TableMacro | ObjectKind::View, None) => {
                    if let Err(error) = make(maker, object) {
                        later.push((*object, error));
                    }
                }
            }
        }
        self.waiting = later;
        Ok(())
    }

    /// The rest, as long as there is one that can be made: each may stand on others. Returns what cannot be made at all.
    pub(super) fn make_after_tables(mut self, maker: Maker<'_>) -> Result<Vec<String>> {
        loop {
            let before = self.waiting.len();
            let mut left = Vec::new();
            for (object, _) in self.waiting {
                if let Err(error) = make(maker, object) {
                    left.push((object, error));
                }
            }
            if left.is_empty() || left.len() == before {
                let told = |(object, error): &(&DatabaseObject, Error)| {
                    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
                    format!(
                        "{} \"{}.{}\"{}",
                        object.kind.keyword(),
                        object.bucket,
                        object.name,
                        cause.unwrap_or_default()
                    )
                };
                return Ok(left.iter().map(told).collect());
            }
            self.waiting = left;
        }
    }
}

fn make(maker: Maker<'_>, object: &DatabaseObject) -> Result<()> {
    let keyword = object.kind.keyword();
    let label = format!("restore {keyword} \"{}.{}\"", object.bucket, object.name);
    let call = Call::new(&label);
    maker.look_in(&object.bucket)?;
    maker.catalog.session.execute(call, &object.ddl)?;
    let short = short(object);
    if object.kind == ObjectKind::Sequence && used_up(object) {
        // Its last value is taken.
        let sql = format!("select nextval({})", literal(&short));
        maker.catalog.session.query(call, &sql)?;
    }
    maker.comment(&format!("{keyword} {short}"), object.comment.as_deref())
}

/// Whether a sequence is beyond its last value, where a new one cannot begin.
fn used_up(object: &DatabaseObject) -> bool {
    let begins_there = |next: i64| object.ddl.contains(&format!(" start {next} "));
    object.next_value.is_some_and(|next| !begins_there(next))
}

/// Moves a sequence of the target on to where that of the snapshot goes on, if it is not there yet.
fn move_on(maker: Maker<'_>, object: &DatabaseObject, there: &DatabaseObject) -> Result<()> {
    let (Some(wanted), Some(next)) = (object.next_value, there.next_value) else {
        return Ok(());
    };
    let increment = object
        .ddl
        .split(" increment by ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next()?.parse::<i64>().ok())
        .unwrap_or(1);
    let steps = wanted.saturating_sub(next).checked_div(increment).unwrap_or(0);
    if !(1..=STEPS_MAX).contains(&steps)
        || object.ddl.ends_with(" cycle") && !object.ddl.ends_with("no cycle")
    {
        return Ok(());
    }
    let label = format!("move sequence \"{}.{}\" on", object.bucket, object.name);
    let sql = format!(
        "select max(nextval({})) from range({steps})",
        literal(&short(object))
    );
    maker.catalog.session.query(Call::new(&label), &sql)?;
    Ok(())
}

fn short(object: &DatabaseObject) -> String {
    format!("{}.{}", identifier(&object.bucket), identifier(&object.name))
}
