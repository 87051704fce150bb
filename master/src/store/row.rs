//! Reading columns into the types they stand for.

use super::{Result, StoreError};
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// What was told of already, so that a row that nobody can read is told of once and not by every reader: table and number.
static TOLD: Mutex<BTreeSet<(&str, i64)>> = Mutex::new(BTreeSet::new());

/// As many rows as are told of one by one.
const TOLD_OF: usize = 1000;

/// Those rows of a table that can be read. One that can't, because another bb or a failing disk wrote it, is its own trouble
/// and no other row's: it is left out, and the log tells of it. The deep check names them all.
///
/// # Errors
/// When it is not a row's value that is wrong.
pub(super) fn readable<'r, T>(
    table: &'static str,
    rows: &'r [AnyRow],
    read: impl Fn(&'r AnyRow) -> Result<T>,
) -> Result<Vec<T>> {
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        all.extend(or_left_out(table, row, read(row))?);
    }
    Ok(all)
}

/// The same of what was read of one row, and perhaps of others that belong to it.
///
/// # Errors
/// When it is not a row's value that is wrong.
pub(super) fn or_left_out<T>(table: &'static str, row: &AnyRow, read: Result<T>) -> Result<Option<T>> {
    let error = match read {
        Ok(value) => return Ok(Some(value)),
        Err(error @ StoreError::Corrupt { .. }) => error,
        Err(error) => return Err(error),
    };
    let id = row.try_get::<i64, _>("id").unwrap_or_default();
    if TOLD.lock().is_ok_and(|mut told| told.len() < TOLD_OF && told.insert((table, id))) {
        tracing::error!(table, id, %error, "a row that can't be read is left out; `bb master check --deep` names all such rows");
    }
    Ok(None)
}

/// Typed columns of a row.
pub(super) trait Columns {
    /// A number, such as an id or a time.
    fn num<T: From<i64>>(&self, column: &str) -> Result<T>;
    /// A number or nothing.
    fn num_or_none<T: From<i64>>(&self, column: &str) -> Result<Option<T>>;
    /// A small count.
    fn count(&self, column: &str) -> Result<u32>;
    /// The same, or nothing.
    fn count_or_none(&self, column: &str) -> Result<Option<u32>>;
    /// A flag.
    fn flag(&self, column: &str) -> Result<bool>;
    /// Text.
    fn text(&self, column: &str) -> Result<String>;
    /// Text or nothing.
    fn text_or_none(&self, column: &str) -> Result<Option<String>>;
    /// Text that has a type of its own.
    fn parsed<T>(&self, column: &str) -> Result<T>
    where
        T: std::str::FromStr<Err: std::fmt::Display>;
    /// The same, or nothing.
    fn parsed_or_none<T>(&self, column: &str) -> Result<Option<T>>
    where
        T: std::str::FromStr<Err: std::fmt::Display>;
    /// A structure kept as JSON.
    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T>;
    /// The same, where there may be none.
    fn json_or_none<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>>;
}

fn corrupt(column: &str, what: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { column: column.to_owned(), what: what.to_string() }
}

/// A column's value as the database has it. One of another type is the row's trouble; a column that is not there is ours.
fn value<'r, T: sqlx::Decode<'r, sqlx::Any> + sqlx::Type<sqlx::Any>>(row: &'r AnyRow, column: &str) -> Result<T> {
    row.try_get(column).map_err(|error| match error {
        sqlx::Error::ColumnDecode { source, .. } => corrupt(column, source),
        error => StoreError::Database(error),
    })
}

impl Columns for AnyRow {
    fn num<T: From<i64>>(&self, column: &str) -> Result<T> {
        Ok(T::from(value::<i64>(self, column)?))
    }

    fn num_or_none<T: From<i64>>(&self, column: &str) -> Result<Option<T>> {
        Ok(value::<Option<i64>>(self, column)?.map(T::from))
    }

    fn count(&self, column: &str) -> Result<u32> {
        u32::try_from(value::<i64>(self, column)?).map_err(|e| corrupt(column, e))
    }

    fn count_or_none(&self, column: &str) -> Result<Option<u32>> {
        let count = value::<Option<i64>>(self, column)?;
        count.map(u32::try_from).transpose().map_err(|e| corrupt(column, e))
    }

    fn flag(&self, column: &str) -> Result<bool> {
        Ok(value::<i64>(self, column)? != 0)
    }

    fn text(&self, column: &str) -> Result<String> {
        value(self, column)
    }

    fn text_or_none(&self, column: &str) -> Result<Option<String>> {
        value(self, column)
    }

    fn parsed<T>(&self, column: &str) -> Result<T>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        self.text(column)?.parse().map_err(|e| corrupt(column, e))
    }

    fn parsed_or_none<T>(&self, column: &str) -> Result<Option<T>>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        self.text_or_none(column)?.map(|text| text.parse().map_err(|e| corrupt(column, e))).transpose()
    }

    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        serde_json::from_str(&self.text(column)?).map_err(|e| corrupt(column, e))
    }

    fn json_or_none<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>> {
        let text = self.text_or_none(column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|e| corrupt(column, e))).transpose()
    }
}

/// A structure as JSON. Only for types whose serialization can't fail: maps with text keys, no foreign `Serialize`.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| corrupt("(to be written)", e))
}
