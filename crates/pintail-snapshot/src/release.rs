//! Letting go of pins in lakes, when the snapshots that needed them are gone.
//!
//! Every pin is on record beside the snapshots before it is in a lake, and the record goes last. So a prune that dies, or that
//! cannot reach a lake, leaves the rest to the next one.

use std::collections::BTreeMap;

use pintail_lake::{Engine, EngineSettings};
use pintail_model::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::pinning::let_go;
use crate::place::{Begun, Document, Work};

/// The list of pins, beside the snapshots.
pub(crate) const FILE_NAME: &str = ".pins.json";

/// A pin that may be in a lake. It is on record before it is there, and until it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinNote {
    /// The snapshot that asked for it.
    pub snapshot: SnapshotId,
    /// The lake's address.
    pub lake: String,
    /// The name of the pin.
    pub pin: String,
}

/// A pin that is still in its lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PinLeft {
    /// The snapshot that asked for it.
    pub snapshot: SnapshotId,
    /// The lake.
    pub lake: String,
    /// Why it is still there.
    pub why: String,
}

/// Names of snapshots that nobody else takes meanwhile.
type Names = Vec<Box<dyn Work>>;

/// What became of pins.
#[derive(Debug, Default)]
pub(crate) struct Released {
    pub(crate) pins: u64,
    pub(crate) left: Vec<PinLeft>,
}

impl ProjectFolder {
    /// Lets go of every pin on record whose snapshot is gone, was never finished, or has its rows elsewhere.
    pub(crate) fn release_pins(&self) -> Result<Released> {
        let mut released = Released::default();
        let mut by_lake: BTreeMap<String, Vec<PinNote>> = BTreeMap::new();
        let (unneeded, _ours) = self.unneeded()?;
        for note in unneeded {
            by_lake.entry(note.lake.clone()).or_default().push(note);
        }
        if by_lake.is_empty() {
            return Ok(released);
        }
        let engine = Engine::open_own(&EngineSettings::default())?;
        for (lake, notes) in by_lake {
            let pins: Vec<&str> = notes.iter().map(|note| note.pin.as_str()).collect();
            let gone = self
                .lakes()
                .find(&lake)
                .and_then(|location| let_go(&engine, &location, &pins));
            match gone {
                Ok(()) => {
                    for note in &notes {
                        self.forget_pin(note)?;
                        released.pins += 1;
                    }
                }
                Err(error) => released.left.extend(notes.iter().map(|note| PinLeft {
                    snapshot: note.snapshot.clone(),
                    lake: lake.clone(),
                    why: error.to_string(),
                })),
            }
        }
        Ok(released)
    }

    /// Pins on record that no snapshot needs, and what keeps others from taking snapshots of their names meanwhile.
    fn unneeded(&self) -> Result<(Vec<PinNote>, Names)> {
        let mut unneeded = Vec::new();
        let mut ours = Vec::new();
        for note in self.pin_notes()? {
            let id = &note.snapshot;
            if self.visible(id)? {
                // What a manifest that cannot be read needs, nobody knows.
                let needed = self.manifest(id).map(|manifest| manifest.source.pin);
                if needed.is_ok_and(|needed| needed.as_deref() != Some(note.pin.as_str())) {
                    unneeded.push(note);
                }
                continue;
            }
            // Its taker may be at it still.
            let known = unneeded.iter().any(|known: &PinNote| known.snapshot == *id);
            if !known {
                match self.place().begin(id)? {
                    Begun::Mine(work) => ours.push(work),
                    Begun::Taken(_) => continue,
                }
            }
            unneeded.push(note);
        }
        Ok((unneeded, ours))
    }

    /// Pins that may be in lakes.
    ///
    /// # Errors
    /// `Data` for a list that is none.
    pub fn pin_notes(&self) -> Result<Vec<PinNote>> {
        let content = self.place().read(Document::Pins)?;
        self.read_notes(content.as_deref())
    }

    fn read_notes(&self, content: Option<&[u8]>) -> Result<Vec<PinNote>> {
        let Some(content) = content else {
            return Ok(Vec::new());
        };
        serde_json::from_slice(content).map_err(|_| {
            Error::refused(
                ErrorKind::Data,
                format!(
                    "cannot use `{}`: it is no list of pins",
                    self.place().name(Document::Pins)
                ),
                "It says which pins are in lakes. Put a copy back; without it, pins stay that nothing needs.",
            )
        })
    }

    fn change_notes(&self, change: impl Fn(&mut Vec<PinNote>)) -> Result<()> {
        self.place().change(Document::Pins, &mut |content| {
            let mut notes = self.read_notes(content)?;
            change(&mut notes);
            let mut text = serde_json::to_string_pretty(&notes).expect("a list has a JSON form");
            text.push('\n');
            Ok(Some(text.into_bytes()))
        })
    }

    /// Writes down that a pin is about to be asked for.
    pub(crate) fn note_pin(&self, note: &PinNote) -> Result<()> {
        self.change_notes(|notes| notes.push(note.clone()))
    }

    /// Forgets a pin that is not in its lake any more.
    pub(crate) fn forget_pin(&self, note: &PinNote) -> Result<()> {
        self.change_notes(|notes| notes.retain(|known| known != note))
    }
}
