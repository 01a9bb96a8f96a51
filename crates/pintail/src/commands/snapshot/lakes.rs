//! Lakes that snapshots are pinned in, found by what a manifest says: where the lake is, and no password.

use std::fmt;
use std::path::{Path, PathBuf};

use pintail_config::{Datastore, Datastores, Location};
use pintail_connectors::registry;
use pintail_lake::LakeLocation;
use pintail_snapshot::{Lakes, unknown_lake};

use crate::diagnostics::Diagnostic;
use crate::project::{Project, variable};

/// First the lakes that the command line names, then those of `datastores.yaml`, and at last the address itself.
pub(super) struct NamedLakes {
    pub(super) named: Vec<LakeLocation>,
    pub(super) datastores: Option<PathBuf>,
}

impl fmt::Debug for NamedLakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NamedLakes")
    }
}

impl Lakes for NamedLakes {
    fn find(&self, identity: &str) -> pintail_snapshot::Result<LakeLocation> {
        let known = self.named.iter().find(|lake| lake.identity() == identity);
        known
            .cloned()
            .or_else(|| in_datastores(self.datastores.as_deref(), identity))
            .or_else(|| {
                let location = Location::parse(identity, Path::new("")).ok()?;
                meant(&location.datastore, identity)
            })
            .ok_or_else(|| unknown_lake(identity))
    }
}

/// Datastores that cannot be read know no lake.
fn in_datastores(given: Option<&Path>, identity: &str) -> Option<LakeLocation> {
    let datastores = load(given).ok().flatten()?;
    datastores
        .names()
        .find_map(|name| meant(datastores.get(name)?, identity))
}

fn meant(datastore: &Datastore, identity: &str) -> Option<LakeLocation> {
    datastore.lake()?;
    let location = registry::lake_location(datastore).ok()?;
    (location.identity() == identity).then_some(location)
}

/// The datastores here, if there are any.
pub(super) fn load(given: Option<&Path>) -> Result<Option<Datastores>, Diagnostic> {
    let project = Project::here(None)?;
    let file = project.datastores(given).unwrap_or(Path::new("datastores.yaml"));
    if given.is_none() && !file.exists() {
        return Ok(None);
    }
    Ok(Some(Datastores::load(file, &variable)?))
}
