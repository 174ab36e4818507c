//! The channel's records as owned values, with one way in and one way out.
//!
//! The crate itself has readers and writers for each record, as its users
//! never hold one as a whole. The fuzz targets use this file too.

use wsgi_proto::Error;
use wsgi_proto::channel::{
    BodyEnd, Demand, End, File, HeadReader, HeadWriter, Kind, Log, Name, RequestReader,
    RequestWriter, data_head, write_body_end, write_body_head, write_cancel,
};

/// Any record of a channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    Request(Request),
    Body(Vec<u8>),
    BodyEnd(BodyEnd),
    Cancel,
    Demand(Demand),
    Head(Head),
    Data { more: bool, bytes: Vec<u8> },
    File(File),
    Log { level: u8, text: Vec<u8> },
    End(End),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) has_body: bool,
    pub(crate) reloads: bool,
    pub(crate) cpu_time: bool,
    pub(crate) request_start: u64,
    pub(crate) queue_start: u64,
    pub(crate) script: Vec<u8>,
    pub(crate) handler_script: Vec<u8>,
    pub(crate) callable_object: Vec<u8>,
    pub(crate) entries: Vec<(EntryName, Vec<u8>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum EntryName {
    Known(u8),
    Literal(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) reason: Vec<u8>,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Record {
    /// Reads what [`wsgi_proto::deframe::next`] found.
    pub(crate) fn read(kind: Kind, flags: u8, payload: &[u8]) -> Result<Self, Error> {
        Ok(match kind {
            Kind::Request => Self::Request(Request::read(flags, payload)?),
            Kind::Body => Self::Body(payload.to_vec()),
            Kind::BodyEnd => Self::BodyEnd(BodyEnd::read(payload)?),
            Kind::Cancel => Self::Cancel,
            Kind::Demand => Self::Demand(Demand::read(payload)?),
            Kind::Head => Self::Head(Head::read(payload)?),
            Kind::Data => Self::Data { more: flags != 0, bytes: payload.to_vec() },
            Kind::File => Self::File(File::read(payload)?),
            Kind::Log => {
                let Log { level, text } = Log::read(payload)?;
                Self::Log { level, text: text.to_vec() }
            }
            Kind::End => Self::End(End::read(payload)?),
        })
    }

    /// Appends the record.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Request(request) => request.write(buffer),
            Self::Body(bytes) => {
                buffer.extend_from_slice(&write_body_head(length(bytes)?));
                buffer.extend_from_slice(bytes);
                Ok(())
            }
            Self::BodyEnd(end) => write_body_end(buffer, *end),
            Self::Cancel => {
                buffer.extend_from_slice(&write_cancel());
                Ok(())
            }
            Self::Demand(demand) => demand.write(buffer),
            Self::Head(head) => head.write(buffer),
            Self::Data { more, bytes } => {
                buffer.extend_from_slice(&data_head(length(bytes)?, *more));
                buffer.extend_from_slice(bytes);
                Ok(())
            }
            Self::File(file) => file.write(buffer),
            Self::Log { level, text } => Log { level: *level, text }.write(buffer),
            Self::End(end) => end.write(buffer),
        }
    }
}

fn length(bytes: &[u8]) -> Result<u32, Error> {
    u32::try_from(bytes.len()).map_err(|_| Error::TooLong("record"))
}

impl Request {
    fn read(flags: u8, payload: &[u8]) -> Result<Self, Error> {
        let mut reader = RequestReader::new(flags, payload)?;
        let mut request = Self {
            has_body: reader.has_body,
            reloads: reader.reloads,
            cpu_time: reader.cpu_time,
            request_start: reader.request_start,
            queue_start: reader.queue_start,
            script: reader.script.to_vec(),
            handler_script: reader.handler_script.to_vec(),
            callable_object: reader.callable_object.to_vec(),
            entries: Vec::new(),
        };
        while let Some((name, value)) = reader.entry()? {
            let name = match name {
                Name::Known(id) => EntryName::Known(id),
                Name::Literal(name) => EntryName::Literal(name.to_vec()),
            };
            request.entries.push((name, value.to_vec()));
        }
        Ok(request)
    }

    fn write(&self, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let mut writer = RequestWriter::new(
            buffer,
            self.has_body,
            (self.request_start, self.queue_start),
            &self.script,
            &self.handler_script,
            &self.callable_object,
        );
        if !self.reloads {
            writer.without_reloading();
        }
        if self.cpu_time {
            writer.with_cpu_time();
        }
        for (name, value) in &self.entries {
            match name {
                EntryName::Known(id) => writer.known(*id, value),
                EntryName::Literal(name) => writer.named(name, value),
            }
        }
        writer.finish()
    }
}

impl Head {
    fn read(payload: &[u8]) -> Result<Self, Error> {
        let mut reader = HeadReader::new(payload)?;
        let mut head =
            Self { status: reader.status, reason: reader.reason.to_vec(), headers: Vec::new() };
        while let Some((name, value)) = reader.header()? {
            head.headers.push((name.to_vec(), value.to_vec()));
        }
        Ok(head)
    }

    fn write(&self, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let mut writer = HeadWriter::new(buffer, self.status, &self.reason);
        for (name, value) in &self.headers {
            writer.header(name, value);
        }
        writer.finish()
    }
}
