//! Tables to and from Parquet through Polars, with the same bytes for the same table.

use std::io::Cursor;

use polars::prelude::*;

use crate::error::{Error, Result};

/// Rows of a row group. Fixed, as the compression is, so that bytes depend on nothing but the table.
const ROW_GROUP: usize = 1 << 18;
/// Constant columns compress without limit; a file may claim up to this many bytes of numbers …
const FREE: u64 = 256 << 20;
/// … and beyond that this many for each of its own.
const EXPANSION: u64 = 256;

/// The bytes of a Parquet file. Uncompressed: logits hardly compress, and no codec's next version can change a byte.
///
/// # Errors
/// `Unexpected` if columns differ in length or share a name, or Polars refuses.
pub fn encode(columns: Vec<Column>) -> Result<Vec<u8>> {
    let refused = |cause: PolarsError| Error::Unexpected(format!("cannot write a table as Parquet: {cause}"));
    let mut table = DataFrame::new_infer_height(columns).map_err(refused)?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Uncompressed)
        .with_statistics(StatisticsOptions::empty())
        .with_row_group_size(Some(ROW_GROUP))
        .finish(&mut table)
        .map_err(refused)?;
    Ok(bytes)
}

/// Reads a Parquet file; `what` names it in messages. Claims about sizes are checked before anything is allocated, but a
/// file whose pages were damaged on purpose can still make the decoder ask for too much: what we recorded ourselves is
/// checked against its digest first.
///
/// # Errors
/// `Invalid` for a file that is not Parquet, or that claims a size out of all proportion to its length.
pub fn decode(bytes: &[u8], what: &str) -> Result<DataFrame> {
    let invalid = |cause: String| Error::Invalid(format!("{what} is not a Parquet file that can be read: {cause}"));
    // Polars checks what it decodes, but a damaged file can still trip an assertion inside it.
    let read = std::panic::catch_unwind(|| {
        let mut reader = ParquetReader::new(Cursor::new(bytes));
        let rows = reader.num_rows().map_err(|cause| cause.to_string())? as u64;
        let columns = reader.schema().map_err(|cause| cause.to_string())?.len() as u64;
        let claimed = rows.saturating_mul(columns).saturating_mul(8);
        if claimed > FREE.max(EXPANSION.saturating_mul(bytes.len() as u64)) {
            return Err(format!("it claims {rows} rows of {columns} columns in {} bytes", bytes.len()));
        }
        let schema = reader.schema().map_err(|cause| cause.to_string())?.clone();
        // Columns of other types are of no use here, and some of them end Polars in a panic.
        let odd = schema.iter().find_map(|(name, field)| {
            let kind = field.dtype();
            (!is_read(kind)).then(|| format!("column {name:?} holds {kind:?}, and only numbers and texts are read"))
        });
        match odd {
            Some(odd) => Err(odd),
            None => reader.finish().map_err(|cause| cause.to_string()),
        }
    });
    read.unwrap_or_else(|_| Err("it is damaged".into())).map_err(invalid)
}

/// Whether columns of this type are read.
fn is_read(kind: &ArrowDataType) -> bool {
    use ArrowDataType as Kind;
    matches!(
        kind,
        Kind::Boolean
            | Kind::Int8
            | Kind::Int16
            | Kind::Int32
            | Kind::Int64
            | Kind::UInt8
            | Kind::UInt16
            | Kind::UInt32
            | Kind::UInt64
            | Kind::Float32
            | Kind::Float64
            | Kind::Utf8
            | Kind::LargeUtf8
            | Kind::Utf8View
    )
}

/// A column of numbers without gaps, as `f64`.
///
/// # Errors
/// `Invalid` if the column is missing, holds something else or has gaps.
pub fn f64s(table: &DataFrame, name: &str, what: &str) -> Result<Vec<f64>> {
    let column = numbers(table, name, what)?.cast(&DataType::Float64).map_err(|cause| odd(name, what, &cause))?;
    Ok(column.f64().map_err(|cause| odd(name, what, &cause))?.into_no_null_iter().collect())
}

/// A column of numbers without gaps, as `f32`.
///
/// # Errors
/// `Invalid` if the column is missing, holds something else or has gaps.
pub fn f32s(table: &DataFrame, name: &str, what: &str) -> Result<Vec<f32>> {
    let column = numbers(table, name, what)?.cast(&DataType::Float32).map_err(|cause| odd(name, what, &cause))?;
    Ok(column.f32().map_err(|cause| odd(name, what, &cause))?.into_no_null_iter().collect())
}

/// A column of whole numbers from 0 to 2³² − 1 without gaps.
///
/// # Errors
/// `Invalid` if the column is missing, holds something else or has gaps.
pub fn u32s(table: &DataFrame, name: &str, what: &str) -> Result<Vec<u32>> {
    let column = numbers(table, name, what)?;
    if !column.dtype().is_integer() {
        return Err(Error::Invalid(format!("column {name:?} of {what} holds {}, not whole numbers", column.dtype())));
    }
    let column = column.strict_cast(&DataType::UInt32).map_err(|cause| odd(name, what, &cause))?;
    Ok(column.u32().map_err(|cause| odd(name, what, &cause))?.into_no_null_iter().collect())
}

fn numbers<'a>(table: &'a DataFrame, name: &str, what: &str) -> Result<&'a Column> {
    let column = table.column(name).map_err(|_| Error::Invalid(format!("{what} has no column {name:?}")))?;
    if !column.dtype().is_primitive_numeric() {
        return Err(Error::Invalid(format!("column {name:?} of {what} holds {}, not numbers", column.dtype())));
    }
    if column.null_count() > 0 {
        return Err(Error::Invalid(format!("column {name:?} of {what} has {} gaps", column.null_count())));
    }
    Ok(column)
}

fn odd(name: &str, what: &str, cause: &PolarsError) -> Error {
    Error::Invalid(format!("column {name:?} of {what} cannot be read: {cause}"))
}
