//! Reading columns into the types they stand for.

use super::{Result, StoreError};
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::any::AnyRow;

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

impl Columns for AnyRow {
    fn num<T: From<i64>>(&self, column: &str) -> Result<T> {
        Ok(T::from(self.try_get::<i64, _>(column)?))
    }

    fn num_or_none<T: From<i64>>(&self, column: &str) -> Result<Option<T>> {
        Ok(self.try_get::<Option<i64>, _>(column)?.map(T::from))
    }

    fn count(&self, column: &str) -> Result<u32> {
        u32::try_from(self.try_get::<i64, _>(column)?).map_err(|e| corrupt(column, e))
    }

    fn count_or_none(&self, column: &str) -> Result<Option<u32>> {
        let count = self.try_get::<Option<i64>, _>(column)?;
        count.map(u32::try_from).transpose().map_err(|e| corrupt(column, e))
    }

    fn flag(&self, column: &str) -> Result<bool> {
        Ok(self.try_get::<i64, _>(column)? != 0)
    }

    fn text(&self, column: &str) -> Result<String> {
        Ok(self.try_get(column)?)
    }

    fn text_or_none(&self, column: &str) -> Result<Option<String>> {
        Ok(self.try_get(column)?)
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
