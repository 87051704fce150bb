//! The one library of times of this workspace, as cron looks at it.

use croner::errors::CronError;
use croner::{CivilDateTime, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use jiff::{SignedDuration, ZonedDateTime};
use std::cmp::Ordering;

/// What a clock on a wall shows, and when.
#[derive(Clone, Debug)]
pub(super) struct Clock(pub(super) ZonedDateTime);

impl CronDateTime for Clock {
    fn to_civil(&self) -> CivilDateTime {
        let number = |part: i8| u32::try_from(part).unwrap_or_default();
        let (date, time) = (self.0.date(), self.0.time());
        let civil = CivilDateTime::from_ymd_hms_opt(
            i32::from(date.year()),
            number(date.month()),
            number(date.day()),
            number(time.hour()),
            number(time.minute()),
            number(time.second()),
        );
        // What one library takes for a time the other does, too.
        civil.unwrap_or_else(|| CivilDateTime::new(EPOCH, croner::CivilTime::MIDNIGHT))
    }

    fn civil_weekday(&self) -> Weekday {
        let days = self.0.weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::try_from(days).unwrap_or_default())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let small = |part: u32| i8::try_from(part).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let (month, day) = (small(civil.month())?, small(civil.day())?);
        let (hour, minute, second) = (small(civil.hour())?, small(civil.minute())?, small(civil.second())?);
        let at = DateTime::new(year, month, day, hour, minute, second, 0).map_err(|_| CronError::InvalidDate)?;
        let moment = self.0.time_zone().to_ambiguous_zoned_datetime(at);
        let known = |moment: Result<ZonedDateTime, jiff::Error>| moment.map(Self).map_err(|_| CronError::InvalidTime);
        Ok(match moment.offset() {
            AmbiguousOffset::Unambiguous { .. } => Resolution::Single(known(moment.unambiguous())?),
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
            AmbiguousOffset::Fold { .. } => {
                Resolution::Ambiguous(known(moment.clone().earlier())?, known(moment.later())?)
            }
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}

/// A day that there is.
const EPOCH: croner::CivilDate = croner::CivilDate::from_parts_unchecked(1970, 1, 1);
