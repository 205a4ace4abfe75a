//! Entries that begin with a name, which says what options they may have. A derived tagged enum would lose the place of
//! errors.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

/// An entry of a list whose field `name` says what it is.
pub(super) trait Named<'de>: Sized {
    /// Its names.
    type Name: Deserialize<'de>;

    /// What is expected, with an example.
    const EXPECTED: &'static str;

    /// Reads the options of the entry of that name.
    fn read_options<A: MapAccess<'de>>(name: Self::Name, options: A) -> Result<Self, A::Error>;
}

/// Reads an entry, whose name may stand anywhere among its options.
pub(super) fn read<'de, T: Named<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(EntryVisitor(PhantomData))
}

struct EntryVisitor<T>(PhantomData<T>);

impl<'de, T: Named<'de>> Visitor<'de> for EntryVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut before = serde_json::Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if key != "name" {
                before.insert(key, map.next_value()?);
                continue;
            }
            let name: T::Name = map.next_value()?;
            if before.is_empty() {
                return T::read_options(name, map);
            }
            // The name stands behind options: they are read once it is known.
            while let Some((key, value)) = map.next_entry()? {
                before.insert(key, value);
            }
            let options = de::value::MapDeserializer::new(before.into_iter());
            return T::read_options(name, options).map_err(|e: serde_json::Error| de::Error::custom(e));
        }
        Err(de::Error::missing_field("name"))
    }
}
