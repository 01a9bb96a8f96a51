//! Files in `datastores.yaml`: folders, buckets, and the data path of a lake.

use std::path::Path;

use crate::datastore::Connection;
use crate::decode::{Decoder, Fields, list, one_of, scalar, text};
use crate::location::Reason;
use crate::node::Node;
use crate::place::{BUCKET_OPTIONS, Bucket, FORMATS, Files, Owner, Place, delimiter, partition_by};
use crate::systems::Endpoint;

use super::Parts;

/// `path`, `format`, `delimiter` and `partition_by`.
pub(super) fn folder(base: &Path, fields: &mut Fields<'_, '_>) -> Option<Parts> {
    let path = fields.required("path", text);
    let format = fields.optional("format", one_of("a format", FORMATS));
    let delimiter = fields.optional("delimiter", read_delimiter);
    let partition_by = fields
        .optional("partition_by", partition_columns)
        .unwrap_or_default();
    let place = Place::Local(base.join(path?));
    let files = Files {
        place,
        format,
        delimiter,
        partition_by,
    };
    Some((Connection::Files(files), None))
}

/// `bucket`, `prefix`, `format`, `delimiter`, `partition_by` and the options of a bucket.
pub(super) fn bucket(endpoint: Endpoint, fields: &mut Fields<'_, '_>) -> Option<Parts> {
    let prefix = fields.optional("prefix", text);
    let bucket = fields.required("bucket", |node, decoder| {
        let name = text(node, decoder)?;
        let prefix = prefix.as_deref().unwrap_or_default();
        reported(Bucket::new(&name, prefix), node, decoder)
    });
    let format = fields.optional("format", one_of("a format", FORMATS));
    if endpoint == Endpoint::Required {
        fields.required("endpoint", text);
    }
    let delimiter = fields.optional("delimiter", read_delimiter);
    let partition_by = fields
        .optional("partition_by", partition_columns)
        .unwrap_or_default();
    let bucket = take_options(Owner::Datastore, bucket, fields)?;
    let files = Files {
        place: Place::Bucket(bucket),
        format,
        delimiter,
        partition_by,
    };
    Some((Connection::Files(files), None))
}

/// Reads the value of `partition_by:`, names of columns.
pub fn partition_columns(node: &Node, decoder: &mut Decoder) -> Option<Vec<String>> {
    let columns = list(text)(node, decoder)?;
    reported(partition_by(columns), node, decoder)
}

fn read_delimiter(node: &Node, decoder: &mut Decoder) -> Option<char> {
    let text = scalar(node, decoder)?;
    reported(delimiter(&text), node, decoder)
}

/// `data_path`, and the options of a bucket if it is in one.
pub(super) fn data_path(base: &Path, fields: &mut Fields<'_, '_>) -> Option<Place> {
    let place = fields.optional("data_path", |node, decoder| {
        let path = text(node, decoder)?;
        reported(Place::parse(&path, base), node, decoder)
    });
    match place {
        // Which options there are depends on the place, and while readers are probed there is none.
        None if fields.decoder().probing() => {
            take_options(Owner::DataPath, None, fields);
            None
        }
        Some(Place::Bucket(bucket)) => take_options(Owner::DataPath, Some(bucket), fields).map(Place::Bucket),
        place => {
            for option in BUCKET_OPTIONS {
                fields.refuse(option.beside_data_path, "belongs to a `data_path` in a bucket");
            }
            place
        }
    }
}

/// Reads the options of a bucket, also those of one whose name is wrong: all mistakes are reported.
fn take_options(owner: Owner, mut bucket: Option<Bucket>, fields: &mut Fields<'_, '_>) -> Option<Bucket> {
    for option in BUCKET_OPTIONS {
        for word in option.words(owner) {
            fields.optional(word, |node, decoder| {
                let value = scalar(node, decoder)?;
                let bucket = bucket.as_mut()?;
                reported(bucket.set(option.name, &value), node, decoder)
            });
        }
    }
    bucket
}

fn reported<T>(read: Result<T, Reason>, node: &Node, decoder: &mut Decoder) -> Option<T> {
    read.map_err(|reason| decoder.problem_with_hint(node.position, reason.message, reason.hint))
        .ok()
}
