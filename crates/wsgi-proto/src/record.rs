//! Declares the records of a link whose records are read whole.

/// Defines structs whose fields are [`Field`](crate::codec::Field)s, usable as
/// fields themselves.
macro_rules! fields {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::codec::Field for $name {
            #[allow(unused_variables)]
            fn write(&self, record: &mut $crate::codec::RecordWriter<'_>) {
                $($crate::codec::Field::write(&self.$field, record);)*
            }

            #[allow(unused_variables)]
            fn read(
                reader: &mut $crate::codec::Reader<'_>,
                name: &'static str,
            ) -> Result<Self, $crate::Error> {
                Ok(Self { $($field: $crate::codec::Field::read(reader, stringify!($field))?,)* })
            }
        }
    )*};
}

/// Defines the enum of one direction of a link: a kind byte for each record
/// struct, with `encode` to and `decode` from whole datagrams.
macro_rules! records {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident($record:ty) = $kind:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[allow(clippy::large_enum_variant)] // read and dropped, never stored
        pub enum $name {
            $($(#[$variant_meta])* $variant($record),)*
        }

        impl $name {
            /// The record as one datagram.
            ///
            /// # Errors
            /// [`Error::TooLong`](crate::Error::TooLong) over
            /// [`MAX_DATAGRAM`](crate::limits::MAX_DATAGRAM).
            pub fn encode(&self) -> Result<Vec<u8>, $crate::Error> {
                let mut buffer = Vec::with_capacity(256);
                match self {
                    $(Self::$variant(record) => {
                        let mut writer = $crate::codec::RecordWriter::new(&mut buffer, $kind, 0);
                        $crate::codec::Field::write(record, &mut writer);
                        writer.finish($crate::limits::MAX_DATAGRAM)?;
                    })*
                }
                Ok(buffer)
            }

            /// Reads one datagram.
            ///
            /// # Errors
            /// [`Error`](crate::Error) unless it holds exactly one record.
            pub fn decode(datagram: &[u8]) -> Result<Self, $crate::Error> {
                let mut reader = $crate::codec::Reader::new(datagram);
                let head = $crate::codec::Head::from_bytes(reader.array("head")?)?;
                if u32::try_from(reader.remaining()) != Ok(head.length) {
                    return Err($crate::Error::Invalid("length"));
                }
                if head.length > $crate::limits::MAX_DATAGRAM {
                    return Err($crate::Error::TooLong("record"));
                }
                if head.flags != 0 {
                    return Err($crate::Error::Invalid("flags"));
                }
                let record = match head.kind {
                    $($kind => Self::$variant($crate::codec::Field::read(&mut reader, stringify!($variant))?),)*
                    kind => return Err($crate::Error::UnknownKind(kind)),
                };
                reader.finish()?;
                Ok(record)
            }
        }
    };
}

pub(crate) use {fields, records};
