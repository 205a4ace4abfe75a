//! The headers of a Parquet file's pages, checked before its values are read: the reader takes a negative or a huge number of
//! values at its word, and a reservation that fails ends the program.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Result, Seek as _, SeekFrom},
};

use polars_parquet_format::{
    ColumnMetaData, FileMetaData, PageHeader, PageType, thrift::protocol::TCompactInputProtocol,
};

/// `PAR1`, and the length of the metadata before it.
const TAIL: u64 = 8;
/// Most bytes of a page's header, with its statistics.
const HEADER: usize = 16 << 20;
/// Most bytes of a page when it is unpacked.
const PAGE: i32 = 1 << 30;

/// Whether the pages of these columns, which are no lists or structures, have as many values and bytes as they can have.
/// Errors are those of a file that is not whole.
pub(crate) fn are_sound(file: &File, columns: &[String]) -> Result<bool> {
    let length = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let metadata = footer(&mut reader, length)?;
    for group in &metadata.row_groups {
        for column in group.columns.iter().filter_map(|chunk| chunk.meta_data.as_ref()) {
            let is_read = matches!(&column.path_in_schema[..], [name] if columns.contains(name));
            if is_read && !is_sound(&mut reader, column, group.num_rows, length)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn footer(reader: &mut BufReader<&File>, length: u64) -> Result<FileMetaData> {
    let mut tail = [0; 4];
    reader.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    reader.read_exact(&mut tail)?;
    let size = u64::from(u32::from_le_bytes(tail));
    let start = length.checked_sub(TAIL + size).ok_or(std::io::ErrorKind::InvalidData)?;
    reader.seek(SeekFrom::Start(start))?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    FileMetaData::read_from_in_protocol(&mut TCompactInputProtocol::new(reader, size.saturating_mul(2)))
        .map_err(std::io::Error::other)
}

fn is_sound(reader: &mut BufReader<&File>, column: &ColumnMetaData, rows: i64, length: u64) -> Result<bool> {
    let offset = column.dictionary_page_offset.filter(|offset| *offset > 0).unwrap_or(column.data_page_offset);
    let offset = u64::try_from(offset.min(column.data_page_offset)).map_err(std::io::Error::other)?;
    reader.seek(SeekFrom::Start(offset))?;
    let mut seen = 0;
    while seen < column.num_values {
        if reader.fill_buf()?.is_empty() {
            return Ok(false);
        }
        let header = PageHeader::read_from_in_protocol(&mut TCompactInputProtocol::new(&mut *reader, HEADER))
            .map_err(std::io::Error::other)?;
        let (packed, unpacked) = (header.compressed_page_size, header.uncompressed_page_size);
        let left = length.saturating_sub(reader.stream_position()?);
        if !(0..=PAGE).contains(&unpacked) || u64::try_from(packed).is_ok_and(|packed| packed > left) || packed < 0 {
            return Ok(false);
        }
        let (values, most) = match header.type_ {
            PageType::DATA_PAGE => (header.data_page_header.map(|page| page.num_values), rows),
            PageType::DATA_PAGE_V2 => (header.data_page_header_v2.map(|page| page.num_values), rows),
            PageType::DICTIONARY_PAGE => {
                (header.dictionary_page_header.map(|page| page.num_values), i64::from(unpacked))
            }
            _ => (Some(0), 0),
        };
        let Some(values) = values.map(i64::from).filter(|values| (0..=most).contains(values)) else {
            return Ok(false);
        };
        seen += if header.type_ == PageType::DICTIONARY_PAGE { 0 } else { values };
        reader.seek_relative(i64::from(packed))?;
    }
    Ok(column.num_values == rows)
}
